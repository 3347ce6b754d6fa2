"""The parts that the source has: skin down to the neck, lips, the inside of the mouth, teeth, tongue, upper lashes."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bench.head.source import Floats, Ints, Mesh, Piece, triangles

# Vertices of the base mesh at the nape: the loop through the first is the cut, the second lies below it.
NECK = (858, 1496)
LIPS = 7  # rings of quads around the inside of the mouth
REST = {"mouthClose": 0.08}  # the source's lips stand open by a hair
# Times and plus, in decimetres. The source's teeth show through the corners of the mouth, and hide behind its tongue.
INSIDE = {
    "helper-upper-teeth": ((0.84, 1, 1), (0, -0.025, -0.06)),
    "helper-lower-teeth": ((0.82, 0.45, 1), (0, 3.51, -0.07)),
    "helper-tongue": ((0.92, 1, 1), (0, -0.07, -0.10)),
}
LASHES = {1, 2}  # rows of vertices of the upper lashes' cards that are kept, of 0 at the eyeball to 4


def parts(mesh: Mesh, inside: NDArray[np.bool_]) -> list[Piece]:
    """All of them; ``inside`` is the mask of the inside of the mouth. Skin and lips are in the first piece."""
    tongue = mesh.quads["helper-tongue"]
    lashes = [trimmed(mesh, side) for side in "lr"]
    vertices, offsets = rest(mesh), np.stack(list(mesh.shapes.values()))
    # The tongue comes out over the lip, where the source has it, not through the lip.
    offsets[list(mesh.shapes).index("tongueOut"), tongue] += (mesh.vertices - vertices)[tongue]
    body = Piece(vertices, skin(mesh, inside) | {"tongue": triangles(tongue), "lashes": triangles(*lashes)}, offsets)
    # A tooth is flat and has edges: each quad gets vertices of its own, and so a normal.
    teeth = np.concatenate([mesh.quads[name] for name in ("helper-upper-teeth", "helper-lower-teeth")]).ravel()
    own = np.arange(len(teeth)).reshape(-1, 4)
    return [body, Piece(vertices[teeth], {"teeth": triangles(own)}, offsets[:, teeth])]


def rest(mesh: Mesh) -> Floats:
    """The vertices of a face that does nothing."""
    vertices = mesh.vertices + sum(weight * mesh.shapes[name] for name, weight in REST.items())
    for name, (times, plus) in INSIDE.items():
        moved = np.unique(mesh.quads[name])
        vertices[moved] = vertices[moved] * times + plus
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
    near = neighbours(quads)
    for first in sorted(near[start]):
        path = [start, first]
        while len(near[path[-1]]) == 4 and path[-1] != start:
            around = {int(v) for quad in quads if set(path[-2:]) <= set(quad.tolist()) for v in quad}
            path.append(min(near[path[-1]] - around))
        if path[-1] == start and len(path) < 60:  # another loop goes up over the head
            return {frozenset(pair) for pair in pairwise(path)}
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
    return quads[[{row[v] for v in quad} <= LASHES for quad in quads.tolist()]]


def neighbours(quads: Ints) -> dict[int, set[int]]:
    """What each vertex shares an edge with."""
    near: dict[int, set[int]] = {}
    for quad in quads.tolist():
        for a, b in zip(quad, quad[1:] + quad[:1], strict=True):
            near.setdefault(a, set()).add(b)
            near.setdefault(b, set()).add(a)
    return near


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
