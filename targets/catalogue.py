"""Which targets there are: data, not registration. Heavy libraries are imported where they are used."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

from compile.errors import MissingExtra, UserError
from targets.base import Artifact, Dissection, Files, Runner

if TYPE_CHECKING:  # onnx_ir takes most of a second to import, and the auditor does without
    from compile.model import Model


@dataclass(frozen=True)
class Target:
    """A target by name; its folder ``targets/<name>/`` holds lower.py, dissect.py and run.py.

    Attributes:
        name: as on the command line.
        title: as a person would call it.
        suffix: of the artefact's file or package.
        writer: the package that lowering needs beyond core, or empty.
        runtime: the package that running needs beyond core, or empty.
        extra: the pip extra that provides both, or empty when core does.
    """

    name: str
    title: str
    suffix: str
    writer: str
    runtime: str
    extra: str

    def lower(self, model: Model) -> Artifact:
        """Translate a hub graph into this target's bytes."""
        self.require(self.writer, f"writing {self.title}")
        return cast(Artifact, import_module(f"targets.{self.name}.lower").lower(model))

    def dissect(self, files: Files) -> Dissection:
        """Label every byte of an artefact; core phiz suffices."""
        return cast(Dissection, import_module(f"targets.{self.name}.dissect").dissect(files))

    def load(self, path: Path) -> Runner:
        """Make an artefact on disk ready to execute."""
        self.require(self.runtime, f"running {self.title}")
        return cast(Runner, import_module(f"targets.{self.name}.run").load(path))

    def require(self, package: str, need: str) -> None:
        """Raise MissingExtra when ``package`` is not installed."""
        if package and find_spec(package) is None:
            raise MissingExtra(need, self.extra, package)


TARGETS = (
    Target("onnx", "ONNX", ".onnx", "", "", ""),
    Target("tflite", "TFLite", ".tflite", "ai_edge_litert", "ai_edge_litert", "tflite"),
    Target("coreml", "Core ML", ".mlpackage", "coremltools", "", "coreml"),
)


def find(name: str) -> Target:
    """The target called ``name``.

    Raises:
        UserError: there is none; lists those there are.
    """
    for target in TARGETS:
        if target.name == name:
            return target
    known = ", ".join(target.name for target in TARGETS)
    raise UserError(f"unknown target '{name}'", fix=f"choose from: {known}")


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
