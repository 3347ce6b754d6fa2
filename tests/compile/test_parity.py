"""Parity's figures by hand, and a gate that can fail."""

from __future__ import annotations

import numpy as np
import pytest

from compile import capture
from compile.parity import Hub, Parity, References, compare, error_share, judge, references
from compile.quantize.calibrate import Ranges
from compile.quantize.decide import decide
from compile.quantize.recipe import PROFILES
from compile.quantize.variants import variants
from compile.simplify.pipeline import simplify

OUTPUTS = {"y": np.array([[[0.0, 1.0]], [[0.5, 0.2]]], np.float32)}
FLOAT = {"y": OUTPUTS["y"] + np.float32(0.01)}
HUB = Hub(OUTPUTS, {"y": 0.1})
AGAINST = References([], FLOAT, dict.fromkeys(("onnx", "tflite", "coreml"), HUB))


def failures(parities, sqnr, steps):
    return [line for parity in judge(parities, sqnr, steps).values() for line in parity.failures]


def steps_of(outputs):
    return compare({"tflite": outputs}, AGAINST)["tflite"].steps["hub"]


def test_equal_outputs():
    (result,) = compare({"tflite": OUTPUTS}, AGAINST).values()
    assert result.worst == 0
    assert result.error == pytest.approx(0.01 / 0.5, rel=1e-3)  # the narrowest element spans 0.5


def test_steps_are_of_the_output():
    assert steps_of({"y": OUTPUTS["y"] + np.float32(0.2)}) == pytest.approx(2.0, rel=1e-5)


@pytest.mark.parametrize(("far", "usual"), [(0, 0.5), (2, 0.5), (3, 9.0)])
def test_usual_are_all_but_one_in_five_hundred(far, usual):
    outputs = np.zeros((100, 10), np.float32)
    ours = outputs + np.float32(0.05)
    ours.flat[:far] = 0.9
    hub = Hub({"y": outputs}, {"y": 0.1})
    found = compare({"c": {"y": ours}}, References([], {"y": outputs}, {"c": hub}))["c"]
    assert found.usual == pytest.approx({"hub": usual}, rel=1e-5)


def test_artefacts_are_held_against_each_other():
    above, below = ({"y": OUTPUTS["y"] + np.float32(shift)} for shift in (0.1, -0.2))
    results = compare({"onnx": above, "tflite": below, "coreml": "not run: no runtime"}, AGAINST)
    assert results["onnx"].steps == pytest.approx({"hub": 1.0, "tflite": 3.0}, rel=1e-5)
    assert results["tflite"].worst == pytest.approx(3.0, rel=1e-5)
    assert results["coreml"].worst is None


def test_targets_of_other_plans_are_held_against_their_own_graph():
    own = Hub({"y": OUTPUTS["y"] + np.float32(1)}, {"y": 0.5})
    against = References([], FLOAT, {"onnx": HUB, "coreml": own})
    results = compare({"onnx": OUTPUTS, "coreml": OUTPUTS}, against)
    assert results["onnx"].steps == {"hub": 0}
    assert results["coreml"].steps == pytest.approx({"hub": 2.0})


def test_doubled_output_fails():
    doubled = compare({"tflite": {"y": 2 * OUTPUTS["y"]}}, AGAINST)
    assert failures(doubled, None, None)


def test_a_step_of_an_output_that_hardly_moves_is_not_finer_than_float32(tiny_path):
    """All but 1 of 1.1: in float16 such an output is a thousand steps of its range off, and right."""
    model = simplify(capture.from_onnx(tiny_path)).model
    port = model.inputs[0]
    names = [port.name, *(value.name for node in model.ir.graph for value in node.outputs)]
    samples = {port.name: np.zeros((2 * port.shape[0], *port.shape[1:]), np.float32)}
    output = model.outputs[0].name
    for low, high, step in ((1.09, 1.1, 1.1 / 255), (-1.1, -1.1, 1.1 / 255), (-1.0, 2.0, 3 / 255)):
        ranges = Ranges(dict.fromkeys(names, low), dict.fromkeys(names, high), {})
        made = variants(model, ranges, decide(model, ranges, PROFILES["float"].recipe), {"onnx": {}}, None)
        assert references(model, made, ranges, samples).hubs["onnx"].steps[output] == pytest.approx(step)


def test_elements_that_never_move_have_no_range():
    flat = {"y": np.zeros((3, 1, 2), np.float32)}
    assert error_share(flat, flat) == 0


def ran(sqnr, steps, error=0.01, usual=None):
    return Parity("run", sqnr, error, {"hub": steps}, usual={"hub": steps if usual is None else usual})


@pytest.mark.parametrize(
    ("parity", "sqnr", "steps", "message"),
    [
        (ran(40.0, 2.0), None, None, None),
        (ran(40.0, 2.1), None, None, "2.10 quantisation steps from hub, 2 allowed"),
        (ran(40.0, 2.1), None, 3.0, None),
        (ran(40.0, 1.1), None, 1.0, "1 allowed"),
        (ran(40.0, 16.0, usual=1.0), None, None, None),
        (ran(40.0, 16.1, usual=1.0), None, None, "16.10 quantisation steps from hub, 2 allowed"),
        (ran(40.0, 2.1, usual=1.1), None, None, "2.10 quantisation steps from hub, 2 allowed"),
        (ran(40.0, 2.1, usual=0.0), None, 2.0, "2.10 quantisation steps from hub, 2 allowed"),
        (ran(29.9, 0.0), 30.0, None, "SQNR 29.9 dB is below"),
        (Parity("not run: needs macOS"), None, None, None),
        (Parity("not run: needs macOS"), 30.0, None, "asked for but not run"),
        (ran(float("nan"), float("nan"), float("nan")), None, None, "NaN or Inf"),
    ],
)
def test_gate(parity, sqnr, steps, message):
    found = failures({"tflite": parity}, sqnr, steps)
    assert (message in found[0]) if message else not found


def test_a_pair_with_core_ml_may_differ_by_three_steps():
    assert not failures({"tflite": Parity("run", 40.0, 0.0, {"coreml": 3.0, "onnx": 2.0})}, None, None)
    assert failures({"tflite": Parity("run", 40.0, 0.0, {"coreml": 3.1})}, None, None)
