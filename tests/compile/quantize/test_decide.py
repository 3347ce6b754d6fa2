"""The plan: who computes in int8, and which tensors share their parameters."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from compile import capture
from compile.quantize.apply import apply
from compile.quantize.calibrate import observe
from compile.quantize.decide import decide
from compile.quantize.recipe import PROFILES, parse
from compile.quantize.scheme import Affine, Scheme
from compile.simplify.pipeline import simplify
from targets.catalogue import find
from targets.onnx.run import Session

W8A8 = PROFILES["w8a8"].recipe


def build(tmp_path, nodes, shape, outputs, **constants):
    """A simplified model of ``nodes`` on input x, with float32 (or int64) constants."""
    ports = [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)]
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, size) for name, size in outputs.items()]
    graph = helper.make_graph(
        nodes, "g", ports, ends, [numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items()]
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), tmp_path / "g.onnx")
    return simplify(capture.from_onnx(tmp_path / "g.onnx")).model


def plan_of(model, recipe=W8A8):
    random = np.random.default_rng(0)
    samples = {port.name: random.normal(size=(8, *port.shape[1:])).astype(np.float32) for port in model.inputs}
    return decide(model, observe(model, samples), recipe)


def node(model, operator, index=0):
    return [n for n in model.ir.graph if n.op_type == operator][index]


def test_movement_shares_and_relu_is_inside_its_kernel(model, ranges):
    plan = decide(model, ranges, W8A8)
    crop = node(model, "Slice")
    assert plan.activations[crop.inputs[0].name] == plan.activations[crop.outputs[0].name]
    assert node(model, "Conv").outputs[0].name not in plan.activations  # Relu follows
    assert node(model, "Conv", 1).outputs[0].name in plan.activations  # Add follows
    assert plan.activations[node(model, "Relu").outputs[0].name].zero_point == -128
    reshape = node(model, "Reshape")
    assert plan.decisions[reshape.name].scheme == Scheme.FLOAT
    assert "float" in plan.decisions[reshape.name].because


def test_ranges_cover_what_is_worth_it_and_outputs_whole(model, ranges):
    plan = decide(model, ranges, W8A8)
    for name, parameters in plan.activations.items():
        reach = [parameters.scale * (edge - parameters.zero_point) for edge in (-128, 127)]
        low, high = (ranges.low[name], ranges.high[name]) if name == "y" else ranges.best[name]
        assert reach[0] <= low + parameters.scale
        assert reach[1] >= high - parameters.scale


def test_followers_of_float_stay_float(model, ranges):
    plan = decide(model, ranges, (*W8A8, parse("float on Conv")))
    assert {plan.decisions[node(model, "Relu").name].scheme, plan.decisions[node(model, "Add").name].scheme} == {
        Scheme.FLOAT
    }
    assert plan.decisions[node(model, "Gemm").name].scheme == Scheme.W8A8


def test_w8_has_float_activations(model, ranges):
    plan = decide(model, ranges, PROFILES["w8"].recipe)
    assert plan.activations == {}
    assert len(plan.weights) == 3


CONV = helper.make_node("Conv", ["x", "w"], ["c"])
WEIGHT = np.random.default_rng(5).normal(size=(4, 3, 1)).astype(np.float32)


def test_sigmoid_and_tanh_have_their_fixed_scales(tmp_path):
    nodes = [CONV, helper.make_node("Sigmoid", ["c"], ["s"]), helper.make_node("Tanh", ["c"], ["t"])]
    plan = plan_of(build(tmp_path, nodes, [1, 3, 6], {"s": [1, 4, 6], "t": [1, 4, 6]}, w=WEIGHT))
    assert plan.activations["s"] == Affine(1 / 256, -128)
    assert plan.activations["t"] == Affine(1 / 128, 0)


@pytest.mark.parametrize("pool", ["GlobalAveragePool", "AveragePool"])
def test_a_mean_has_a_scale_of_its_own(tmp_path, pool):
    """It is smaller than what it averages; on its input's scale a tie in it would become many steps further on."""
    attributes = {"kernel_shape": [4]} if pool == "AveragePool" else {}
    nodes = [
        CONV,
        helper.make_node(pool, ["c"], ["m"], **attributes),
        helper.make_node("MaxPool", ["c"], ["p"], kernel_shape=[2]),
    ]
    length = 1 if pool == "GlobalAveragePool" else 3
    model = build(tmp_path, nodes, [1, 3, 6], {"m": [1, 4, length], "p": [1, 4, 5]}, w=WEIGHT)
    plan = plan_of(model)
    read = plan.activations[node(model, pool).inputs[0].name]
    assert plan.activations["m"].scale < read.scale
    assert plan.activations["p"] == read


def test_what_cannot_share_is_joined_in_float(tmp_path):
    nodes = [
        CONV,
        helper.make_node("Sigmoid", ["c"], ["s"]),
        helper.make_node("Concat", ["c", "s"], ["y"], axis=1),
    ]
    model = build(tmp_path, nodes, [1, 3, 6], {"y": [1, 8, 6]}, w=WEIGHT)
    decision = plan_of(model).decisions[node(model, "Concat").name]
    assert decision.scheme == Scheme.FLOAT
    assert "cannot share" in decision.because


def test_concat_covers_all_its_parts(tmp_path):
    nodes = [
        CONV,
        helper.make_node("Conv", ["x", "v"], ["d"]),
        helper.make_node("Concat", ["c", "d"], ["y"], axis=1),
    ]
    model = build(tmp_path, nodes, [1, 3, 6], {"y": [1, 8, 6]}, w=WEIGHT, v=10 * WEIGHT[::-1].copy())
    plan = plan_of(model)
    joined = node(model, "Concat")
    names = [value.name for value in (*joined.inputs, *joined.outputs)]
    assert len({plan.activations[name] for name in names}) == 1


@pytest.mark.parametrize("bias", [1e3, 1e9])
def test_a_large_bias_still_fits_int32(tmp_path, bias):
    model = build(
        tmp_path,
        [helper.make_node("Conv", ["x", "w", "b"], ["c"])],
        [1, 3, 6],
        {"c": [1, 4, 6]},
        w=WEIGHT * 1e-6,
        b=np.full(4, bias, np.float32),
    )
    plan = plan_of(model)
    (scale,) = plan.weights.values()
    step = scale.astype(np.float64) * plan.activations["x"].scale
    assert (np.abs(bias / step) < 2**31 - 1).all()


def test_dynamic_is_for_products_of_one_row(model, ranges):
    plan = decide(model, ranges, PROFILES["w8-dynamic"].recipe)
    by_operator = {n.op_type: plan.decisions[n.name] for n in model.ir.graph}
    assert by_operator["Gemm"].scheme == Scheme.W8_DYNAMIC
    assert by_operator["Conv"].scheme == Scheme.W8
    assert "run time" in by_operator["Conv"].because
    assert by_operator["Add"].scheme == Scheme.FLOAT
    assert plan.activations == {}
    assert len(plan.weights) == 3


def test_rows_that_would_have_scales_of_their_own_are_not_quantised_at_run_time(tmp_path):
    gemm = helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)
    weight = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    for rows, scheme in ((1, Scheme.W8_DYNAMIC), (2, Scheme.W8)):
        model = build(tmp_path, [gemm], [rows, 6], {"y": [rows, 4]}, w=weight)
        decision = plan_of(model, PROFILES["w8-dynamic"].recipe).decisions[node(model, "Gemm").name]
        assert decision.scheme == scheme
    assert "rows" in decision.because


def test_what_has_no_integer_form_is_an_island(tmp_path):
    """Softmax computes in float between true conversions; the convolution behind it is int8 again."""
    nodes = [
        CONV,
        helper.make_node("Softmax", ["c"], ["s"], axis=1),
        helper.make_node("Slice", ["s", "b", "e", "a"], ["l"]),
        helper.make_node("Conv", ["l", "v"], ["y"]),
    ]
    numbers = {"b": np.array([0]), "e": np.array([3]), "a": np.array([1]), "v": WEIGHT}
    model = build(tmp_path, nodes, [1, 3, 6], {"y": [1, 4, 6]}, w=WEIGHT, **numbers)
    plan = plan_of(model)
    decisions = [(n.op_type, plan.decisions[n.name].scheme.value) for n in model.ir.graph]
    assert decisions == [("Conv", "w8a8"), ("Softmax", "float"), ("Slice", "float"), ("Conv", "w8a8")]
    assert plan.decisions[node(model, "Softmax").name].because == "it has no integer form"
    onnx.checker.check_model(onnx.load_from_string(apply(model, plan).to_bytes()), full_check=True)


@pytest.mark.parametrize("reader", ["Conv", "Softmax"])
def test_an_addition_half_in_float_is_int8_only_for_a_product(tmp_path, reader):
    """Else it would cost a Q and a DQ, and gain nothing."""
    last = (
        helper.make_node("Conv", ["a", "v"], ["y"]) if reader == "Conv" else helper.make_node("Softmax", ["a"], ["y"])
    )
    nodes = [CONV, helper.make_node("Softmax", ["c"], ["s"], axis=1), helper.make_node("Add", ["c", "s"], ["a"]), last]
    constants = {"v": np.ones((4, 4, 1), np.float32)} if reader == "Conv" else {}
    model = build(tmp_path, nodes, [1, 3, 6], {"y": [1, 4, 6]}, w=WEIGHT, **constants)
    decision = plan_of(model).decisions[node(model, "Add").name]
    assert decision.scheme == (Scheme.W8A8 if reader == "Conv" else Scheme.FLOAT)


def test_relu6_lives_inside_its_kernel(tmp_path):
    nodes = [CONV, helper.make_node("Clip", ["c", "low", "high"], ["r"]), helper.make_node("Conv", ["r", "v"], ["y"])]
    bounds = {"low": np.float32(0), "high": np.float32(6), "v": np.ones((4, 4, 1), np.float32)}
    model = build(tmp_path, nodes, [1, 3, 6], {"y": [1, 4, 6]}, w=WEIGHT, **bounds)
    plan = plan_of(model)
    assert plan.decisions[node(model, "Clip").name].scheme == Scheme.W8A8
    assert node(model, "Conv").outputs[0].name not in plan.activations
    assert plan.activations[node(model, "Clip").outputs[0].name].zero_point == -128
    alone = plan_of(model, (*W8A8, parse("float on Conv")))
    assert "no integer form" in alone.decisions[node(model, "Clip").name].because


def test_a_transposed_convolution_has_a_scale_for_each_output_of_a_group(tmp_path):
    weight = np.random.default_rng(1).normal(size=(6, 2, 3)).astype(np.float32)
    weight[:, 1] *= 10
    nodes = [helper.make_node("ConvTranspose", ["x", "w", "b"], ["y"], group=3)]
    bias = np.arange(6, dtype=np.float32)
    model = build(tmp_path, nodes, [1, 6, 5], {"y": [1, 6, 7]}, w=weight, b=bias)
    plan = plan_of(model)
    (scale,) = plan.weights.values()
    np.testing.assert_allclose(scale, np.abs(weight).max(axis=(0, 2)) / 127, rtol=1e-6)
    quantised = apply(model, plan)
    onnx.checker.check_model(onnx.load_from_string(quantised.to_bytes()), full_check=True)
    x = {"x": np.random.default_rng(0).normal(size=(1, 6, 5)).astype(np.float32)}
    got, want = (Session(m.to_bytes(), "test").run(x)["y"] for m in (quantised, model))
    # Half a step of each of 12 input products at most, and of the output; a wrong axis would be off by ten times that.
    assert np.abs(got - want).max() < 0.05 * np.abs(want).max()
    assert np.abs(got - want).max() > 0


@pytest.mark.parametrize("outputs", [4, 8])
def test_a_tied_pair_has_scales_along_the_outputs_of_each(tmp_path, outputs):
    """A convolution and the transposed one that undoes it share a weight, but not which of its axes is scaled."""
    weight = np.random.default_rng(1).normal(size=(outputs, 4, 3)).astype(np.float32)
    weight[:, 1] *= 30
    weight[2] /= 30
    nodes = [helper.make_node("Conv", ["x", "w"], ["h"]), helper.make_node("ConvTranspose", ["h", "w"], ["y"])]
    model = build(tmp_path, nodes, [1, 4, 9], {"y": [1, 4, 9]}, w=weight)
    quantised = apply(model, plan_of(model))
    assert {n.attributes["axis"].as_int() for n in quantised.ir.graph if ".weight" in n.name or "w." in n.name} == {
        0,
        1,
    }
    x = {"x": np.random.default_rng(0).normal(size=(1, 4, 9)).astype(np.float32)}
    want = Session(model.to_bytes(), "test").run(x)["y"]
    artifact = find("tflite").lower(quantised)
    (tmp_path / artifact.name).write_bytes(artifact.files[artifact.name])
    for runner in (Session(quantised.to_bytes(), "test"), find("tflite").load(tmp_path / artifact.name)):
        # 8 bits in three places; scales along the wrong axis are off by a third of the output.
        assert np.abs(runner.run(x)["y"] - want).max() < 0.05 * np.abs(want).max()
