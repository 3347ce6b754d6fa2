#pragma once

#include "Components/ActorComponent.h"
#include "CoreMinimal.h"

#include "PhizFaceComponent.generated.h"

class FPhizListener;
class USkeletalMeshComponent;
class USoundSubmix;

/**
 * Speaks what a submix plays: the owner's skeletal mesh gets a morph target for each of ARKit's controls.
 * Send the voice of one character to a submix of its own; a microphone comes there by an AudioCaptureComponent.
 */
UCLASS(ClassGroup = (Audio), meta = (BlueprintSpawnableComponent))
class PHIZFACE_API UPhizFaceComponent : public UActorComponent
{
	GENERATED_BODY()

public:
	UPhizFaceComponent();

	/** What is heard; the main submix where none is named. */
	UPROPERTY(EditAnywhere, Category = "Phiz")
	TObjectPtr<USoundSubmix> Submix;

	/** What is moved; the first skeletal mesh of the owner where none is named. */
	UPROPERTY(EditAnywhere, Category = "Phiz")
	TObjectPtr<USkeletalMeshComponent> Mesh;

	/** Seconds by which the face comes after its voice: delay the submix by as much, and lips and voice meet. */
	UFUNCTION(BlueprintPure, Category = "Phiz")
	float GetLatency() const;

	virtual void BeginPlay() override;
	virtual void EndPlay(const EEndPlayReason::Type Reason) override;
	virtual void TickComponent(float Seconds, ELevelTick Kind, FActorComponentTickFunction* Function) override;

private:
	TSharedPtr<FPhizListener, ESPMode::ThreadSafe> Listener;
	TArray<FName> Names;
	TArray<float> Latest, Before, Shown;
	float Since = 0.0f;
};
