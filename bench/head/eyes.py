"""Eyeballs: the source's have 72 vertices and one colour."""

from __future__ import annotations

import numpy as np

from bench.head.source import Ints, Mesh, Piece, triangles

# Rings, in degrees from where the eye looks, and the part that ends at each.
RINGS = np.array([0, 5, 9, 13.5, 18, 23, 30, 38, 46, 56, 68, 80, 95, 110, 130, 150, 180.0])
SEGMENTS, PUPIL, IRIS = 32, 9, 23


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
