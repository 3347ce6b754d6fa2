"""Brows, which the source has not."""

from __future__ import annotations

import numpy as np

from bench.head.source import Floats, Ints, Piece, triangles

# The left one from the front, in decimetres: x, y and half the thickness, as the four points of a Bézier curve.
BROW = np.array([[0.125, 7.442, 0.009], [0.211, 7.524, 0.041], [0.507, 7.542, 0.005], [0.545, 7.435, 0.002]])
STATIONS, LANES = 29, 5
LIFT = 0.007  # over the skin


def brow(body: Piece, face: Ints, sign: int) -> Piece:
    """A brow as a strip on the skin, left (1) or right (-1): every point moves with the triangle that it lies on."""
    t = np.linspace(0, 1, STATIONS)
    line = np.stack([(1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3], axis=1) @ BROW
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


def turn(a: Floats, b: Floats, point: Floats) -> Floats:
    """Twice the signed area of triangles ``a``, ``b``, ``point``, seen from the front."""
    return (b[:, 0] - a[:, 0]) * (point[1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (point[0] - a[:, 0])
