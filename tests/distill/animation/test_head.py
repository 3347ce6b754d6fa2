"""The head that ships: whole, the right way round, and moved by the 52 shapes as their names say."""

from __future__ import annotations

import hashlib
from collections import Counter
from importlib.resources import files

import numpy as np
import pytest
from numpy.typing import NDArray

from distill.animation.head import Head, Part, Shape, load, normals, posed
from distill.controls import ARKIT

MILLIMETRE = 0.001


@pytest.fixture(scope="module")
def head() -> Head:
    return load()


def part(head: Head, name: str) -> Part:
    return next(part for part in head.parts if part.name == name)


def shape(head: Head, name: str) -> Shape:
    return next(shape for shape in head.shapes if shape.name == name)


def edges(triangles: NDArray[np.uint16]) -> Counter[tuple[int, int]]:
    return Counter((a, b) for t in triangles.tolist() for a, b in zip(t, t[1:] + t[:1], strict=True))


def test_the_asset_is_what_bench_head_wrote() -> None:
    data = files("distill.animation").joinpath("head.npz").read_bytes()
    assert hashlib.sha256(data).hexdigest() == "93e98d061943477c021fa6dbfe2988be75d9aef80bf2983f03d8abc6fc3f554b"
    assert len(data) < 300_000


def test_shapes_are_arkits(head: Head) -> None:
    assert tuple(shape.name for shape in head.shapes) == ARKIT
    for shape in head.shapes:
        assert shape.offsets.shape == (len(shape.indices), 3)
        assert (np.diff(shape.indices.astype(int)) > 0).all()
        assert shape.indices[-1] < len(head.vertices)
        assert 0.5 * MILLIMETRE < np.abs(shape.offsets).max() < 0.06  # the tongue comes out by five centimetres


def test_every_vertex_belongs_to_a_part_and_the_other_way_round(head: Head) -> None:
    assert np.array_equal(np.unique(head.triangles), np.arange(len(head.vertices)))
    assert head.vertices.dtype == np.float32
    assert head.triangles.dtype == np.uint16
    assert {part.name for part in head.parts} == {
        *("skin", "lips", "mouth", "teeth", "tongue", "lashes", "eyes", "irises", "pupils", "brows")
    }
    assert all(0 <= value <= 1 for part in head.parts for value in part.colour)


def test_arrays_that_all_share_cannot_be_written(head: Head) -> None:
    with pytest.raises(ValueError, match="read-only"):
        head.vertices[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        head.shapes[0].offsets[0] = 0


def test_skin_has_no_hole_but_the_neck_and_no_face_the_other_way(head: Head) -> None:
    # A directed edge that occurs once, and whose twin does too: neighbours agree on what is outside.
    skin = np.concatenate([part(head, name).triangles for name in ("skin", "lips", "mouth")])
    found = edges(skin)
    assert set(found.values()) == {1}
    border = [(a, b) for a, b in found if (b, a) not in found]
    follows = dict(border)
    ring = [border[0][0]]
    while (after := follows[ring[-1]]) != ring[0]:
        ring.append(after)
    assert len(ring) == len(border) == 42  # one ring, round the neck
    assert head.vertices[ring, 1].max() < head.vertices[part(head, "lips").triangles, 1].min()


@pytest.mark.parametrize("names", [("eyes", "irises", "pupils"), ("tongue",)])
def test_closed_parts_have_their_outside_outside(head: Head, names: tuple[str, ...]) -> None:
    triangles = np.concatenate([part(head, name).triangles for name in names])
    found = edges(triangles)
    assert set(found.values()) == {1}
    assert all((b, a) in found for a, b in found)
    a, b, c = (head.vertices[triangles[:, k]].astype(float) for k in range(3))
    volume = np.einsum("ij,ij->", a, np.cross(b, c)) / 6
    assert volume > 0


def test_it_is_a_head_in_metres_that_looks_forward(head: Head) -> None:
    low, high = head.vertices.min(axis=0), head.vertices.max(axis=0)
    assert 0.25 < high[1] - low[1] < 0.32
    assert 0.15 < high[0] - low[0] < 0.20
    pupils = head.vertices[np.unique(part(head, "pupils").triangles)]
    eyes = head.vertices[np.unique(part(head, "eyes").triangles)]
    assert pupils[:, 2].mean() > eyes[:, 2].mean() + 5 * MILLIMETRE  # +Z
    crown = head.vertices[head.vertices[:, 1].argmax()]
    assert crown[1] > pupils[:, 1].mean() > head.vertices[np.unique(part(head, "lips").triangles), 1].mean()  # +Y


def test_left_is_its_own_left(head: Head) -> None:
    sided = [name for name in ARKIT if name.endswith("Left") and name not in ("jawLeft", "mouthLeft")]
    for name in sided:
        for sign, side in ((1, "Left"), (-1, "Right")):
            moved = shape(head, name.removesuffix("Left") + side)
            weights = np.linalg.norm(moved.offsets, axis=1)
            assert sign * np.average(head.vertices[moved.indices, 0], weights=weights) > 5 * MILLIMETRE, moved.name
    for name, sign in (("jawLeft", 1), ("jawRight", -1), ("mouthLeft", 1), ("mouthRight", -1)):
        assert sign * shape(head, name).offsets[:, 0].mean() > 0, name


@pytest.mark.parametrize(
    ("name", "parts", "axis", "least"),
    [
        ("jawOpen", ("teeth",), 1, -2 * MILLIMETRE),  # the upper ones stay
        ("jawForward", ("teeth",), 2, MILLIMETRE),
        ("tongueOut", ("tongue",), 2, 5 * MILLIMETRE),
        ("mouthPucker", ("lips",), 2, MILLIMETRE),
        ("browInnerUp", ("brows",), 1, MILLIMETRE),
        ("eyeLookUpLeft", ("pupils",), 1, MILLIMETRE),
        ("eyeLookDownRight", ("pupils",), 1, -MILLIMETRE),
        ("eyeLookInLeft", ("pupils",), 0, -MILLIMETRE),
        ("eyeLookOutLeft", ("pupils",), 0, MILLIMETRE),
        ("eyeLookInRight", ("pupils",), 0, MILLIMETRE),
        ("eyeLookOutRight", ("pupils",), 0, -MILLIMETRE),
    ],
)
def test_a_shape_moves_what_its_name_says(
    head: Head, name: str, parts: tuple[str, ...], axis: int, least: float
) -> None:
    chosen = np.unique(np.concatenate([part(head, each).triangles for each in parts]))
    moved = (posed(head, {name: 1.0}) - head.vertices)[chosen, axis].mean()
    assert moved / least > 1


def test_eyes_turn_and_stay_round(head: Head) -> None:
    pupils = np.unique(part(head, "pupils").triangles)
    balls = np.unique(np.concatenate([part(head, name).triangles for name in ("eyes", "irises", "pupils")]))
    left = balls[head.vertices[balls, 0] > 0]
    rest, turned = head.vertices[left].astype(float), posed(head, {"eyeLookUpLeft": 1.0})[left].astype(float)
    radii = [np.linalg.norm(ball - (ball.max(axis=0) + ball.min(axis=0)) / 2, axis=1) for ball in (rest, turned)]
    assert np.ptp(radii[0]) < 0.01 * MILLIMETRE
    assert np.ptp(radii[1]) < 0.5 * MILLIMETRE  # as round as the source's, which is written in tenths of a millimetre
    assert np.isin(pupils, balls).all()


def test_posed_is_rest_plus_weighted_offsets(head: Head) -> None:
    random = np.random.default_rng(6)
    weights = random.uniform(0, 1, len(head.shapes))
    dense = np.zeros((len(head.shapes), len(head.vertices), 3))
    for row, shape in zip(dense, head.shapes, strict=True):
        row[shape.indices] = shape.offsets
    expected = head.vertices + np.einsum("s,svd->vd", weights, dense)
    controls = dict(zip(ARKIT, weights.tolist(), strict=True)) | {"ears": 1.0}
    assert np.abs(posed(head, controls) - expected).max() < 1e-6  # 52 sums in float32, of centimetres
    assert np.array_equal(posed(head, {}), head.vertices)


def test_normals_of_an_octahedron() -> None:
    vertices = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1], [7, 7, 7]], np.float32)
    triangles = np.array(
        [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]], np.uint16
    )
    expected = [*vertices[:6], (0, 0, 1)]  # what no triangle has looks forward
    assert np.allclose(normals(vertices, triangles), expected, atol=1e-7)


def test_normals_of_the_head_point_outwards(head: Head) -> None:
    found = normals(head.vertices, head.triangles)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    nose = head.vertices[:, 2].argmax()
    crown = head.vertices[:, 1].argmax()
    assert found[nose, 2] > 0.7
    assert found[crown, 1] > 0.7
