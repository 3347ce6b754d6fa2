"""Ranges by their effect on the output: found where it is clear, left alone where it is luck."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from compile import capture
from compile.quantize import fit
from compile.quantize.calibrate import batches, observe
from compile.quantize.decide import decide
from compile.quantize.fit import CLEARLY, _values, fit_ranges
from compile.quantize.measure import collect
from compile.quantize.noise import noise
from compile.quantize.recipe import PROFILES
from compile.simplify.pipeline import simplify
from targets.onnx.run import Session

W8A8 = PROFILES["w8a8"].recipe
RANDOM = np.random.default_rng(4)


@pytest.fixture
def peaky(tmp_path):
    """A network whose output hardly depends on the peaks of its hidden value, and its input, which has many."""
    weight = np.eye(4, dtype=np.float32)[..., None]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Conv", ["r", "v"], ["d"]),
        helper.make_node("Tanh", ["d"], ["t"]),
        helper.make_node("Conv", ["t", "w"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 4, 16])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 4, 16])],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(weight * 4, "v")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), tmp_path / "g.onnx")
    x = RANDOM.normal(scale=0.1, size=(64, 4, 16)).astype(np.float32)
    x[RANDOM.random(x.shape) < 0.2] *= 30  # tanh is flat there: it hardly matters where they are cut
    return simplify(capture.from_onnx(tmp_path / "g.onnx")).model, {"x": x}


def test_a_range_that_the_output_prefers_is_taken(peaky):
    model, samples = peaky
    ranges = observe(model, samples)
    plan = decide(model, ranges, W8A8)
    fitted = fit_ranges(model, ranges, plan, samples)
    relu = next(n for n in model.ir.graph if n.op_type == "Relu").outputs[0].name
    assert fitted.best[relu][1] < 0.8 * ranges.best[relu][1]
    assert (fitted.low, fitted.high) == (ranges.low, ranges.high)
    feeds = batches(model, samples)
    reference = collect(Session(model.to_bytes(), "test"), feeds)
    before, after = (
        next(
            power
            for place, power in noise(model, decide(model, r, W8A8), feeds, reference).items()
            if place.value == relu
        )
        for r in (ranges, fitted)
    )
    assert after < before / CLEARLY


def test_luck_is_left_alone(model, ranges, samples):
    """On noise through a random network the guess is about right: nothing is clearly better by 3 dB for long."""
    fitted = fit_ranges(model, ranges, decide(model, ranges, W8A8), samples)
    feeds = batches(model, samples)
    reference = collect(Session(model.to_bytes(), "test"), feeds)
    powers = [sum(noise(model, decide(model, r, W8A8), feeds, reference).values()) for r in (ranges, fitted)]
    assert powers[1] <= powers[0] * 1.01


def test_outputs_and_fixed_values_keep_theirs_and_moved_values_follow(model, ranges, samples):
    told = []
    plan = decide(model, ranges, W8A8)
    fitted = fit_ranges(model, ranges, plan, samples, lambda done, total: told.append((done, total)))
    assert fitted.best["y"] == ranges.best["y"]
    assert told[-1][0] == told[-1][1] == len(told)
    crop = next(n for n in model.ir.graph if n.op_type == "Slice")
    changed = fitted.best[crop.inputs[0].name] != ranges.best[crop.inputs[0].name]
    assert (fitted.best[crop.outputs[0].name] == fitted.best[crop.inputs[0].name]) or not changed


def test_fitting_repeats(peaky):
    model, samples = peaky
    ranges = observe(model, samples)
    plan = decide(model, ranges, W8A8)
    assert fit_ranges(model, ranges, plan, samples) == fit_ranges(model, ranges, plan, samples)


def test_values_are_kept_by_the_few_and_fitted_alike(peaky, monkeypatch):
    """Of a network over images all values together take gigabytes; here one of them is as much as may be kept."""
    model, samples = peaky
    ranges = observe(model, samples)
    plan = decide(model, ranges, W8A8)
    usual = fit_ranges(model, ranges, plan, samples)
    kept = []

    def values(model, names, feeds):
        kept.append(len(names))
        return _values(model, names, feeds)

    monkeypatch.setattr(fit, "_values", values)
    for bytes_, most in ((4 * 64 * 4 * 16, 1), (2 * 4 * 64 * 4 * 16, 2)):
        monkeypatch.setattr(fit, "KEPT_BYTES", bytes_)
        assert fit_ranges(model, ranges, plan, samples) == usual
        assert max(kept) == most
