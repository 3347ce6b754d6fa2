"""Ranges: all that was seen, and how much of it is worth covering."""

from __future__ import annotations

import numpy as np
import pytest

from compile import capture
from compile.errors import UserError
from compile.quantize.calibrate import batches, best_range, check_samples, observe
from compile.simplify.pipeline import simplify


def test_ranges_are_those_of_the_samples(model, samples, ranges):
    assert ranges.low["x"] == pytest.approx(samples["x"].min())
    assert ranges.high["x"] == pytest.approx(samples["x"].max())
    assert ranges.low["relu2"] == 0
    assert set(ranges.low) == set(ranges.high) == set(ranges.best)


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


def test_progress_is_told(model, samples):
    told = []
    observe(model, samples, lambda done, total: told.append((done, total)))
    assert told == [(count, 48) for count in range(1, 49)]


def test_nan_inside_the_network_is_named(tiny, tmp_path):
    tiny.replace("w1", np.full((8, 1, 16), 3e38, np.float32)).save(tmp_path / "x.onnx")
    model = simplify(capture.from_onnx(tmp_path / "x.onnx")).model
    with pytest.raises(UserError, match=r"tensor '\w+'.*NaN or Inf"):
        observe(model, {"x": np.full((2, 512), 1e3, np.float32)})


def test_batches_leave_the_rest_out(tiny, tmp_path):
    tiny.inputs, tiny.outputs = [("x", [3, 512])], [("y", [3, 4])]
    tiny.replace("s1", np.array([3, 1, 512])).replace("flat", np.array([3, -1]))
    model = capture.from_onnx(tiny.save(tmp_path / "x.onnx"))
    samples = check_samples(model, {"x": np.zeros((8, 512))}, "test")
    assert [feed["x"].shape for feed in batches(model, samples)] == [(3, 512), (3, 512)]
