"""How open a vertex is, of bodies of which one knows it."""

from __future__ import annotations

import numpy as np

from distill.animation.head import Head, Part
from distill.animation.view.openness import openness

GREY = (0.5, 0.5, 0.5, 1.0)


def ball(radius: float, rings: int = 16, segments: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles, counter-clockwise from outside."""
    down, round_ = np.meshgrid(np.linspace(0, np.pi, rings), np.arange(segments) * 2 * np.pi / segments, indexing="ij")
    vertices = radius * np.stack([np.sin(down) * np.sin(round_), np.cos(down), np.sin(down) * np.cos(round_)], axis=-1)
    ring, place = (grid.ravel() for grid in np.mgrid[: rings - 1, :segments])
    a, b = ring * segments + place, ring * segments + (place + 1) % segments
    c, d = a + segments, b + segments
    triangles = np.concatenate([np.stack([a, c, b], axis=1), np.stack([b, c, d], axis=1)])
    return vertices.reshape(-1, 3).astype(np.float32), triangles.astype(np.uint16)


def test_what_bulges_is_open_and_what_is_within_is_not() -> None:
    outer, triangles = ball(0.1)
    inner, _ = ball(0.05)
    head = Head(
        np.concatenate([outer, inner]),
        (Part("skin", GREY, triangles), Part("tongue", GREY, (triangles + len(outer)).astype(np.uint16))),
        (),
    )
    found = openness(head)
    assert found.dtype == np.uint8
    assert found.shape == (2 * len(outer), 2)
    assert (found[: len(outer)] > 205).all()  # of 255; light that grazes is hidden by neighbours in its cell
    assert (found[len(outer) :] == 0).all()
    np.testing.assert_array_equal(found[:, 0], found[:, 1])  # there is no jaw


def test_the_mouth_is_darker_than_the_face_and_opens(head: Head) -> None:
    found = openness(head).astype(float)
    mean = {part.name: found[np.unique(part.triangles)].mean(axis=0) for part in head.parts}
    assert mean["mouth"][0] < 20 < 130 < mean["skin"][0]
    assert mean["mouth"][1] > mean["mouth"][0] + 3
    assert mean["lips"][1] > mean["lips"][0] + 20
