"""What cannot be streamed is refused, with the node, the reason and what would help."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from compile import capture
from compile.errors import UnsupportedNode, UserError
from compile.simplify.forms import FORMS
from compile.simplify.pipeline import simplify
from compile.streaming.passage import _RULES as RULES
from compile.streaming.stream import stream
from compile.streaming.timing import timing

LENGTH = 64
CONSTANTS = {
    "w": np.ones((4, 1, 4), np.float32),
    "w44": np.ones((4, 4, 3), np.float32),
    "two": np.array([2], np.int64),
    "ramp": np.arange(61, dtype=np.float32)[None, None],
    "gain": np.ones(4, np.float32),
    "some": np.array([0, 7, 3, 11, 2, 9, 1, 13, 5, 17], np.int64),
    "pads": np.array([0, 0, 1, 0, 0, 0], np.int64),
    "s": np.array([1], np.int64),
    "m": np.array([-1], np.int64),
    "up": np.ones((4, 4, 2), np.float32),
}
FIRST = helper.make_node("Conv", ["x", "w"], ["c"], name="first")
# What is behind the first convolution, as (operator, inputs, output, attributes), and what the refusal says.
REFUSED = {
    "padded convolution": ([("Conv", ["c", "w44"], "y", {"pads": [1, 1]})], "padding=0"),
    "padded pool": ([("MaxPool", ["c"], "y", {"kernel_shape": [3], "pads": [1, 1]})], "padding=0"),
    "padding": ([("Pad", ["c", "pads"], "y", {})], "padding=0"),
    "norm over time": ([("InstanceNormalization", ["c", "gain", "gain"], "y", {})], "made of the whole window"),
    "softmax over time": ([("Softmax", ["c"], "y", {"axis": 2})], "over channels"),
    "squeeze and excite": (
        [("GlobalAveragePool", ["c"], "p", {}), ("Sigmoid", ["p"], "g", {}), ("Mul", ["c", "g"], "y", {})],
        "leave such a gate out",
    ),
    "a place in the window": ([("Add", ["c", "ramp"], "y", {})], "every step of the window"),
    "attention": (
        [("Transpose", ["c"], "t", {"perm": [0, 2, 1]}), ("MatMul", ["t", "c"], "y", {})],
        "axes that do not meet",
    ),
    "single steps": ([("Gather", ["c", "some"], "y", {"axis": 2})], "single steps"),
    "upsampling": ([("ConvTranspose", ["c", "up"], "y", {"strides": [2]})], "several steps of one"),
    "joined along time": ([("Concat", ["c", "c"], "y", {"axis": 2})], "joins along time"),
}


def network(nodes, tmp_path):
    made = [FIRST, *(helper.make_node(op, inputs, [out], name=out, **extra) for op, inputs, out, extra in nodes)]
    graph = helper.make_graph(
        made,
        "refused",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, LENGTH])],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(data, name) for name, data in CONSTANTS.items()],
    )
    path = tmp_path / "network.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(onnx.shape_inference.infer_shapes(model), path)
    return simplify(capture.from_onnx(path)).model


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what, tmp_path):
    nodes, words = REFUSED[what]
    with pytest.raises(UnsupportedNode, match=words) as refusal:
        stream(network(nodes, tmp_path))
    assert "by streaming" in str(refusal.value)


def test_several_inputs(tmp_path):
    graph = helper.make_graph(
        [helper.make_node("Add", ["a", "b"], ["y"])],
        "two",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8]) for name in "ab"],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    with pytest.raises(UserError, match="2 inputs"):
        stream(simplify(capture.from_onnx(tmp_path / "m.onnx")).model)


def test_no_such_axis(tmp_path):
    model = network([("Relu", ["c"], "y", {})], tmp_path)
    with pytest.raises(UserError, match="no axis 3"):
        stream(model, axis=3)


def test_rates(tmp_path):
    """A stride of 4 and one of 3 make a hop of 12: every value has the time that the strides before it give."""
    nodes = [("MaxPool", ["c"], "p", {"kernel_shape": [2], "strides": [4]})]
    nodes += [("AveragePool", ["p"], "y", {"kernel_shape": [2], "strides": [3]})]
    found = timing(network(nodes, tmp_path).ir.graph)
    assert sorted({time.stride for time in found.times.values()}) == [1, 4, 12]


def test_every_operator_of_the_hub_has_a_rule():
    assert set(FORMS) <= set(RULES)
