from __future__ import annotations

import pytest

from bench.own.page import exponent, verdict


@pytest.mark.parametrize("power", [0.5, 1.0, 1.3, 2.0])
def test_the_power_is_found_behind_a_fixed_cost(power: float) -> None:
    points = [(size, 5.0 + 3 * size**power) for size in (0.05, 0.8, 3.0, 20.0)]
    assert exponent(points) == pytest.approx(power)


def test_what_does_not_grow_is_constant_and_two_points_say_nothing() -> None:
    assert exponent([(1.0, 5.0), (4.0, 5.1), (15.0, 5.0)]) == 0
    assert exponent([(1.0, 5.0), (4.0, 5.2), (15.0, 5.2)]) == 0
    assert exponent([(1.0, 5.0), (4.0, 4.9), (15.0, 6.0)]) is None
    assert exponent([(1.0, 5.0), (4.0, 6.0)]) is None


def test_verdicts() -> None:
    assert [verdict(power) for power in (None, 0, 0.9, 1.1, 1.3)] == [
        *("-", "constant", "linear or better", "linear or better", "**worse than linear**")
    ]
