#include "PhizFaceComponent.h"

#include "AudioDevice.h"
#include "Components/SkeletalMeshComponent.h"
#include "Engine/World.h"
#include "GameFramework/Actor.h"
#include "ISubmixBufferListener.h"
#include "Misc/ScopeLock.h"
#include "Sound/SoundSubmix.h"

#include "face.h"

/** Owns the face and hears on the audio thread; nothing is allocated there. */
class FPhizListener : public ISubmixBufferListener
{
public:
	virtual void OnNewSubmixBuffer(const USoundSubmix*, float* Audio, int32 Samples, int32 Channels, const int32 Rate, double) override
	{
		FScopeLock Lock(&Gate);
		if (Rate != Known)
		{
			Known = Rate;
			bUsable = phiz_face_begin(&Face, Rate) != 0;
		}
		if (!bUsable || Channels < 1)
		{
			return;
		}
		const float* From = Audio;
		int Count = Samples / Channels;
		while (phiz_face_push(&Face, &From, &Count, Channels, Controls))
		{
			bFresh = true;
		}
	}

	virtual const FString& GetListenerName() const override
	{
		static const FString Name(TEXT("Phiz"));
		return Name;
	}

	/** The newest frame, where there is one that was not taken yet. */
	bool Take(TArray<float>& Into)
	{
		FScopeLock Lock(&Gate);
		if (!bFresh)
		{
			return false;
		}
		bFresh = false;
		FMemory::Memcpy(Into.GetData(), Controls, sizeof Controls);
		return true;
	}

	float Latency() const
	{
		FScopeLock Lock(&Gate);
		return bUsable ? static_cast<float>(phiz_face_latency(&Face)) : 0.0f;
	}

private:
	mutable FCriticalSection Gate;
	phiz_face Face;
	float Controls[PHIZ_FACE_CONTROLS] = {};
	int32 Known = 0;
	bool bUsable = false;
	bool bFresh = false;
};

UPhizFaceComponent::UPhizFaceComponent()
{
	PrimaryComponentTick.bCanEverTick = true;
}

float UPhizFaceComponent::GetLatency() const
{
	return Listener.IsValid() ? Listener->Latency() : 0.0f;
}

void UPhizFaceComponent::BeginPlay()
{
	Super::BeginPlay();
	Names.Reset();
	for (int Control = 0; Control < PHIZ_FACE_CONTROLS; ++Control)
	{
		Names.Add(FName(phiz_face_names[Control]));
	}
	Latest.Init(0.0f, PHIZ_FACE_CONTROLS);
	Before.Init(0.0f, PHIZ_FACE_CONTROLS);
	Shown.Init(0.0f, PHIZ_FACE_CONTROLS);
	if (!Mesh)
	{
		Mesh = GetOwner()->FindComponentByClass<USkeletalMeshComponent>();
	}
	if (FAudioDeviceHandle Device = GetWorld()->GetAudioDevice())
	{
		if (!Submix)
		{
			Submix = &Device->GetMainSubmixObject();
		}
		Listener = MakeShared<FPhizListener, ESPMode::ThreadSafe>();
		Device->RegisterSubmixBufferListener(Listener.ToSharedRef(), *Submix);
	}
}

void UPhizFaceComponent::EndPlay(const EEndPlayReason::Type Reason)
{
	if (FAudioDeviceHandle Device = GetWorld()->GetAudioDevice(); Device && Listener.IsValid())
	{
		Device->UnregisterSubmixBufferListener(Listener.ToSharedRef(), *Submix);
	}
	Listener.Reset(); // the audio thread may hold it a moment longer
	Super::EndPlay(Reason);
}

void UPhizFaceComponent::TickComponent(float Seconds, ELevelTick Kind, FActorComponentTickFunction* Function)
{
	Super::TickComponent(Seconds, Kind, Function);
	if (!Mesh || !Listener.IsValid())
	{
		return;
	}
	if (Listener->Take(Latest))
	{
		Before = Shown;
		Since = 0.0f;
	}
	// From the last frame to the newest, in the time that lies between two.
	Since += Seconds;
	const float Interval = static_cast<float>(STUDENT_STREAM_HOP) / STUDENT_STREAM_SAMPLE_RATE;
	const float Share = FMath::Min(Since / Interval, 1.0f);
	for (int Control = 0; Control < PHIZ_FACE_CONTROLS; ++Control)
	{
		Shown[Control] = Before[Control] + (Latest[Control] - Before[Control]) * Share;
		Mesh->SetMorphTarget(Names[Control], Shown[Control], /* bRemoveZeroWeight */ false);
	}
}
