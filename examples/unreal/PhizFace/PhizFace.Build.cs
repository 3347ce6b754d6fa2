using UnrealBuildTool;

public class PhizFace : ModuleRules
{
	public PhizFace(ReadOnlyTargetRules Target) : base(Target)
	{
		PCHUsage = PCHUsageMode.UseExplicitOrSharedPCHs;
		FPSemantics = FPSemanticsMode.Precise; // the student's sums keep their order
		bUseUnity = false; // C sources have static names of their own
		PublicDependencyModuleNames.AddRange(new[] { "Core", "CoreUObject", "Engine" });
		PrivateDependencyModuleNames.Add("AudioMixer");
	}
}
