"""What makes the head, on meshes small enough to know the answer."""

from __future__ import annotations

import io

import numpy as np
import pytest

from bench.head.__main__ import METRES, joined, packed
from bench.head.brows import LIFT, brow
from bench.head.eyes import eye
from bench.head.skin import above, ring, trimmed
from bench.head.source import Ints, Mesh, Piece
from distill.controls import ARKIT

AROUND, HIGH = 8, 5
NOTHING = np.zeros((0, 2))


def tube() -> Ints:
    """Quads of a tube; the vertices of row r are r * AROUND and following."""
    rows = np.arange((HIGH + 1) * AROUND).reshape(-1, AROUND)
    below, over = rows[:-1], rows[1:]
    return np.stack([below, np.roll(below, -1, 1), np.roll(over, -1, 1), over], axis=-1).reshape(-1, 4)


def mesh(vertices: np.ndarray, quads: dict[str, Ints], moved: dict[str, np.ndarray] | None = None) -> Mesh:
    shapes = {name: np.zeros_like(vertices) for name in ARKIT} | (moved or {})
    return Mesh(vertices, quads, dict.fromkeys(quads, NOTHING), shapes)


def test_a_cut_goes_round_and_keeps_what_is_over_it() -> None:
    cut = ring(tube(), 2 * AROUND + 3)
    row = range(2 * AROUND, 3 * AROUND)
    assert cut == {frozenset((v, 2 * AROUND + (v + 1) % AROUND)) for v in row}
    kept = above(tube(), cut, 0)
    assert np.array_equal(np.flatnonzero(kept), np.arange(2 * AROUND, HIGH * AROUND))


def test_no_cut_goes_through_the_rim() -> None:
    with pytest.raises(ValueError, match="no ring"):
        ring(tube(), 0)


def test_lashes_keep_the_rows_next_to_the_lid() -> None:
    rows, columns = 5, 7  # vertices; row 0 lies at the eyeball
    y, x = np.mgrid[0:rows, 0:columns]
    vertices = np.stack([x - 3, y, 0 * x], axis=-1).reshape(-1, 3).astype(float)
    grid = np.arange(rows * columns).reshape(rows, columns)
    card = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], axis=-1).reshape(-1, 4)
    eyeball = np.array([[2, 3, 4, 3]])
    kept = trimmed(mesh(vertices, {"helper-l-eyelashes-2": card, "helper-l-eye": eyeball}), "l")
    assert np.array_equal(kept, card[columns - 1 : 2 * (columns - 1)])  # rows 1 to 2


def test_an_eye_turns_as_the_old_one_did() -> None:
    random = np.random.default_rng(3)
    corners = random.normal(size=(36, 3))
    corners = np.concatenate([corners, -corners])  # balanced, so that the middle is the centre
    centre, turn = np.array([0.3, 7.3, 1.2]), np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]])
    points = centre + 0.15 * corners / np.linalg.norm(corners, axis=1, keepdims=True)
    points = np.concatenate([points, centre + 0.15 * np.concatenate([np.eye(3), -np.eye(3)])])
    moved = {"eyeLookUpLeft": (points - centre) @ (turn.T - np.eye(3)) + 0.01}
    quads = {"helper-l-eye": np.arange(len(points)).reshape(-1, 2).repeat(2, axis=1)}
    ball = eye(mesh(points, quads, moved), "l")
    assert np.allclose(np.linalg.norm(ball.vertices - centre, axis=1), 0.15)
    expected = (ball.vertices - centre) @ turn.T + centre + 0.01
    assert np.allclose(ball.vertices + ball.offsets[ARKIT.index("eyeLookUpLeft")], expected, atol=1e-9)
    assert not ball.offsets[ARKIT.index("jawOpen")].any()
    pupils = ball.vertices[np.unique(ball.parts["pupils"])]
    assert (pupils[:, 2] - centre[2] > 0.15 * np.cos(np.radians(10))).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_a_brow_lies_on_the_skin_and_moves_with_it(sign: int) -> None:
    corners = np.array([[-9, 0, 1], [9, 0, 1], [0, 30, 1], [-9, 0, -1], [9, 0, -1], [0, 30, -1]], float)
    faces = np.array([[0, 1, 2], [3, 4, 5]])  # a wall in front of another
    offsets = np.stack([corners[:, [1, 2, 0]]])  # linear, so that any point's offset is known
    strip = brow(Piece(corners, {}, offsets), faces, sign)
    assert np.allclose(strip.vertices[:, 2], 1 + LIFT)
    assert (sign * strip.vertices[:, 0] > 0).all()
    on_skin = strip.vertices - (0, 0, LIFT)
    assert np.allclose(strip.offsets[0], on_skin[:, [1, 2, 0]])
    a, b, c = (strip.vertices[strip.parts["brows"][:, k]] for k in range(3))
    assert (np.cross(b - a, c - a)[:, 2] > 0).all()  # seen from the front


def test_the_asset_says_what_was_made() -> None:
    random = np.random.default_rng(4)
    vertices, offsets = random.normal(size=(6, 3)), random.normal(size=(52, 6, 3))
    offsets[:, 2] = 0
    names = ("skin", "lips", "mouth", "teeth", "tongue", "lashes", "eyes", "irises", "pupils", "brows")
    parts = {name: np.array([[1, 2, 4]]) for name in names}  # 0, 3 and 5 belong to nothing
    stored = np.load(io.BytesIO(packed(joined([Piece(vertices, parts, offsets)]), np.ones(3))), allow_pickle=False)
    assert np.allclose(stored["vertices"], METRES * (vertices[[1, 2, 4]] - 1), atol=1e-7)
    assert np.array_equal(stored["triangles"], [[0, 1, 2]] * len(names))
    assert stored["shape_sizes"].tolist() == [2] * 52
    assert stored["indices"].tolist() == [0, 2] * 52
    steps = stored["offsets"].reshape(52, 2, 3) * stored["shape_scales"][:, None, None]
    half = stored["shape_scales"].max() / 2
    assert np.abs(steps - METRES * offsets[:, [1, 4]]).max() <= 1.01 * half  # rounded to int16
