"""Shapes inferred here are never wrong: against onnx's own inference, and the values that its node tests state."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from compile.model import Model
from targets.onnx.lower import FORMS, lower
from targets.onnx.proto import parse
from targets.onnx.shapes.declared import by_onnx, declared
from targets.onnx.shapes.infer import infer
from targets.onnx.shapes.view import Value

# Modules of onnx's node tests, which run onnx's reference as they are imported.
_MODULES = """
    add argmax cast clip concat conv convinteger convtranspose dequantizelinear dropout
    dynamicquantizelinear equal expand flatten gather gelu gemm globalaveragepool layernormalization leakyrelu matmul
    matmulinteger max mul pad pow prelu qlinearconv qlinearmatmul quantizelinear reducemean reducesum reshape resize
    shape slice softmax split squeeze tile transpose unsqueeze where
"""
MODULES = _MODULES.split()


def inferred(model: onnx.ModelProto, shapeless: bool = True) -> dict[str, Value]:
    """By phiz alone, told nothing but the inputs and the constants."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]
    if shapeless:
        for value in bare.graph.output:
            value.type.Clear()
    message = parse(bare.SerializeToString(), "m.onnx")
    graph = next(message.messages("graph"))
    return infer(message, graph, declared(graph))


def stated(model: onnx.ModelProto) -> dict[str, Value]:
    """Fixed shapes that a model, or onnx's inference of it, states."""
    found = {}
    for value in (*model.graph.value_info, *model.graph.output):
        tensor = value.type.tensor_type
        if tensor.HasField("shape") and all(dim.HasField("dim_value") for dim in tensor.shape.dim):
            found[value.name] = tensor.elem_type, tuple(dim.dim_value for dim in tensor.shape.dim)
    return found


def with_constants(model: onnx.ModelProto, data: Sequence[Any]) -> onnx.ModelProto:
    """A model whose integer inputs (shapes, axes, pads) are constants, as exporters write them."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    for value, array in zip(model.graph.input, data, strict=False):
        if isinstance(array, np.ndarray) and array.dtype == np.int64:
            fixed.graph.initializer.append(numpy_helper.from_array(array, value.name))
            fixed.graph.input.remove(value)
    return fixed


@pytest.mark.filterwarnings("ignore")  # onnx's own cases overflow on purpose
def test_no_shape_of_a_node_test_is_wrong() -> None:
    node = importlib.import_module("onnx.backend.test.case.node")
    for module in MODULES:
        importlib.import_module(f"{node.__name__}.{module}")
    known = set()
    for case in node._NodeTestCases:
        ours = inferred(with_constants(case.model, case.data_sets[0][0]))
        for name, value in stated(case.model).items():  # as onnx's reference computed them
            if name in ours:
                assert ours[name] == value, case.name
                known |= {made.op_type.lower() for made in case.model.graph.node if name in made.output}
    assert set(MODULES) <= known


def test_no_shape_of_a_whole_model_is_wrong() -> None:
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data"
    compared = 0
    for path in sorted(folder.rglob("*.onnx")):
        model = onnx.load(path)
        ours = inferred(model)
        for name, value in stated(onnx.shape_inference.infer_shapes(model, data_prop=True)).items():
            if name in ours:
                assert ours[name] == value, (path, name)
                compared += 1
    assert compared > 1000


def test_a_file_that_declares_otherwise_is_not_believed() -> None:
    node = helper.make_node("Conv", ["x", "w"], ["a"])
    weight = numpy_helper.from_array(np.ones((8, 4, 3), np.float32), "w")
    graph = helper.make_graph(
        [node, helper.make_node("ReduceMax", ["a"], ["y"], keepdims=0)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 10])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [])],
        [weight],
        value_info=[helper.make_tensor_value_info("a", TensorProto.FLOAT, [1, 1, 1])],
    )
    message = parse(helper.make_model(graph).SerializeToString(), "m.onnx")
    main = next(message.messages("graph"))
    assert infer(message, main, declared(main))["a"] == (TensorProto.FLOAT, (1, 8, 8))


def test_onnx_is_asked_for_the_rest_and_not_given_the_weights() -> None:
    weight = numpy_helper.from_array(np.ones((64, 64), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("Einsum", ["x", "w"], ["y"], equation="ij,jk->ik")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 64])],
        [onnx.ValueInfoProto(name="y")],
        [weight],
    )
    message = parse(helper.make_model(graph).SerializeToString(), "m.onnx")
    main = next(message.messages("graph"))
    assert "y" not in infer(message, main, declared(main))
    assert by_onnx(message, main)["y"] == (TensorProto.FLOAT, (2, 64))


def test_a_graph_whose_values_grow_without_end_ends_with_unknown_shapes() -> None:
    """Each doubles a shape that onnx propagates as data: in our process it would take all memory there is."""
    nodes = [helper.make_node("Shape", ["x"], ["s0"])]
    nodes += [helper.make_node("Concat", [f"s{n}", f"s{n}"], [f"s{n + 1}"], axis=0) for n in range(40)]
    nodes.append(helper.make_node("Reshape", ["x", "s40"], ["y"]))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])
    model = helper.make_model(helper.make_graph(nodes, "g", [x], [onnx.ValueInfoProto(name="y")]))
    message = parse(model.SerializeToString(), "m.onnx")
    assert "y" not in by_onnx(message, next(message.messages("graph")))


@pytest.mark.parametrize("attribute", [{"strides": [0]}, {"kernel_shape": [9]}, {"dilations": [-1]}, {"pads": [1]}])
def test_what_makes_no_sense_is_unknown(attribute: dict[str, list[int]]) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], **attribute)
    graph = helper.make_graph(
        [node],
        "g",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 10]),
            helper.make_tensor_value_info("w", TensorProto.FLOAT, [8, 4, 3]),
        ],
        [onnx.ValueInfoProto(name="y")],
    )
    assert "y" not in inferred(helper.make_model(graph))


def test_tensors_of_other_ranks_are_not_joined() -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("a", [2]), ("b", []))]
    node = helper.make_node("Concat", ["a", "b"], ["y"], axis=0)
    assert "y" not in inferred(
        helper.make_model(helper.make_graph([node], "g", values, [onnx.ValueInfoProto(name="y")]))
    )


def test_a_function_of_the_model_is_not_the_operator_of_its_name() -> None:
    function = helper.make_function(
        "own", "Relu", ["x"], ["y"], [helper.make_node("Shape", ["x"], ["y"])], [helper.make_opsetid("", 18)]
    )
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"], domain="own")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])],
        [onnx.ValueInfoProto(name="y")],
    )
    assert "y" not in inferred(helper.make_model(graph, functions=[function]))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scheme", ["float", "w8", "w8a8"])
def test_students_are_read_without_onnx(
    scheme: str, form: str, hub: Callable[..., Any], quantize: Callable[..., onnx.ModelProto]
) -> None:
    """Our inference knows every value of the files that phiz writes, as onnx does."""
    g = hub()
    features = g.op("Relu", g.conv(g.input(1, 4, 64), 8, 4, (3,), pads=[1, 1]))
    gate = g.op("Sigmoid", g.conv(features, 8, 8, (1,)))
    joined = g.op("Concat", g.op("Add", features, gate), g.op("Tanh", features), axis=1)
    pooled = g.op("LeakyRelu", g.pool("MaxPool", joined, (2,)), alpha=0.1)
    flat = g.reshape(g.op("GlobalAveragePool", g.slice(g.pad(pooled, [0, 0, 1, 0, 0, 1]), 2, 1, 33)), 1, 16)
    model = quantize(g.model(g.gemm(flat, 5, 16), flat), scheme, g.feeds())
    (data,) = lower(Model(ir.from_proto(model)), form).files.values()
    written = onnx.load_from_string(data)
    ours, theirs = inferred(written), stated(onnx.shape_inference.infer_shapes(written, data_prop=True))
    assert {name: ours.get(name) for name in theirs} == theirs
    assert theirs.keys() >= {name for node in written.graph.node for name in node.output}


def test_an_audit_imports_no_onnx(tmp_path: Path) -> None:
    """In a fresh process, for importing it takes longer than the rest."""
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Softmax", ["a"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8])],
    )
    onnx.save(helper.make_model(graph), tmp_path / "m.onnx")
    program = (
        "import sys; from pathlib import Path; from targets.onnx.dissect import dissect\n"
        "found = dissect({'m.onnx': Path(sys.argv[1]).read_bytes()})\n"
        "assert not found.unknown and len(found.lifetimes) == 3, found\n"
        "assert not {'onnx', 'numpy', 'onnxruntime'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "m.onnx")], check=True)
