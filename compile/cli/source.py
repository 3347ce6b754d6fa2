"""What a user may name as a model or as calibration input, and how it is read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compile.errors import UserError
from compile.factory import is_reference

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from compile.model import Model
    from compile.samples import Split

KEPT = 16_000_000  # samples that stay in memory, 64 MB: a quarter of an hour
_KINDS = "a student folder or phiz:NAME, model.onnx, model.pt2 or package.module:factory"


def read_model(reference: str, shapes: dict[str, tuple[int, ...]]) -> Model:
    """Capture whatever ``reference`` names; see :func:`read_network`."""
    return read_network(reference, shapes)[0]


def read_network(reference: str, shapes: dict[str, tuple[int, ...]]) -> tuple[Model, torch.nn.Module | None]:
    """Capture whatever ``reference`` names; and the very torch module that was captured, if it is one.

    Raises:
        UserError: there is no such thing, or it is of no kind that phiz takes.
    """
    from compile import capture
    from distill.pretrained import locate

    path = locate(reference)
    if shapes and path.suffix != ".onnx":
        raise UserError("--shape is for .onnx files", where=reference, fix="torch networks take their example's shapes")
    if path.is_dir():
        from distill.students.folder import load

        student, example_inputs, metadata = load(path)
        return capture.from_module(student, example_inputs, metadata), student
    if path.suffix == ".onnx":
        return capture.from_onnx(path, shapes), None
    if path.suffix == ".pt2":
        program = capture.load_pt2(path)
        return capture.from_program(program, path), program.module()
    if not path.exists() and is_reference(reference):
        module, example_inputs = capture.load_factory(reference)
        return capture.from_module(module, example_inputs), module
    what = "phiz cannot compile a file of this kind" if path.exists() else "there is no such file, folder or factory"
    raise UserError(what, where=reference, fix=f"give {_KINDS}")


def parse_shapes(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """``NAME=1x8192`` by name.

    Raises:
        UserError: not of that form.
    """
    shapes = {}
    for text in texts:
        match = re.fullmatch(r"(.+)=(\d+(?:x\d+)*)", text)
        sizes = tuple(int(size) for size in match.group(2).split("x")) if match else ()
        if match is None or 0 in sizes:
            raise UserError(f"'{text}' is not a shape", where="--shape", fix="write NAME=1x8192")
        shapes[match.group(1)] = sizes
    return shapes


def read_samples(model: Model, references: Sequence[str], windows: int) -> Split:
    """Calibration input: nothing (random), one ``.npz``, or audio files, folders and globs.

    Raises:
        UserError: unreadable audio, no audio at all, or arrays that do not fit.
    """
    from compile import samples

    if not references:
        return samples.random_input(model)
    archives = [reference for reference in references if reference.endswith(".npz")]
    if archives:
        if len(references) > 1:
            raise UserError("an .npz stands alone", where="--calibrate", fix="give one .npz, or audio")
        return samples.from_npz(model, Path(archives[0]))
    from distill.audio import RATES, SAMPLE_RATE
    from distill.corpus.sources import find

    claimed = model.metadata.get("phiz.sample_rate", str(SAMPLE_RATE))
    if not claimed.isdecimal() or not RATES[0] <= int(claimed) <= RATES[1]:
        what = f"the model's metadata claim a sample rate of {claimed} Hz"
        raise UserError(what, where="--calibrate", fix="mend phiz.sample_rate, or give an .npz of windows")
    clips = _Speech([source.path for source in find(list(references))], int(claimed))
    return samples.from_clips(model, clips, windows)


class _Speech(Sequence["NDArray[np.float32]"]):
    """Audio files as clips. The first of them stay decoded, as many as fit; the others are decoded at every look."""

    def __init__(self, paths: Sequence[Path], rate: int) -> None:
        self.paths, self.rate = paths, rate
        self.kept: dict[int, NDArray[np.float32]] = {}
        self.room = KEPT

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> Any:
        from distill.audio import decode

        if index in self.kept:
            return self.kept[index]
        clip = decode(self.paths[index], self.rate)
        if len(clip) <= self.room:
            self.kept[index] = clip
            self.room -= len(clip)
        return clip
