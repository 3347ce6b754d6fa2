"""Every method against a formula of its own; names that mean nothing are refused."""

from __future__ import annotations

import numpy as np
import pytest

from compile.errors import UserError
from compile.quantize.ranges import METHODS, best_range, find


def test_a_uniform_value_keeps_its_whole_range():
    assert best_range(np.linspace(-1, 1, 10_000, dtype=np.float32), -1.0, 1.0) == (-1.0, 1.0)


def test_heavy_tails_are_cut_where_that_pays():
    values = np.random.default_rng(0).laplace(size=50_000).astype(np.float32)
    low, high = float(values.min()), float(values.max())
    best = best_range(values, low, high)
    assert low < best[0] < 0 < best[1] < high

    def error(bottom, top):  # by a second formula: round to 256 levels between the ends
        step = (top - bottom) / 255
        return np.mean((np.clip(np.round(values / step) * step, bottom, top) - values) ** 2)

    assert error(*best) < error(low, high)


def test_values_may_be_large():
    """Their squares are beyond float32."""
    size = 1e22
    values = np.random.default_rng(0).laplace(size=50_000).astype(np.float32)
    low, high = float(values.min()), float(values.max())
    large = best_range((values * size).astype(np.float32), low * size, high * size)
    assert large == pytest.approx([end * size for end in best_range(values, low, high)])


def test_min_max_is_all_there_was():
    values = np.array([-3.0, 0.5, 7.0], np.float32)
    assert METHODS["min-max"].choose(values, -4.0, 9.0) == (-4.0, 9.0)  # peaks count that the kept values missed


@pytest.mark.parametrize(("name", "percent"), [("percentile", 99.99), ("percentile 99.9", 99.9), ("percentile 75", 75)])
def test_percentiles_leave_their_share_out_at_both_ends(name, percent):
    values = np.random.default_rng(1).normal(size=40_000).astype(np.float32)
    low, high = find(name, "test").choose(values, float(values.min()), float(values.max()))
    for outside in (values < low, values > high):  # by counting; one value more or less is interpolation
        assert abs(int(outside.sum()) - (1 - percent / 100) * len(values)) <= 1


def test_percentile_100_is_min_max():
    assert find("percentile 100", "test").choose(np.zeros(3, np.float32), -1.0, 2.0) == (-1.0, 2.0)


@pytest.mark.parametrize(
    "text", ["median", "", "percentile 101", "percentile 49", "percentile 99.9%", "MSE", "percentile -1"]
)
def test_bad_names(text):
    with pytest.raises(UserError, match=r"--ranges: .*(choose from: output, mse, min-max, percentile|from 50 to 100)"):
        find(text, "--ranges")
