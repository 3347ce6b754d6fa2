from __future__ import annotations

import pytest

from bench.own.page import exponent, verdict

ERRORS = (1.01, 1.02, 0.97, 1.03, 0.96, 1.01)


@pytest.mark.parametrize("power", [0.5, 1.0, 1.3, 2.0])
def test_the_power_is_found_behind_a_fixed_cost(power: float) -> None:
    points = [(size, 5.0 + 3 * size**power) for size in (0.05, 0.8, 3.0, 20.0)]
    assert exponent(points) == pytest.approx(power, abs=0.006)  # half a step of those that are tried


def test_what_is_measured_a_little_wrong_is_fitted_as_a_whole() -> None:
    points = [
        (size, (260 + 48 * size) * error) for size, error in zip((0.05, 0.2, 0.8, 3, 10, 20), ERRORS, strict=True)
    ]
    assert exponent(points) == pytest.approx(1, abs=0.1)


def test_what_hardly_grows_is_constant_and_two_points_say_nothing() -> None:
    assert exponent([(1.0, 5.0), (4.0, 5.1), (15.0, 5.0)]) == 0
    assert exponent([(1.0, 5.0), (4.0, 5.2), (15.0, 5.2)]) == 0
    assert exponent([(1.0, 6.0), (4.0, 3.0), (15.0, 3.1)]) == 0
    assert exponent([(1.0, 5.0), (4.0, 6.0)]) is None


def test_verdicts() -> None:
    assert [verdict(power) for power in (None, 0, 0.9, 1.1, 1.3)] == [
        *("-", "constant", "linear or better", "linear or better", "**worse than linear**")
    ]
