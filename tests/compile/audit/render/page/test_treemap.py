"""Areas are proportional, inside, apart, and no longer than they must be."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compile.audit.render.page.treemap import Rect, squarify

SIZES = st.lists(st.integers(0, 10**9), min_size=1, max_size=60)
SIDES = st.floats(1.0, 2_000.0)
# Rounding: every edge is a sum of at most 60 terms of relative error 2**-52 each; 1e-9 of the whole is far above that.
SLACK = 1e-9


@settings(max_examples=150, deadline=None)
@given(SIZES, SIDES, SIDES)
def test_areas_are_proportional_inside_and_apart(sizes: list[int], width: float, height: float) -> None:
    rects = squarify(sizes, width, height)
    whole, total = width * height, sum(sizes)
    assert len(rects) == len(sizes)
    for rect, size in zip(rects, sizes, strict=True):
        expected = whole * size / total if total else 0.0
        assert rect.width * rect.height == pytest.approx(expected, abs=SLACK * whole)
        assert rect.x >= 0
        assert rect.y >= 0
        assert rect.x + rect.width <= width * (1 + SLACK)
        assert rect.y + rect.height <= height * (1 + SLACK)
    for index, one in enumerate(rects):
        for other in rects[:index]:
            assert _shared(one, other) <= SLACK * whole


def _shared(one: Rect, other: Rect) -> float:
    across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return max(across, 0.0) * max(down, 0.0)


def test_the_example_of_the_paper() -> None:
    """Bruls, Huizing and van Wijk, figure 4: sizes 6 6 4 3 2 2 1 in 6 by 4."""
    rects = squarify((6, 6, 4, 3, 2, 2, 1), 6, 4)
    sides = [(round(rect.width, 4), round(rect.height, 4)) for rect in rects]
    assert sides[:4] == [(3, 2), (3, 2), (1.7143, 2.3333), (1.2857, 2.3333)]
    assert rects[0] == Rect(0, 0, 3, 2)
    assert rects[1] == Rect(0, 2, 3, 2)


def test_equal_sizes_are_nearly_square() -> None:
    for count in (4, 9, 64, 100):
        ratios = [max(r.width / r.height, r.height / r.width) for r in squarify([1] * count, 1000, 1000)]
        assert max(ratios) <= 1.6


def test_one_fills_everything_and_nothing_is_nothing() -> None:
    assert squarify([5], 30, 20) == (Rect(0, 0, 30, 20),)
    assert squarify([], 30, 20) == ()
    assert squarify([0, 0], 30, 20) == (Rect(0, 0, 0, 0),) * 2


def test_ten_thousand_take_no_time() -> None:
    rects = squarify([1_000_000 // (index + 1) + 1 for index in range(10_000)], 1000, 440)
    assert math.isclose(sum(r.width * r.height for r in rects), 440_000, rel_tol=1e-9)
