"""Activations are counted as onnxruntime has them: against the graph that it executes, and the memory that it needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from compile.memory import lower_bound, plan
from compile.model import Model
from targets.base import Dissection, Kind
from targets.onnx.dissect import dissect
from targets.onnx.lower import lower

OVERWRITING = frozenset({"Relu", "Sigmoid", "Tanh", "LeakyRelu", "Softmax", "Clip"})


def weights(dissection: Dissection) -> int:
    held = (s for s in dissection.sections if s.kind in (Kind.WEIGHTS, Kind.QUANTIZATION))
    return sum(s.end - s.start if s.resident is None else s.resident for s in held)


def file_of(model: onnx.ModelProto, form: str = "") -> bytes:
    (data,) = lower(Model(ir.from_proto(model)), form).files.values()
    return data


@pytest.mark.parametrize("scheme", ["float", "w8", "w8a8"])
def test_a_student_of_any_scheme_takes_what_onnxruntime_gives_it(
    scheme: str, hub: Callable[..., Any], quantize: Callable[..., onnx.ModelProto], executed: Callable[..., Any]
) -> None:
    g = hub()
    features = g.op("Relu", g.conv(g.input(1, 4, 64), 8, 4, (3,), pads=[1, 1]))
    gate = g.op("Sigmoid", g.conv(features, 8, 8, (1,)))
    features = g.op("Relu", g.conv(gate, 8, 8, (3,), strides=[2]))
    flat = g.reshape(features, 1, 8 * 31)
    model = quantize(g.model(g.gemm(g.op("Relu", g.gemm(flat, 16, 8 * 31)), 5, 16)), scheme, g.feeds())
    data = file_of(model)
    found, reference = dissect({"m.onnx": data}), executed(data, OVERWRITING)
    assert lower_bound(found.lifetimes) == reference.peak
    assert found.unknown == ()


def product(source: str, result: str, width: int, depth: int) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """What ``targets/onnx/products.py`` writes: a product of ``source``, quantised as ``source_q``, with a bias."""
    arrays = {"w": np.ones((depth, width), np.int8), "s": np.ones(width, np.float32), "b": np.ones(width, np.float32)}
    nodes = [
        helper.make_node("MatMulInteger", [f"{source}_q", f"{result}_w", f"{source}_z"], [f"{result}_1"]),
        helper.make_node("Cast", [f"{result}_1"], [f"{result}_2"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{source}_s", f"{result}_s"], [f"{result}_3"]),
        helper.make_node("Mul", [f"{result}_2", f"{result}_3"], [f"{result}_4"]),
        helper.make_node("Add", [f"{result}_4", f"{result}_b"], [result]),
    ]
    return nodes, [numpy_helper.from_array(array, f"{result}_{name}") for name, array in arrays.items()]


def quantised(source: str) -> onnx.NodeProto:
    return helper.make_node("DynamicQuantizeLinear", [source], [f"{source}_{part}" for part in "qsz"])


def test_a_product_quantised_at_run_time_is_one_kernel(executed: Callable[..., Any]) -> None:
    first, second = product("x", "h", 32, 64), product("r", "y", 5, 32)
    nodes = [quantised("x"), *first[0], helper.make_node("Relu", ["h"], ["r"]), quantised("r"), *second[0]]
    data = graph(nodes, {"x": [1, 64], "y": [1, 5]}, [*first[1], *second[1]]).SerializeToString()
    found, reference = dissect({"m.onnx": data}), executed(data, OVERWRITING)
    assert reference.operators == ("DynamicQuantizeMatMul", "Relu", "DynamicQuantizeMatMul")
    assert len(found.steps) == 3
    assert lower_bound(found.lifetimes) == reference.peak == 4 * 64 + 64 + 4 * 32


def test_what_two_products_read_is_quantised_once(executed: Callable[..., Any]) -> None:
    first, second = product("x", "y0", 32, 64), product("x", "y1", 16, 64)
    nodes = [quantised("x"), *first[0], *second[0]]
    data = graph(nodes, {"x": [1, 64], "y0": [1, 32], "y1": [1, 16]}, [*first[1], *second[1]]).SerializeToString()
    found, reference = dissect({"m.onnx": data}), executed(data, OVERWRITING)
    assert reference.operators == ("DynamicQuantizeLinear", *["MatMulIntegerToFloat"] * 2)
    assert len(found.steps) == 3
    assert lower_bound(found.lifetimes) == reference.peak


def test_a_weight_that_is_cast_counts_once_and_wide(hub: Callable[..., Any], executed: Callable[..., Any]) -> None:
    """Onnxruntime computes the Cast when it loads the model, keeps float32, and forgets float16."""
    g = hub()
    x = g.input(1, 8)
    for _ in range(3):
        wide = g.op("Cast", g.constant(g.random.normal(size=(8, 8)), np.float16), to=TensorProto.FLOAT)
        x = g.op("Gemm", x, wide, transB=1, transA=0, alpha=1.0, beta=1.0)
    data = file_of(g.model(x), "unity")
    found, reference = dissect({"m.onnx": data}), executed(data)
    assert weights(found) == reference.constants == 3 * 4 * 64
    assert lower_bound(found.lifetimes) == reference.peak
    assert [section.end - section.start for section in found.sections if section.dtype == "float16"] == [2 * 64] * 3


def test_a_constant_that_is_also_read_as_it_is_counts_twice() -> None:
    half = numpy_helper.from_array(np.ones(16, np.float16), "half")
    nodes = [
        helper.make_node("Cast", ["half"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["x", "wide"], ["y"]),
        helper.make_node("Add", ["h", "half"], ["z"]),
    ]
    found = dissect({"m.onnx": graph(nodes, {"x": [16], "y": [16]}, [half], halves=("h", "z")).SerializeToString()})
    assert weights(found) == 16 * 2 + 16 * 4
    assert found.unknown == ()


def test_dequantised_weights_live_from_when_onnxruntime_computes_them(
    hub: Callable[..., Any], quantize: Callable[..., onnx.ModelProto], executed: Callable[..., Any]
) -> None:
    """The weight of the first Gemm is younger than the Reshape that it multiplies: it comes before all convolutions."""
    g = hub()
    x = g.input(1, 4, 32)
    for _ in range(2):
        x = g.op("Relu", g.conv(x, 4, 4, (3,), pads=[1, 1]))
    data = file_of(quantize(g.model(g.gemm(g.reshape(x, 1, 128), 16, 128)), "w8", g.feeds()))
    found, reference = dissect({"m.onnx": data}), executed(data, OVERWRITING)
    assert max(found.lifetimes, key=lambda life: life.size).first == 0
    assert lower_bound(found.lifetimes) == reference.peak


def test_branches_run_in_onnxruntimes_order(executed: Callable[..., Any]) -> None:
    """Four ends, and inputs of one node of different age: not the order of the file."""
    nodes = [
        helper.make_node("ReduceMin", ["x"], ["a"], name="a", keepdims=1),
        helper.make_node("Sin", ["a"], ["y0"], name="y0"),
        helper.make_node("Tanh", ["x"], ["c"], name="c"),
        helper.make_node("Exp", ["c"], ["d"], name="d"),
        helper.make_node("Sqrt", ["d"], ["e"], name="e"),
        helper.make_node("Sub", ["d", "x"], ["y1"], name="y1"),
        helper.make_node("Max", ["x", "e"], ["f"], name="f"),
        helper.make_node("Softmax", ["f"], ["y2"], name="y2"),
        helper.make_node("Transpose", ["f"], ["y3"], name="y3", perm=[1, 0]),
    ]
    ends = {"x": [4, 6], "y0": [1, 1], "y1": [4, 6], "y2": [4, 6], "y3": [6, 4]}
    data = graph(nodes, ends, []).SerializeToString()
    found, reference = dissect({"m.onnx": data}), executed(data, OVERWRITING)
    operators = {node.name: node.op_type for node in nodes}
    assert tuple(operators[name] for name in found.steps) == reference.operators
    assert found.steps != tuple(operators)
    assert lower_bound(found.lifetimes) == reference.peak


def test_a_shared_weight_is_dequantised_for_each_reader(hub: Callable[..., Any], executed: Callable[..., Any]) -> None:
    """Onnxruntime gives every reader a DequantizeLinear of its own, and both floats live from the start."""
    g = hub()
    zero = g.constant(np.zeros(32), np.int8)
    integers, scale = g.constant(g.random.integers(-127, 128, (32, 32)), np.int8), g.constant(np.full(32, 0.02))
    wide = g.op("DequantizeLinear", integers, scale, zero, axis=0)
    x = g.op("Relu", g.op("Gemm", g.input(1, 32), wide, transB=1))
    data = g.model(g.op("Gemm", x, wide, transB=1)).SerializeToString()
    found, reference = dissect({"m.onnx": data}), executed(data, OVERWRITING)
    assert reference.operators.count("DequantizeLinear") == 2
    assert sum(life.size == 4 * 32 * 32 for life in found.lifetimes) == 2
    assert lower_bound(found.lifetimes) == reference.peak


def graph(
    nodes: list[onnx.NodeProto],
    ends: dict[str, list[int]],
    constants: list[onnx.TensorProto],
    halves: tuple[str, ...] = (),
) -> onnx.ModelProto:
    """A graph whose values named ``x…`` and ``y…`` are float32 inputs and outputs, with float16 ones of 16 beside."""
    values = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in ends.items()}
    values |= {name: helper.make_tensor_value_info(name, TensorProto.FLOAT16, [16]) for name in halves}
    written = {name for node in nodes for name in node.output}
    inputs = [value for name, value in values.items() if name not in written]
    outputs = [value for name, value in values.items() if name in written]
    made = helper.make_graph(nodes, "g", inputs, outputs, constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


SIZE = 1 << 20  # bytes of each value in a chain
SHAPE = [1, 64, 64, 64]


def chain(operator: str, *constants: Any, **attributes: Any) -> onnx.ModelProto:
    """Four of ``operator`` between a Transpose, which is not in place, and a maximum, whose result is small."""
    names = [f"c{index}" for index in range(len(constants))]
    nodes = [helper.make_node("Transpose", ["x"], ["v0"], perm=[0, 1, 3, 2])]
    nodes += [helper.make_node(operator, [f"v{i}", *names], [f"v{i + 1}"], **attributes) for i in range(4)]
    nodes.append(helper.make_node("ReduceMax", ["v4"], ["y"], keepdims=1))
    stored = [numpy_helper.from_array(np.asarray(value), name) for value, name in zip(constants, names, strict=True)]
    return graph(nodes, {"x": SHAPE, "y": [1, 1, 1, 1]}, stored)


@pytest.mark.parametrize(
    ("model", "copies"),
    [
        (chain("Sigmoid"), 1),
        (chain("Reshape", np.array(SHAPE)), 1),
        (chain("Sin"), 2),
        (chain("Add", np.float32(1)), 2),
    ],
    ids=["in place", "another name", "anew", "anew, of two"],
)
def test_what_shares_memory_is_what_onnxruntime_can_run_in_so_little(
    model: onnx.ModelProto, copies: int, fits: Callable[[onnx.ModelProto, int], bool]
) -> None:
    """An arena of half a value more than predicted suffices, and one of half a value less does not."""
    lifetimes = [life for life in dissect({"m.onnx": model.SerializeToString()}).lifetimes if life.tensor != "x"]
    assert lower_bound(lifetimes) // SIZE == copies
    assert fits(model, lower_bound(lifetimes) + SIZE // 2)
    assert not fits(model, lower_bound(lifetimes) - SIZE // 2)


def lives(nodes: list[onnx.NodeProto], **ends: list[int]) -> dict[str, tuple[int, int]]:
    found = dissect({"m.onnx": graph(nodes, ends, []).SerializeToString()})
    assert found.unknown == ()
    return {life.tensor: (life.first, life.last) for life in found.lifetimes}


def test_nothing_is_overwritten_that_is_read_later() -> None:
    nodes = [
        helper.make_node("Sin", ["x"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    assert lives(nodes, x=[8], y=[8]) == {"x": (0, 2), "a": (0, 2), "b": (1, 2), "y": (2, 2)}


def test_what_the_caller_gave_or_gets_is_not_overwritten() -> None:
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Relu", ["a"], ["y"])]
    assert lives(nodes, x=[8], y=[8]) == {"x": (0, 1), "a": (0, 1), "y": (1, 1)}


def test_another_name_of_an_input_is_the_input_and_of_an_output_a_copy() -> None:
    nodes = [helper.make_node("Flatten", ["x"], ["a"]), helper.make_node("Flatten", ["a"], ["y"])]
    assert lives(nodes, x=[1, 8], y=[1, 8]) == {"x": (0, 1), "y": (1, 1)}


def test_a_kernel_in_place_behind_another_name_counts_all_readers() -> None:
    """``a`` is read under both its names: the Relu may not overwrite it."""
    nodes = [
        helper.make_node("Sin", ["x"], ["a"]),
        helper.make_node("Flatten", ["a"], ["b"]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Add", ["a", "c"], ["y"]),
    ]
    assert lives(nodes, x=[1, 8], y=[1, 8]) == {"x": (0, 3), "a": (0, 3), "c": (2, 3), "y": (3, 3)}


def test_offsets_are_aligned_as_onnxruntimes() -> None:
    nodes = [helper.make_node("Sin", ["x"], ["a"]), helper.make_node("Add", ["x", "a"], ["y"])]
    found = dissect({"m.onnx": graph(nodes, {"x": [3], "y": [3]}, []).SerializeToString()})
    assert found.alignment == 256
    assert plan(found.lifetimes, found.alignment).size == 2 * 256 + 12
