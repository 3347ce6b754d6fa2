"""The Q/DQ graph is the plan: integers by a second formula, parameters where the hub dialect puts them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from compile import capture
from compile.quantize.apply import apply
from compile.quantize.calibrate import observe
from compile.quantize.decide import decide
from compile.quantize.recipe import PROFILES, parse
from compile.simplify.pipeline import simplify
from targets.onnx.run import Session


@pytest.mark.parametrize("profile", ["w8a8", "w8", "float"])
def test_graph_is_valid_and_keeps_its_ports(model, ranges, samples, profile):
    quantised = apply(model, decide(model, ranges, PROFILES[profile].recipe))
    onnx.checker.check_model(onnx.load_from_string(quantised.to_bytes()), full_check=True)
    assert (quantised.inputs, quantised.outputs) == (model.inputs, model.outputs)


def test_onnxruntime_and_the_reference_evaluator_agree(model, ranges, samples):
    """Integer kernels against QuantizeLinear/DequantizeLinear taken literally: at most 1 step of the output."""
    plan = decide(model, ranges, PROFILES["w8a8"].recipe)
    quantised = apply(model, plan)
    proto = onnx.load_from_string(quantised.to_bytes())
    proto.opset_import[0].version = 21  # the evaluator has no older DequantizeLinear; nothing used here changed since
    reference = ReferenceEvaluator(proto)
    session = Session(quantised.to_bytes(), "test")
    for x in samples["x"][:8]:
        want = reference.run(None, {"x": x[None]})[0]
        got = session.run({"x": x[None]})["y"]
        assert np.abs(got - want).max() <= plan.activations["y"].scale * 1.001
        assert np.abs(2 * got - want).max() > plan.activations["y"].scale * 1.001  # the measure can fail


def test_weights_and_biases_by_a_second_formula(model, ranges):
    plan = decide(model, ranges, PROFILES["w8a8"].recipe)
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in constants_of(model)}
    quantised = {t.name: onnx.numpy_helper.to_array(t) for t in constants_of(apply(model, plan))}
    gemm = next(node for node in model.ir.graph if node.op_type == "Gemm")
    weight, bias = constants[gemm.inputs[1].name], constants[gemm.inputs[2].name]
    integers = quantised[f"{gemm.inputs[1].name}.int"]
    assert integers.dtype == np.int8
    assert np.abs(integers).max(axis=1).tolist() == [127] * 4
    steps = np.abs(weight).max(axis=1, keepdims=True) / 127
    assert np.abs(weight / steps - integers).max() <= 0.5 + 1e-4
    stored = quantised[f"{gemm.inputs[2].name}.int"]
    assert stored.dtype == np.int32
    in_scale = plan.activations[gemm.inputs[0].name].scale
    np.testing.assert_allclose(stored * in_scale * steps[:, 0], bias, atol=float(in_scale * steps.max()))


def test_a_graph_output_may_be_read_inside(tiny, tmp_path, samples):
    """Its name goes to the DQ, and yet the biases behind it find the scale of what they read."""
    tiny.outputs.append(("features", [1, 8 * 61]))
    model = simplify(capture.from_onnx(tiny.save(tmp_path / "inside.onnx"))).model
    plan = decide(model, observe(model, samples), PROFILES["w8a8"].recipe)
    session = Session(apply(model, plan).to_bytes(), "test")
    reference = Session(model.to_bytes(), "float")
    for x in samples["x"][:4]:
        got, want = (s.run({"x": x[None]}) for s in (session, reference))
        assert np.abs(got["y"] - want["y"]).max() < 0.1 * np.abs(want["y"]).max()


def test_corrections_reach_the_bias(model, ranges):
    plan = decide(model, ranges, (*PROFILES["w8a8"].recipe, parse("w8 on Gemm")))
    gemm = next(node for node in model.ir.graph if node.op_type == "Gemm")
    shift = np.array([1, 2, 3, 4], np.float32)
    moved = apply(model, replace(plan, corrections={gemm.name: shift}))
    x = {"x": np.zeros((1, 512), np.float32)}
    change = Session(moved.to_bytes(), "a").run(x)["y"] - Session(apply(model, plan).to_bytes(), "b").run(x)["y"]
    np.testing.assert_allclose(change, shift[None], rtol=1e-5)


def constants_of(model):
    return onnx.load_from_string(model.to_bytes()).graph.initializer
