"""The head that ships: a mesh in parts and the 52 ARKit shapes, public domain (``HEAD.md`` says whence).

Metres; Y is up, the head looks towards +Z, and its left is +X: right-handed, as in glTF. The origin is where the skull
turns on the neck. ``bench/head`` writes ``head.npz``, and is the place to change what the head looks like.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

ASSET = "head.npz"


@dataclass(frozen=True)
class Part:
    """Triangles of one colour.

    Attributes:
        name: skin, lips, mouth (inside), eyes, irises, pupils, teeth, tongue, lashes or brows.
        colour: linear red, green, blue and alpha, in [0, 1].
        triangles: ``[T, 3]`` uint16 into the head's vertices, counter-clockwise seen from outside.
    """

    name: str
    colour: tuple[float, float, float, float]
    triangles: NDArray[np.uint16]


@dataclass(frozen=True)
class Shape:
    """What a control of 1 adds to the head at rest.

    Attributes:
        name: of the control.
        indices: ``[K]`` uint16, ascending: the vertices that move.
        offsets: ``[K, 3]`` float32, metres: how far.
    """

    name: str
    indices: NDArray[np.uint16]
    offsets: NDArray[np.float32]


@dataclass(frozen=True)
class Head:
    """A head at rest: ``vertices`` ``[V, 3]`` float32 that all parts share, and its shapes in ARKit order."""

    vertices: NDArray[np.float32]
    parts: tuple[Part, ...]
    shapes: tuple[Shape, ...]

    @property
    def triangles(self) -> NDArray[np.uint16]:
        """Those of all parts, ``[T, 3]``."""
        return np.concatenate([part.triangles for part in self.parts])


@cache
def load() -> Head:
    """The head; its arrays are read-only, for everyone has the same ones."""
    with np.load(io.BytesIO(files(__package__).joinpath(ASSET).read_bytes()), allow_pickle=False) as stored:
        data = {name: stored[name] for name in stored.files}
    triangles = np.split(data["triangles"], np.cumsum(data["part_sizes"])[:-1])
    parts = [
        Part(str(name), (float(colour[0]), float(colour[1]), float(colour[2]), float(colour[3])), piece)
        for name, colour, piece in zip(data["part_names"], data["part_colours"], triangles, strict=True)
    ]
    ends = np.cumsum(data["shape_sizes"])[:-1]
    steps = zip(data["shape_scales"], np.split(data["offsets"], ends), strict=True)
    offsets = [np.asarray(scale * whole, np.float32) for scale, whole in steps]
    pieces = zip(data["shape_names"], np.split(data["indices"], ends), offsets, strict=True)
    shapes = [Shape(str(name), indices, offset) for name, indices, offset in pieces]
    for array in (data["vertices"], *triangles, *(shape.indices for shape in shapes), *offsets):
        array.flags.writeable = False
    return Head(data["vertices"], tuple(parts), tuple(shapes))


def posed(head: Head, controls: Mapping[str, float]) -> NDArray[np.float32]:
    """The vertices ``[V, 3]`` of a face: the head at rest plus each shape as far as the control of its name says.

    Controls of other names move nothing.
    """
    vertices = head.vertices.copy()
    for shape in head.shapes:
        if weight := controls.get(shape.name, 0.0):
            vertices[shape.indices] += np.float32(weight) * shape.offsets
    return vertices


def normals(vertices: NDArray[np.float32], triangles: NDArray[np.integer]) -> NDArray[np.float32]:
    """Unit normals ``[V, 3]``: the mean of the faces around a vertex, by their areas; +Z where there is none."""
    a, b, c = (vertices[triangles[:, corner]].astype(np.float64) for corner in range(3))
    faces = np.cross(b - a, c - a)  # twice a triangle's area long
    sums = np.stack(
        [np.bincount(triangles.ravel(), np.repeat(faces[:, axis], 3), len(vertices)) for axis in range(3)], axis=1
    )
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.where(lengths > 0, sums / np.maximum(lengths, 1e-30), (0.0, 0.0, 1.0)).astype(np.float32)
