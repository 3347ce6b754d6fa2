"""What can be audited: every format by its suffix, as data; a target's artefacts are among them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from compile.errors import UserError
from targets.base import Dissection, Files
from targets.catalogue import FORMS, TARGETS, streaming
from targets.stream import family


@dataclass(frozen=True)
class Format:
    """A format by name.

    Attributes:
        name: of the target that writes it, or the format's own.
        title: as a person would call it.
        suffix: of the file or package.
        module: whose ``dissect(files)`` labels every byte.
        folder: whether its artefacts are folders.
    """

    name: str
    title: str
    suffix: str
    module: str
    folder: bool = False

    def check(self, path: Path) -> None:
        """Raise UserError where ``path`` is a folder and this format's artefacts are files, or the other way round."""
        if path.is_dir() != self.folder:
            are, found = ("folders", "file") if self.folder else ("files", "folder")
            what = f"it is a {found}, and {self.title} artefacts ({self.suffix}) are {are}"
            raise UserError(what, where=path.name, fix="name the artefact itself")

    def dissect(self, files: Files) -> Dissection:
        """Label every byte of an artefact; core phiz suffices."""
        dissect = cast(Callable[[Files], Dissection], import_module(self.module).dissect)
        return dissect(files)


FORMATS = (
    Format("onnx", "ONNX", ".onnx", "targets.onnx.dissect"),
    Format("tflite", "TFLite", ".tflite", "targets.tflite.dissect"),
    Format("coreml", "Core ML", ".mlpackage", "targets.coreml.dissect", folder=True),
    Format("c", "C source", ".c", "targets.c.dissect"),
    Format("mlmodel", "Core ML model file", ".mlmodel", "targets.coreml.dissect"),
    Format("safetensors", "safetensors", ".safetensors", "compile.audit.safetensors"),
)


def by_suffix(path: Path) -> Format:
    """The format of artefacts that end like ``path``.

    Raises:
        UserError: there is none; lists the suffixes.
    """
    for known in FORMATS:
        if path.suffix == known.suffix:
            return known
    suffixes = ", ".join(known.suffix for known in FORMATS)
    raise UserError("not an artefact that phiz knows", where=str(path), fix=f"expected one of: {suffixes}")


def of_target(name: str) -> Format | None:
    """The format of what a target, or a form of it, writes."""
    return next((known for known in FORMATS if known.name == family(name)), None)


def names() -> tuple[str, ...]:
    """What a row's target can be: every format, every form of a target, and each of those that streams."""
    windows = (*(known.name for known in FORMATS), *(form.name for form in FORMS))
    return (*windows, *(streaming(target).name for target in (*TARGETS, *FORMS)))
