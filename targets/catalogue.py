"""Which targets there are: data, not registration. Heavy libraries are imported where they are used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

from compile.errors import MissingExtra, UserError
from targets.base import Artifact, Dissection, Examples, Files, Runner
from targets.stream import STREAM, family

if TYPE_CHECKING:  # onnx_ir takes most of a second to import, and the auditor does without
    from compile.model import Model


@dataclass(frozen=True)
class Target:
    """A target by name; its folder ``targets/<name>/`` holds lower.py, dissect.py and run.py.

    A target may have further forms: ``coreml:ios18`` is another dress of ``coreml``, lowered by the same folder. Each
    also takes a model that computes hop by hop, under its name with ``+stream`` behind it.

    Attributes:
        name: as on the command line; ``TARGET:FORM`` for a form.
        title: as a person would call it.
        suffix: of the artefact's file or package.
        writer: the package that lowering needs beyond core, or empty.
        runtime: the package that running needs beyond core, or empty; of several, any one suffices.
        extra: the pip extra that provides both, or empty when core does.
        instead: schemes that it computes as others; see ``compile.quantize.variants``.
        emulator: what executes the artefact here in place of its runtime; empty where the runtime itself does.
        needs: what the runtime needs that this machine need not be; empty where it runs anywhere.
        beside: suffixes of further files that belong to an artefact.
        tests_itself: whether its artefacts carry examples, by which they test themselves where they run.
    """

    name: str
    title: str
    suffix: str
    writer: str
    runtime: str
    extra: str
    instead: Mapping[str, str] = field(default_factory=dict)
    emulator: str = ""
    needs: str = ""
    beside: tuple[str, ...] = ()
    tests_itself: bool = False

    @property
    def folder(self) -> str:
        """The folder of its code."""
        return family(self.name)

    @property
    def form(self) -> str:
        """Which form of the target it is; empty for the usual one."""
        return self.name.removesuffix(STREAM).partition(":")[2]

    @property
    def streams(self) -> bool:
        """Whether its artefacts compute hop by hop."""
        return self.name.endswith(STREAM)

    def lower(self, model: Model) -> Artifact:
        """Translate a hub graph into this target's bytes; a form's artefact is called ``student.FORM.SUFFIX``.

        A target that streams is given a graph that does.
        """
        self.require(self.writer, f"writing {self.title}")
        lower = import_module(f"targets.{self.folder}.lower").lower
        artifact = cast(Artifact, lower(model, self.form) if self.form else lower(model))
        return replace(artifact, target=self.name)

    def prove(self, artifact: Artifact, examples: Examples) -> Artifact:
        """The artefact of a target that ``tests_itself``, with examples to do so by."""
        return cast(Artifact, import_module(f"targets.{self.folder}.selftest").prove(artifact, examples))

    def dissect(self, files: Files) -> Dissection:
        """Label every byte of an artefact; core phiz suffices."""
        return cast(Dissection, import_module(f"targets.{self.folder}.dissect").dissect(files))

    def load(self, path: Path) -> Runner:
        """Make an artefact on disk ready to execute."""
        self.require(self.runtime, f"running {self.title}")
        return cast(Runner, import_module(f"targets.{self.folder}.run").load(path))

    def require(self, packages: str, need: str) -> None:
        """Raise MissingExtra when none of ``packages``, separated by spaces, is installed; it names the first."""
        names = packages.split()
        if names and all(find_spec(name) is None for name in names):
            raise MissingExtra(need, self.extra, names[0])


_INT8_WEIGHTS = ("w8a8", "w8-dynamic", "w8")
_MAC = ("numpy", "macOS")
_FLOAT_ACTIVATIONS = {"w8a8": "w8", "w8-dynamic": "w8"}

TARGETS = (
    Target("onnx", "ONNX", ".onnx", "", "", ""),
    Target("tflite", "TFLite", ".tflite", "ai_edge_litert", "ai_edge_litert tflite_runtime", "tflite"),
    Target("coreml", "Core ML", ".mlpackage", "coremltools", "", "coreml", _FLOAT_ACTIVATIONS, *_MAC),
    Target("c", "C", ".c", "", "", "", beside=(".h", ".golden.h", ".bin"), tests_itself=True),
)
USUAL = TARGETS[:3]  # what is built where none is named: files for runtimes; a source is asked for
FORMS: tuple[Target, ...] = (
    Target("onnx:arm", "ONNX for ARM", ".onnx", "", "", ""),
    Target("onnx:qdq", "portable ONNX", ".onnx", "", "", "", {"w8-dynamic": "w8"}),
    # Unity widens float16 weights while it imports them; int8 ones it would take for integers.
    Target("onnx:unity", "ONNX for Unity", ".onnx", "", "", "", dict.fromkeys(_INT8_WEIGHTS, "float16")),
    # The Neural Engine computes in float16. What Core ML does in int8 needs iOS 17 and surrounds every operation with
    # conversions.
    Target("coreml:fp32", "Core ML in float32", ".mlpackage", "coremltools", "", "coreml", _FLOAT_ACTIVATIONS, *_MAC),
    Target("coreml:ios18", "Core ML for iOS 18", ".mlpackage", "coremltools", "", "coreml", _FLOAT_ACTIVATIONS, *_MAC),
    Target("coreml:w8a8", "Core ML in int8", ".mlpackage", "coremltools", "", "coreml", {"w8-dynamic": "w8"}, *_MAC),
    # Weights that an engine keeps among its assets: it maps them, and has others without compiling anew.
    replace(TARGETS[3], name="c:mapped", title="C with mapped weights"),
)


def find(name: str) -> Target:
    """The target called ``name``.

    Raises:
        UserError: there is none; lists those there are.
    """
    for target in (*TARGETS, *FORMS):
        if target.name == name:
            return target
        if target.name + STREAM == name:
            return streaming(target)
    known = ", ".join(target.name for target in (*TARGETS, *FORMS))
    raise UserError(f"unknown target '{name}'", fix=f"choose from: {known}; each also with {STREAM} behind it")


def streaming(target: Target) -> Target:
    """The target that computes hop by hop what ``target`` computes of a window."""
    return replace(target, name=target.name + STREAM, title=f"streaming {target.title}")


def by_suffix(path: Path) -> Target:
    """The target whose artefacts end like ``path``.

    Raises:
        UserError: no target's do; lists the suffixes.
    """
    for target in TARGETS:
        if path.suffix == target.suffix:
            return target
    known = ", ".join(target.suffix for target in TARGETS)
    raise UserError("not an artefact that phiz knows", where=str(path), fix=f"expected one of: {known}")
