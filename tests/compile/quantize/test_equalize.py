"""Scaling channels changes nothing but the sizes of values between products."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from compile import capture
from compile.quantize.equalize import EXPONENT, equalize
from compile.simplify.pipeline import simplify
from targets.onnx.run import Session

RANDOM = np.random.default_rng(2)
SIZES = np.array([1, 4, 0.3, 2], np.float32)  # of the channels that the first product makes


def network(tmp_path, nodes, output, outputs=(), **constants):
    first = RANDOM.normal(size=(4, 3, 3)).astype(np.float32) * SIZES[:, None, None]
    constants = {"w": first, "b": 0.1 * SIZES, **constants}
    ends = {"y": output, **dict(outputs)}
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w", "b"], ["c"]), *nodes],
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, 10])],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in ends.items()],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), tmp_path / "g.onnx")
    return simplify(capture.from_onnx(tmp_path / "g.onnx")).model


def samples(count=32):
    return {"x": RANDOM.normal(size=(count, 3, 10)).astype(np.float32)}


def weights(model):
    found = {n.op_type: n.inputs[1].const_value.numpy() for n in model.ir.graph if len(n.inputs) > 1}
    return {**found, "first": next(n for n in model.ir.graph if n.op_type == "Conv").inputs[1].const_value.numpy()}


def spread(model, x):
    """The ratio between the largest and the smallest channel of the first product's output."""
    conv = next(n for n in model.ir.graph if n.op_type == "Conv")
    weight, bias = (conv.inputs[index].const_value.numpy() for index in (1, 2))
    windows = np.lib.stride_tricks.sliding_window_view(x, 3, axis=2)
    made = np.einsum("nitk,oik->not", windows, weight) + bias[:, None]
    peaks = np.maximum(made, 0).max(axis=(0, 2))
    return peaks.max() / peaks.min()


SECOND = RANDOM.normal(size=(5, 4, 3)).astype(np.float32)
CHAINS = {
    "Relu": ([helper.make_node("Relu", ["c"], ["r"]), helper.make_node("Conv", ["r", "v"], ["y"])], [1, 5, 6]),
    "LeakyRelu": (
        [helper.make_node("LeakyRelu", ["c"], ["r"], alpha=0.1), helper.make_node("Conv", ["r", "v"], ["y"])],
        [1, 5, 6],
    ),
    "pooled": (
        [
            helper.make_node("Relu", ["c"], ["r"]),
            helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[2], strides=[2]),
            helper.make_node("Conv", ["p", "v"], ["y"]),
        ],
        [1, 5, 2],
    ),
}


@pytest.mark.parametrize("chain", CHAINS)
def test_the_network_computes_the_same_with_channels_of_like_size(tmp_path, chain):
    nodes, output = CHAINS[chain]
    model = network(tmp_path, nodes, output, v=SECOND)
    x = samples()
    made = equalize(model, x)
    feed = {"x": x["x"][:1]}
    before, after = (Session(m.to_bytes(), "test").run(feed)["y"] for m in (model, made))
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5 * np.abs(before).max())
    assert spread(model, x["x"]) > 10
    # What was a ratio of s between two peaks is now one of s to the power of 1 - EXPONENT.
    np.testing.assert_allclose(spread(made, x["x"]), spread(model, x["x"]) ** (1 - EXPONENT), rtol=0.01)


def test_flattened_channels_reach_the_columns_of_a_gemm(tmp_path):
    nodes = [
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("Gemm", ["f", "v"], ["y"], transB=1),
    ]
    v = RANDOM.normal(size=(5, 32)).astype(np.float32)
    model = network(tmp_path, nodes, [1, 5], v=v)
    x = samples()
    made = equalize(model, x)
    before, after = (Session(m.to_bytes(), "test").run({"x": x["x"][:1]})["y"] for m in (model, made))
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5 * np.abs(before).max())
    assert spread(made, x["x"]) < 3 < spread(model, x["x"])
    ratios = weights(made)["Gemm"] / v
    np.testing.assert_allclose(ratios.reshape(5, 4, 8), np.broadcast_to(ratios[:, ::8, None], (5, 4, 8)), rtol=1e-5)


UNTOUCHED = {
    "two readers": (
        [
            helper.make_node("Relu", ["c"], ["r"]),
            helper.make_node("Conv", ["r", "v"], ["y"]),
            helper.make_node("Conv", ["r", "v2"], ["z"]),
        ],
        {"z": [1, 5, 6]},
    ),
    "also an output": (
        [helper.make_node("Relu", ["c"], ["r"]), helper.make_node("Conv", ["r", "v"], ["y"])],
        {"r": [1, 4, 8]},
    ),
    "no factor passes": (
        [helper.make_node("Sigmoid", ["c"], ["r"]), helper.make_node("Conv", ["r", "v"], ["y"])],
        {},
    ),
}


@pytest.mark.parametrize("case", UNTOUCHED)
def test_what_others_see_stays_as_it_is(tmp_path, case):
    nodes, outputs = UNTOUCHED[case]
    given = {"v": SECOND, **({"v2": SECOND * 2} if "z" in outputs else {})}
    model = network(tmp_path, nodes, [1, 5, 6], outputs.items(), **given)
    assert equalize(model, samples()) is model


def test_shared_weights_stay_as_they_are(tmp_path):
    """The same weight twice in a row: scaling one use would change the other."""
    square = RANDOM.normal(size=(4, 4, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Conv", ["r", "v"], ["d"]),
        helper.make_node("Conv", ["d", "v"], ["y"]),
    ]
    model = network(tmp_path, nodes, [1, 4, 4], v=square)
    assert equalize(model, samples()) is model


def test_a_silent_channel_is_left_alone(tmp_path):
    nodes, output = CHAINS["Relu"]
    model = network(tmp_path, nodes, output, v=SECOND, b=np.array([0, 0, -1e6, 0], np.float32))
    x = samples()
    made = equalize(model, x)
    ratio = weights(made)["first"] / weights(model)["first"]
    np.testing.assert_allclose(ratio[2], 1)
    assert not np.allclose(ratio[1], 1)


def test_a_product_that_loses_its_axes_is_left_alone(tmp_path):
    nodes = [helper.make_node("Reshape", ["c", "s"], ["r"]), helper.make_node("Sin", ["r"], ["y"])]
    model = network(tmp_path, nodes, [32], s=np.array([-1]))
    assert equalize(model, samples()) is model
