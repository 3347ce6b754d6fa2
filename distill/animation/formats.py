"""The formats of curves, as data: each is one function from frames to bytes, in a file of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compile.errors import Bug, UserError
from compile.files import write_atomically
from distill.animation import csv, gltf, json, npz

Encode = Callable[[Iterable[NDArray[np.float32]], int, Sequence[str], float, str], Iterator[bytes]]
"""Frames in blocks ``[n, controls]``, none of them empty, how many there are in all, the names of their controls, how
many come a second, and what they show: to the bytes of a file, piece by piece, none larger than a few blocks."""

FORMATS: Mapping[str, Encode] = {
    "csv": csv.encode,
    "json": json.encode,
    "npz": npz.encode,
    "glb": gltf.glb,
}
"""By the suffix of their files, without the dot."""


def encode(
    name: str,
    blocks: Iterable[NDArray[np.float32]],
    frames: int,
    controls: Sequence[str],
    frame_rate: float,
    title: str = "",
) -> Iterator[bytes]:
    """A file of curves in the format called ``name``, piece by piece; see :data:`Encode`.

    Raises:
        UserError: a block is not ``[n, controls]``, or not finite.
    """
    return FORMATS[name](_checked(blocks, frames, len(controls)), frames, controls, frame_rate, title)


def write(path: Path, curves: NDArray[np.float32], controls: Sequence[str], frame_rate: float, title: str = "") -> None:
    """Write ``curves`` [frames, controls], atomically, in the format that the suffix of ``path`` names.

    Raises:
        UserError: there is no such format, the curves have another shape or are not finite, or the file cannot be
            written.
    """
    name = path.suffix.lower().removeprefix(".")
    if name not in FORMATS:
        known = ", ".join(f".{known}" for known in FORMATS)
        raise UserError("curves are not written in this format", where=str(path), fix=f"name it {known}")
    write_atomically(path, encode(name, [curves], len(curves), controls, frame_rate, title))


def _checked(blocks: Iterable[NDArray[np.float32]], frames: int, controls: int) -> Iterator[NDArray[np.float32]]:
    found = 0
    for block in blocks:
        if block.ndim != 2 or block.shape[1] != controls:
            raise UserError(f"a face needs curves [frames, {controls}], not {list(block.shape)}")
        if not np.isfinite(block).all():
            raise UserError("a face needs finite curves, and some of these are NaN or infinite")
        found += len(block)
        if len(block):
            yield block
    if found != frames:
        raise Bug(f"{found} frames came, {frames} were announced")
