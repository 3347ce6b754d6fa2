"""onnxruntime as the reference: what it must not fail on, and when its rewrites are not to be believed."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from compile.errors import UserError
from targets.onnx.run import AS_WRITTEN, REWRITTEN, Session


def model(nodes: list[onnx.NodeProto], shapes: dict[str, list[int]], outputs: list[str], opset: int = 18) -> bytes:
    random = np.random.default_rng(0)
    constants = [
        numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name)
        for name, shape in shapes.items()
        if name != "x"
    ]
    source = helper.make_tensor_value_info("x", TensorProto.FLOAT, shapes["x"])
    results = [helper.make_empty_tensor_value_info(name) for name in outputs]
    graph = helper.make_graph(nodes, "g", [source], results, constants)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    return onnx.shape_inference.infer_shapes(proto, strict_mode=True).SerializeToString()


def test_an_inner_value_may_be_asked_for() -> None:
    """A Gemm whose result is transposed: onnxruntime's fusion of the two loses what was asked for."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["a"], perm=[1, 0]),
        helper.make_node("Gemm", ["a", "w"], ["inner"], transB=1),
        helper.make_node("Transpose", ["inner"], ["y"], perm=[1, 0]),
    ]
    session = Session(model(nodes, {"x": [3, 7], "w": [8, 3]}, ["y", "inner"]), "test")
    found = session.run({"x": np.ones((3, 7), np.float32)})
    np.testing.assert_array_equal(found["y"], found["inner"].T)


def test_as_written_means_what_onnx_says() -> None:
    """A transposed matrix times a vector, against onnx's own evaluator; a few ulp of sums of 8."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["a"], perm=[1, 0]),
        helper.make_node("MatMul", ["a", "w"], ["y"]),
    ]
    data = model(nodes, {"x": [8, 20], "w": [8]}, ["y"])
    x = np.random.default_rng(1).normal(size=(8, 20)).astype(np.float32)
    want = ReferenceEvaluator(onnx.load_from_string(data)).run(None, {"x": x})[0]
    np.testing.assert_allclose(Session(data, "test", AS_WRITTEN).run({"x": x})["y"], want, atol=1e-5)


def test_what_onnxruntime_lacks_is_the_users_error_when_it_runs() -> None:
    """A dilated convolution with automatic padding is valid ONNX; onnxruntime finds out in the middle of a run."""
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], auto_pad="SAME_UPPER", dilations=[2], kernel_shape=[3])]
    session = Session(model(nodes, {"x": [1, 2, 20], "w": [4, 2, 3]}, ["y"]), "the captured model")
    with pytest.raises(UserError, match=r"the captured model: onnxruntime cannot run it: .*Dilation not supported"):
        session.run({"x": np.ones((1, 2, 20), np.float32)})


@pytest.mark.parametrize("levels", [REWRITTEN, AS_WRITTEN])
def test_garbage_is_refused(levels) -> None:
    with pytest.raises(UserError, match="here: onnxruntime cannot load it"):
        Session(b"garbage", "here", levels)
