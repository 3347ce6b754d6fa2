"""``phiz doctor``: what this machine has, and the pip line for what it has not."""

from __future__ import annotations

from dataclasses import dataclass

from rich.table import Table

from compile.cli.console import screen


@dataclass(frozen=True)
class Part:
    """Something phiz can do, the distributions it takes, and the extra that installs them (empty: core)."""

    title: str
    packages: tuple[str, ...]
    extra: str


PARTS = (
    Part("simplify, quantise, audit", ("onnx", "onnx-ir", "onnxsim"), ""),
    Part("target onnx and its forms", ("onnxruntime",), ""),
    Part("target tflite", ("ai-edge-litert",), "tflite"),
    Part("target coreml", ("coremltools",), "coreml"),
    Part("--fallback litert-torch", ("litert-torch", "ai-edge-quantizer"), "litert"),
    Part("torch networks, training", ("torch", "onnxscript", "safetensors"), "torch"),
    Part("teacher phonetic", ("hama", "numpy"), "teacher"),
    Part("teacher hubert", ("torch", "transformers", "safetensors"), "hubert"),
    Part("events for TensorBoard", ("tensorboardX",), "tensorboard"),
    Part("label --voices", ("pyworld-prebuilt",), "voices"),
    Part("synthetic speech", ("espeakng-loader",), "teacher"),
    Part("audio files", ("av",), "teacher"),
    Part("plots", ("matplotlib",), "teacher"),
)


def doctor() -> None:
    """Say which targets and teachers work here, with versions, and how to install the missing ones."""
    from compile.manifest import installed_versions

    table = Table(title=None, box=None, pad_edge=False)
    for column in ("", "here", "packages", "to install"):
        table.add_column(column, no_wrap=column == "")
    for part in PARTS:
        versions = installed_versions(part.packages)
        present = all(versions.values())
        listed = ", ".join(f"{name} {version or 'missing'}" for name, version in versions.items())
        line = "" if present else f"pip install 'phiz[{part.extra}]'" if part.extra else "pip install phiz"
        table.add_row(part.title, "[green]yes[/]" if present else "[red]no[/]", listed, line.replace("[", r"\["))
    console = screen()
    console.print(table)
    console.print("Core ML packages are written and evaluated here; running them on a device needs macOS or iOS.")
