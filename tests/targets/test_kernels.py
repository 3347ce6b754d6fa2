"""Reading hub graphs as kernels: what is absorbed, what stays explicit, what is fused."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from compile.model import Model
from targets.capabilities import refusals, scheme_of
from targets.kernels import Program, read


def program(model: onnx.ModelProto) -> Program:
    return read(Model(ir.from_proto(model)))


def names(found: Program) -> list[str]:
    return [kernel.operator for kernel in found.kernels]


def schemes(found: Program) -> list[str]:
    return [scheme_of(kernel, found) for kernel in found.kernels]


@pytest.fixture
def network(hub: Any) -> Any:
    """Conv with Relu, then a Gemm: the builder and the model."""
    h = hub(1)
    x = h.op("Relu", h.conv(h.input(1, 3, 10), 4, 3, (3,)))
    return h, h.model(h.gemm(h.reshape(x, 1, 32), 5, 32))


def test_a_float_graph_fuses_relu_and_nothing_else(network: Any) -> None:
    _, model = network
    found = program(model)
    assert names(found) == ["Conv", "Reshape", "Gemm"]
    assert [kernel.activation for kernel in found.kernels] == ["Relu", "", ""]
    assert schemes(found) == ["float"] * 3
    conv = found.kernels[0]
    assert conv.attributes["pads"] == (0, 0)
    assert found.tensors[conv.output].shape == (1, 4, 8)
    assert (found.inputs, found.outputs) == (("in0",), (model.graph.output[0].name,))


def test_w8_keeps_the_dequantisation_of_its_weights(network: Any, quantize: Any) -> None:
    h, model = network
    found = program(quantize(model, "w8", h.feeds()))
    assert names(found) == ["DequantizeLinear", "Conv", "Reshape", "DequantizeLinear", "Gemm"]
    assert schemes(found) == ["float", "w8", "float", "float", "w8"]
    weight = found.tensors[found.kernels[0].inputs[0]]
    assert weight.dtype == np.int8
    assert weight.data is not None
    assert weight.quantization is not None
    assert (weight.quantization.axis, weight.quantization.scale.shape) == (0, (4,))


def test_w8a8_absorbs_every_pair_but_the_ends(network: Any, quantize: Any) -> None:
    h, model = network
    found = program(quantize(model, "w8a8", h.feeds()))
    assert names(found) == ["QuantizeLinear", "Conv", "Reshape", "Gemm", "DequantizeLinear"]
    assert schemes(found)[1:4] == ["w8a8"] * 3
    assert found.kernels[1].activation == "Relu"
    source, weight, bias = (found.tensors[name] for name in found.kernels[1].inputs)
    assert [tensor.dtype for tensor in (source, weight, bias)] == [np.int8, np.int8, np.int32]
    for tensor in (source, weight, bias):
        assert tensor.quantization is not None
    assert found.tensors[found.outputs[0]].dtype == np.float32


def test_a_value_read_by_both_worlds_is_dequantised_once(hub: Any, quantize: Any) -> None:
    h = hub(1)
    x = h.op("Tanh", h.input(1, 4))
    model = h.model(h.op("Sigmoid", x), x)
    found = program(quantize(model, "w8a8", h.feeds()))
    assert names(found) == ["QuantizeLinear", "Tanh", "Sigmoid", "DequantizeLinear", "DequantizeLinear"]
    assert len(set(found.outputs)) == 2


def test_a_relu_with_company_is_not_fused(hub: Any) -> None:
    h = hub(1)
    x = h.conv(h.input(1, 3, 10), 3, 3, (1,))
    assert names(program(h.model(h.op("Relu", x), x))) == ["Conv", "Relu"]
    h = hub(1)
    assert names(program(h.model(h.op("Relu", h.op("Mul", h.input(3), h.noise(3)))))) == ["Mul", "Relu"]


@pytest.mark.parametrize("operator", ["Conv", "Gemm"])
def test_float_parameters_between_integer_neighbours_stay_float(hub: Any, quantize: Any, operator: str) -> None:
    """A float node between DQ and Q is known by its float weight; a ``w8`` one by its float bias."""
    h = hub(1)
    x = h.op("Tanh", h.input(2, 3, 8) if operator == "Conv" else h.input(2, 3))
    x = h.conv(x, 4, 3, (3,)) if operator == "Conv" else h.gemm(x, 4, 3)
    integer = quantize(h.model(h.op("Sigmoid", x)), "w8a8", h.feeds())
    node = next(node for node in integer.graph.node if node.op_type == operator)
    _, weight, bias = node.input
    data = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in integer.graph.initializer}

    def make_float(position: int, like: str) -> None:
        name = f"plain{position}"
        array = data[f"{like.removesuffix('_d')}_i"].astype(np.float32)
        integer.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
        node.input[position] = name

    make_float(2, bias)
    found = program(integer)
    kernel = next(kernel for kernel in found.kernels if kernel.operator == operator)
    assert scheme_of(kernel, found) == "w8"
    make_float(1, weight)
    found = program(integer)
    kernel = next(kernel for kernel in found.kernels if kernel.operator == operator)
    assert scheme_of(kernel, found) == "float"
    assert names(found).count("QuantizeLinear") == 2


def test_a_pads_value_and_a_slices_bounds_do_not_make_it_float(hub: Any, quantize: Any) -> None:
    h = hub(1)
    model = h.model(h.slice(h.pad(h.input(1, 3), [0, 1, 0, 1], 0.5), 1, 0, 2))
    found = program(quantize(model, "w8a8", h.feeds()))
    assert names(found) == ["QuantizeLinear", "Pad", "Slice", "DequantizeLinear"]


def test_equal_integers_under_different_scales_are_different_constants(hub: Any, quantize: Any) -> None:
    """A single number always becomes 127 or -128, whatever it is; graphs store equal bytes once."""
    h = hub(1)
    model = h.model(h.op("Add", h.op("Mul", h.input(1, 3), h.constant([2.0])), h.constant([3.0])))
    graph = quantize(model, "w8a8", h.feeds()).graph
    first, second = (next(n.input[1] for n in graph.node if n.op_type == name) for name in ("Mul", "Add"))
    one, two = (next(n for n in graph.node if n.output[0] == name) for name in (first, second))
    two.input[0] = one.input[0]
    quantised = onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    found = program(quantised)
    operands = [found.tensors[kernel.inputs[1]] for kernel in found.kernels if kernel.operator in ("Mul", "Add")]
    assert operands[0].name != operands[1].name
    values = [float(t.quantization.scale[0] * (t.data - t.quantization.zero_point[0])[0]) for t in operands]
    np.testing.assert_allclose(values, [2, 3], rtol=1e-6)


@pytest.mark.parametrize("operator", ["Reshape", "Sigmoid"])
def test_parameters_that_a_kernel_cannot_write_keep_the_conversions(hub: Any, quantize: Any, operator: str) -> None:
    """Another scale behind a move, or one that is not 1/256 behind a Sigmoid: the node computes in float."""
    h = hub(1)
    x = h.op("Relu", h.input(2, 3))
    moved = h.reshape(x, 3, 2) if operator == "Reshape" else h.op("Sigmoid", x)
    graph = quantize(h.model(h.op("Relu", moved)), "w8a8", h.feeds())
    whole = ["QuantizeLinear", "Relu", operator, "Relu", "DequantizeLinear"]
    assert names(program(graph)) == whole
    q = next(n for n in graph.graph.node if n.op_type == "QuantizeLinear" and n.input[0] == moved)
    dq = next(n for n in graph.graph.node if n.op_type == "DequantizeLinear" and n.input[0] == q.output[0])
    graph.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0.77), "other"))
    q.input[1] = dq.input[1] = "other"
    found = names(program(graph))
    at = found.index(operator)
    assert found[at - 1 : at + 2] == ["DequantizeLinear", operator, "QuantizeLinear"]


def test_refusals_name_operator_node_and_reason(hub: Any) -> None:
    h = hub(1)
    pooled = h.pool("MaxPool", h.input(1, 3, 20), (3,), dilations=[2])
    found = program(h.model(h.op("Hardmax", pooled, axis=1)))
    assert [(refusal.operator, refusal.node) for refusal in refusals("tflite", found)] == [
        ("MaxPool", "n0"),
        ("Hardmax", "n1"),
    ]
    assert [refusal.operator for refusal in refusals("onnx", found)] == ["Hardmax"]
