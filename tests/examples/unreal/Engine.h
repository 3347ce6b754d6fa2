// Stand-ins of what the module names of Unreal 5.4, enough to compile it; nothing here does anything.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#define UCLASS(...)
#define UPROPERTY(...)
#define UFUNCTION(...)
#define GENERATED_BODY()
#define PHIZFACE_API
#define TEXT(text) text
#define THIRD_PARTY_INCLUDES_START
#define THIRD_PARTY_INCLUDES_END
#define IMPLEMENT_MODULE(Class, Name) Class Module##Name;
#define PI 3.14159f
#define check(condition)

using int32 = std::int32_t;
enum class ESPMode { ThreadSafe };
enum ELevelTick { LEVELTICK_All };
namespace EEndPlayReason { enum Type { Destroyed }; }

template <class T> struct TObjectPtr
{
	T* Object = nullptr;
	TObjectPtr& operator=(T* Other) { Object = Other; return *this; }
	operator T*() const { return Object; }
	T* operator->() const { return Object; }
};
template <class T, ESPMode Mode = ESPMode::ThreadSafe> using TSharedRef = std::shared_ptr<T>;
template <class T, ESPMode Mode = ESPMode::ThreadSafe> struct TSharedPtr : std::shared_ptr<T>
{
	using std::shared_ptr<T>::shared_ptr;
	TSharedPtr(std::shared_ptr<T> Other) : std::shared_ptr<T>(Other) {}
	bool IsValid() const { return this->get() != nullptr; }
	void Reset() { this->reset(); }
	TSharedRef<T, Mode> ToSharedRef() const { return *this; }
};
template <class T, ESPMode Mode> TSharedPtr<T, Mode> MakeShared() { return std::make_shared<T>(); }
template <class T> struct TArray : std::vector<T>
{
	void Reset() { this->clear(); }
	void Add(T Value) { this->push_back(Value); }
	void Init(T Value, int32 Count) { this->assign(static_cast<std::size_t>(Count), Value); }
	T* GetData() { return this->data(); }
	T& operator[](int32 Index) { return this->at(static_cast<std::size_t>(Index)); }
};
struct FString { explicit FString(const char*) {} };
struct FName { explicit FName(const char*) {} };
struct FCriticalSection {};
struct FScopeLock { explicit FScopeLock(FCriticalSection*) {} ~FScopeLock() {} };
struct FMemory { static void Memcpy(void* To, const void* From, std::size_t Size) { std::memcpy(To, From, Size); } };
struct FMath { static float Min(float A, float B) { return A < B ? A : B; } };
struct FDefaultModuleImpl {};

class USoundSubmix {};
class ISubmixBufferListener
{
public:
	virtual ~ISubmixBufferListener() = default;
	virtual void OnNewSubmixBuffer(const USoundSubmix* Owner, float* Audio, int32 Samples, int32 Channels, const int32 Rate, double Clock) = 0;
	virtual const FString& GetListenerName() const = 0;
};
struct FAudioDevice
{
	USoundSubmix& GetMainSubmixObject();
	void RegisterSubmixBufferListener(TSharedRef<ISubmixBufferListener> Listener, USoundSubmix& Submix);
	void UnregisterSubmixBufferListener(TSharedRef<ISubmixBufferListener> Listener, USoundSubmix& Submix);
};
struct FAudioDeviceHandle
{
	FAudioDevice* operator->() const;
	explicit operator bool() const;
};
struct UWorld { FAudioDeviceHandle GetAudioDevice() const; };
class USkeletalMeshComponent
{
public:
	void SetMorphTarget(FName Name, float Value, bool bRemoveZeroWeight = true);
};
struct AActor { template <class T> T* FindComponentByClass() const; };
struct FActorComponentTickFunction { bool bCanEverTick = false; };
class UActorComponent
{
public:
	virtual ~UActorComponent() = default;
	virtual void BeginPlay();
	virtual void EndPlay(const EEndPlayReason::Type Reason);
	virtual void TickComponent(float Seconds, ELevelTick Kind, FActorComponentTickFunction* Function);
	UWorld* GetWorld() const;
	AActor* GetOwner() const;
	FActorComponentTickFunction PrimaryComponentTick;
	using Super = UActorComponent;
};
