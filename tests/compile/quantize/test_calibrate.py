"""Ranges: all that was seen, and how much of it is worth covering."""

from __future__ import annotations

import numpy as np
import pytest

from compile import capture
from compile.errors import UserError
from compile.quantize.calibrate import batches, check_samples, observe
from compile.quantize.ranges import Method, find
from compile.simplify.pipeline import simplify


def test_ranges_are_those_of_the_samples(model, samples, ranges):
    assert ranges.low["x"] == pytest.approx(samples["x"].min())
    assert ranges.high["x"] == pytest.approx(samples["x"].max())
    assert ranges.low["relu2"] == 0
    assert set(ranges.low) == set(ranges.high) == set(ranges.best)


def test_what_is_kept_does_not_grow_with_the_samples(model, noise):
    """65,536 values an activation: what ``KEPT_VALUES`` says, and the last batch that crosses it."""
    kept = []

    def choose(values, low, high):
        kept.append((len(values), values.base is None))
        return low, high

    for count in (64, 512):
        kept.clear()
        ranges = observe(model, {"x": noise(count, 512)}, method=Method("spy", choose))
        assert len(kept) == len(ranges.low)
        assert max(size for size, _ in kept) < 2 * 65_536
        assert all(own for _, own in kept)  # a view would keep the whole array


def test_one_batch_of_one_value_is_enough(model, samples):
    ranges = observe(model, {"x": samples["x"][:1]}, method=find("percentile 99.9", "test"))
    assert all(np.isfinite(ends).all() and ends[0] <= ends[1] for ends in ranges.best.values())


def test_the_method_chooses(model, samples, ranges):
    whole = observe(model, samples, method=find("min-max", "test"))
    assert whole.best == {name: (whole.low[name], whole.high[name]) for name in whole.low}
    assert (whole.low, whole.high) == (ranges.low, ranges.high)


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
