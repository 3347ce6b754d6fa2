"""How open each vertex of a head is to the sky: without it, nostrils glow and the throat is lit.

From many directions, depths on a grid say which vertices are seen; those that are count by how much they face there
(Zhukov, Iones, Kronin: An ambient light illumination model, 1998). numpy takes half a second for it as a page is made,
and a page no time as it is opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from distill.animation.head import Head

AXES = 40  # each is looked along both ways
BELOW = -0.7  # from straight below nothing comes: there is a body
CELL = 0.0025  # metres of the grid
BESIDE = 0.004  # metres; what is nearer does not hide, or every vertex would hide itself
POSES: tuple[dict[str, float], ...] = ({}, {"jawOpen": 1.0})
Floats = NDArray[np.float32]


def openness(head: Head) -> NDArray[np.uint8]:
    """``[V, 2]``: how open, 0 to 255, with the jaw closed and open."""
    from distill.animation.head import normals, posed

    found = []
    for pose in POSES:
        vertices = posed(head, pose)
        facing = normals(vertices, head.triangles)
        surface = np.ascontiguousarray(np.concatenate(list(_sampled(vertices[head.triangles]))).T)
        light, most = np.zeros(len(vertices), np.float32), np.full(len(vertices), 1e-6, np.float32)
        for axis in _axes():
            for direction, seen in zip((axis, -axis), _seen(vertices, surface, axis), strict=True):
                if direction[1] > BELOW:
                    towards = np.maximum(facing @ direction, 0)
                    most += towards
                    light += towards * seen
        found.append(_smoothed(_smoothed(light / most, head.triangles), head.triangles))
    return np.round(255 * np.stack(found, axis=1)).astype(np.uint8)


def _axes() -> Floats:
    """Evenly over half a sphere (a Fibonacci lattice), ``[AXES, 3]``."""
    number = np.arange(AXES)
    y = 1 - (number + 0.5) / AXES
    turn, wide = number * np.pi * (3 - 5**0.5), np.sqrt(1 - y**2)
    return np.stack([np.cos(turn) * wide, y, np.sin(turn) * wide], axis=1).astype(np.float32)


def _sampled(corners: Floats) -> Iterator[Floats]:
    """Points on triangles ``[T, 3, 3]``, no further apart than a cell: ``[P, 3]`` each."""
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    steps = np.maximum(np.ceil(longest / CELL), 1).astype(int)
    for count in np.unique(steps):
        first, second = np.mgrid[: count + 1, : count + 1]
        inside = first + second <= count
        shares = np.stack([first[inside], second[inside], count - first[inside] - second[inside]], axis=1) / count
        yield np.einsum("pc,tcx->tpx", shares, corners[steps == count]).reshape(-1, 3).astype(np.float32)


def _seen(vertices: Floats, surface: Floats, axis: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which vertices nothing of the surface ``[3, P]`` hides from far away along an axis, and against it: ``[V]``."""
    side = np.cross(axis, (0.0, 0.0, 1.0) if abs(axis[2]) < 0.9 else (1.0, 0.0, 0.0))
    side /= np.linalg.norm(side)
    frame = np.stack([side / CELL, np.cross(axis, side) / CELL, axis]).astype(np.float32)
    reach = int(np.linalg.norm(surface, axis=0).max() / CELL) + 2
    hidden, ours = frame @ surface, frame @ vertices.T

    def cell(points: Floats) -> NDArray[np.int32]:
        column, row = (points[:2] + reach).astype(np.int32)
        return np.asarray(row * (2 * reach) + column)

    places, mine = cell(hidden), cell(ours)
    front = np.full(4 * reach**2, -np.inf, np.float32)
    back = np.full(4 * reach**2, np.inf, np.float32)
    np.maximum.at(front, places, hidden[2])
    np.minimum.at(back, places, hidden[2])
    return ours[2] > front[mine] - BESIDE, ours[2] < back[mine] + BESIDE


def _smoothed(values: Floats, triangles: NDArray[np.integer]) -> Floats:
    """The mean of each vertex and its neighbours."""
    one, other = triangles.ravel(), np.roll(triangles, 1, axis=1).ravel()
    ends, others = np.concatenate([one, other]), np.concatenate([other, one])
    sums = values + np.bincount(ends, values[others], len(values))
    return np.asarray(sums / (1 + np.bincount(ends, minlength=len(values))), np.float32)
