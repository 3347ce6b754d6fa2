"""The operators of the table's second half against onnxruntime, in float and where they have integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from targets.base import Kind
from targets.tflite.dissect import dissect
from targets.tflite.run import load

schema = pytest.importorskip("ai_edge_litert.schema_py_generated")

EDGES = np.float32([-1e12, -1e4, -87, -2.5, -1.5, -0.5, -2e-38, -0.0, 0.0, 2e-38, 0.5, 1.5, 2.5, 87, 1e4, 1e12])


def positive(h: Any, *shape: int) -> str:
    return h.op("Add", h.op("Abs", h.input(*shape)), h.constant([0.5]))


def bounded(h: Any, x: str, low: float, high: float) -> str:
    return h.op("Clip", x, h.constant(low), h.constant(high))


# One partition; alone, after a channels-first input.
WHOLE: dict[str, Callable[[Any], str]] = {
    **{
        name: lambda h, name=name: h.op(name, h.input(2, 3, 50))
        for name in ("Exp", "Abs", "Sin", "Cos", "Floor", "Ceil", "Round", "Sign")
    },
    "Elu": lambda h: h.op("Elu", h.input(2, 3, 50), alpha=1.0),
    "Log": lambda h: h.op("Log", positive(h, 2, 3, 50)),
    "Sqrt": lambda h: h.op("Sqrt", positive(h, 2, 3, 50)),
    "Gelu": lambda h: h.op("Gelu", h.input(2, 3, 50), approximate="none"),
    "Gelu by tanh": lambda h: h.op("Gelu", h.input(2, 3, 50), approximate="tanh"),
    "Clip to [0, 6]": lambda h: bounded(h, h.op("Mul", h.input(2, 3, 50), h.constant([5.0])), 0, 6),
    "Clip to [-1, 1]": lambda h: bounded(h, h.input(2, 3, 50), -1, 1),
    "Clip to [0, 1]": lambda h: bounded(h, h.input(2, 3, 50), 0, 1),
    "Clip to [-0.3, 0.7], five axes": lambda h: bounded(h, h.input(2, 3, 2, 5, 2), -0.3, 0.7),
    "PRelu": lambda h: h.op("PRelu", h.input(2, 3, 50), h.noise(3, 1)),
    "PRelu, two axes": lambda h: h.op("PRelu", h.input(2, 3), h.noise(3)),
    "PRelu, one slope": lambda h: h.op("PRelu", h.input(2, 3, 50), h.noise(1)),
    "PRelu, 2-D": lambda h: h.op("PRelu", h.input(2, 3, 5, 6), h.noise(3, 1, 1)),
    "Sub": lambda h: h.op("Sub", h.input(2, 3, 50), h.input(3, 1)),
    "Sub from a constant": lambda h: h.op("Sub", h.noise(3, 1), h.input(2, 3, 50)),
    "Sub from a larger constant": lambda h: h.op("Sub", h.noise(2, 3, 5), h.input(1, 5)),
    "Sub of one element from a constant": lambda h: h.op("Sub", h.noise(4), h.input(1)),
    "Sub, five axes": lambda h: h.op("Sub", h.input(2, 3, 2, 5, 2), h.input(5, 1)),
    "Div": lambda h: h.op("Div", h.input(2, 3, 50), positive(h, 3, 50)),
    "Div of a constant": lambda h: h.op("Div", h.constant([1.0]), positive(h, 2, 3, 50)),
    "Div, five axes": lambda h: h.op("Div", h.input(2, 3, 2, 5, 2), positive(h, 5, 1)),
    "Max": lambda h: h.op("Max", h.input(2, 3, 50), h.input(2, 3, 50)),
    "Max of a constant": lambda h: h.op("Max", h.noise(3, 1), h.input(2, 3, 50)),
    "Min": lambda h: h.op("Min", h.input(2, 1, 50), h.input(3, 1)),
    "Min, five axes": lambda h: h.op("Min", h.input(2, 3, 2, 5, 2), h.noise(1)),
    **{
        f"Reduce{kind} over {axes}": lambda h, kind=kind, axes=axes: h.reduce(kind, h.input(2, 3, 4, 5), *axes)
        for kind in ("Mean", "Sum", "Max", "Min")
        for axes in ((1,), (3,), (0, 2), (0, 1, 2, 3))
    },
    "ReduceMean, five axes": lambda h: h.reduce("Mean", h.input(2, 3, 4, 5, 2), 1, 3),
    "Softmax": lambda h: h.op("Softmax", h.op("Mul", h.input(2, 3, 7), h.constant([300.0])), axis=2),
    "Softmax of channels": lambda h: h.op("Softmax", h.input(2, 3, 7), axis=1),
    "Softmax of the batch": lambda h: h.op("Softmax", h.input(4, 7), axis=0),
    "Softmax, five axes": lambda h: h.op("Softmax", h.input(2, 3, 2, 5, 2), axis=1),
    "MatMul": lambda h: h.op("MatMul", h.input(3, 4), h.input(4, 5)),
    "MatMul in batches": lambda h: h.op("MatMul", h.input(2, 1, 3, 4), h.input(1, 6, 4, 5)),
    "MatMul with constants": lambda h: h.op("MatMul", h.input(2, 3, 4), h.noise(2, 4, 5)),
    "MatMul of constants": lambda h: h.op("MatMul", h.noise(2, 3, 4), h.input(2, 4, 5)),
    "MatMul, five axes": lambda h: h.op("MatMul", h.input(2, 1, 2, 3, 4), h.input(2, 3, 1, 4, 5)),
    "Gather": lambda h: h.gather(h.input(2, 6, 5), 1, 1, 2, 3),
    "Gather of every second": lambda h: h.gather(h.input(2, 7, 5), 1, 0, 2, 4, 6),
    "Gather of the same": lambda h: h.gather(h.input(2, 7, 5), 1, 3, 3, 3),
    "Gather of nearest neighbours": lambda h: h.gather(h.input(2, 3, 5), 2, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4),
    "Gather of runs": lambda h: h.gather(h.input(2, 7, 5), 1, 4, 5, 6, 0, 1, 2),
    "Gather, five axes": lambda h: h.gather(h.input(2, 7, 2, 3, 2), 1, 4, 5, 6, 0, 1, 2),
    "Expand": lambda h: h.expand(h.input(2, 1, 5), 2, 4, 5),
    "Expand of two axes": lambda h: h.expand(h.input(1, 3, 1), 2, 3, 123),
    "Expand of nothing": lambda h: h.expand(h.input(2, 3), 2, 3),
    "Resize": lambda h: h.resize(h.input(2, 3, 5), 2, 3, 13),
    "Resize, shorter": lambda h: h.resize(h.input(2, 3, 13), 2, 3, 5),
    "Resize by corners": lambda h: h.resize(h.input(2, 3, 5), 2, 3, 13, mode="align_corners"),
    "Resize, 2-D": lambda h: h.resize(h.input(2, 3, 5, 9), 2, 3, 12, 4),
    "Resize by corners, 2-D": lambda h: h.resize(h.input(2, 3, 5, 9), 2, 3, 12, 1, mode="align_corners"),
    "Resize of one element": lambda h: h.resize(h.input(2, 3, 1, 2), 2, 3, 4, 5, mode="align_corners"),
    "layer normalisation": lambda h: normalised(h, h.input(2, 7, 16), 2),
}

# Some of it is left to the builtin kernels.
SPLIT: dict[str, Callable[[Any], str]] = {
    "Pow": lambda h: h.op("Pow", positive(h, 2, 3, 50), h.constant(1.7)),
    "Pow of negative numbers": lambda h: h.op("Pow", h.input(2, 3, 5), h.constant(-3.0)),
    "Pow, four axes": lambda h: h.op("Pow", positive(h, 2, 3, 2, 5), h.constant(0.3)),
    "Gather backwards": lambda h: h.gather(h.input(2, 7, 5), 1, 6, 5, 4, 3, 2, 1, 0),
    "Gather here and there": lambda h: h.gather(h.input(2, 7, 5), 1, 4, 0, 6, 1, 1, 0, 5),
    **{
        name: lambda h, name=name: as_float(h, h.op(name, h.input(2, 3, 50), h.input(3, 1)))
        for name in ("Less", "LessOrEqual", "Greater", "GreaterOrEqual")
    },
    "Equal": lambda h: as_float(h, h.op("Equal", h.op("Round", h.input(2, 3, 50)), h.constant([1.0]))),
    "Less than a constant, four axes": lambda h: as_float(h, h.op("Less", h.input(2, 3, 2, 5), h.noise(3, 1, 5))),
    "And": lambda h: as_float(h, h.op("And", positives(h, 2, 3, 5), positives(h, 3, 1))),
    "Or": lambda h: as_float(h, h.op("Or", positives(h, 2, 1, 5), positives(h, 3, 1))),
    "And, four axes": lambda h: as_float(h, h.op("And", positives(h, 2, 3, 2, 5), positives(h, 2, 1))),
    "Not": lambda h: as_float(h, h.op("Not", positives(h, 2, 3, 5))),
    "Where": lambda h: h.op("Where", positives(h, 2, 3, 5), h.input(2, 3, 5), h.input(2, 3, 5)),
    "Where with constants": lambda h: h.op("Where", positives(h, 2, 3, 5), h.constant(1.5), h.noise(3, 1)),
    "Where, all broadcast": lambda h: h.op("Where", positives(h, 3, 1), h.input(2, 1, 1), h.noise(5)),
    "Where, five axes": lambda h: h.op("Where", positives(h, 5, 1), h.input(2, 3, 2, 5, 2), h.constant(0.0)),
}

LEFT = {"POW", "GATHER", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL", "EQUAL", "LOGICAL_AND", "LOGICAL_OR"}
LEFT |= {"LOGICAL_NOT", "SELECT_V2", "CAST", "RESHAPE"}  # a RESHAPE of bool

# On the channels-last memory [2, 8, 46] that a convolution leaves.
AFTER_CONV: dict[str, Callable[[Any, str], str]] = {
    "PRelu": lambda h, x: h.op("PRelu", x, h.noise(8, 1)),
    "Sub": lambda h, x: h.op("Sub", h.noise(8, 1), x),
    "ReduceMean of channels": lambda h, x: h.reduce("Mean", x, 1),
    "ReduceMax of frames": lambda h, x: h.op("Sub", x, h.reduce("Max", x, 2)),
    "Softmax of channels": lambda h, x: h.op("Softmax", x, axis=1),
    "layer normalisation of channels": lambda h, x: normalised(h, x, 1),
    "group normalisation": lambda h, x: h.reshape(normalised(h, h.reshape(x, 2, 2, 4 * 46), 2), 2, 8, 46),
    "attention": lambda h, x: attention(h, x),
    "Gather of channels": lambda h, x: h.gather(x, 1, 1, 1, 2, 2),
    "Expand": lambda h, x: h.expand(h.reduce("Sum", x, 2), 2, 8, 7),
    "ConvTranspose": lambda h, x: h.conv_transpose(x, 4, 8, (4,), strides=[2]),
    "Resize": lambda h, x: h.resize(x, 2, 8, 60),
    "a gate": lambda h, x: h.op("Mul", h.slice(x, 1, 0, 4), h.op("Sigmoid", h.slice(x, 1, 4, 8))),
}


def as_float(h: Any, x: str) -> str:
    return h.op("Cast", x, to=1)


def positives(h: Any, *shape: int) -> str:
    return h.op("Greater", h.input(*shape), h.constant([0.0]))


def normalised(h: Any, x: str, axis: int) -> str:
    centred = h.op("Sub", x, h.reduce("Mean", x, axis))
    variance = h.reduce("Mean", h.op("Mul", centred, centred), axis)
    return h.op("Div", centred, h.op("Sqrt", h.op("Add", variance, h.constant([1e-5]))))


def attention(h: Any, x: str) -> str:
    """Of frames to frames, with channels as features: softmax(xᵀ x) xᵀ, and back."""
    turned = h.op("Transpose", x, perm=[0, 2, 1])
    weights = h.op("Softmax", h.op("MatMul", turned, x), axis=2)
    return h.op("Transpose", h.op("MatMul", weights, turned), perm=[0, 2, 1])


def assert_labelled(trial: Any) -> None:
    found = dissect({trial.path.name: trial.path.read_bytes()})
    assert not found.unknown
    assert Kind.UNMAPPED not in {section.kind for section in found.sections}


@pytest.mark.parametrize("case", WHOLE)
def test_what_xnnpack_takes_is_one_partition(hub: Any, attempt: Any, case: str) -> None:
    h = hub(2)
    model, feeds = h.model(WHOLE[case](h)), h.feeds()
    trial = attempt(model, feeds)
    assert trial.excess() <= 1
    assert trial.delegation.whole
    assert_labelled(trial)
    trial.outputs.update(load(trial.path, delegate=False).run(feeds))
    assert trial.excess() <= 1  # the builtin kernels


@pytest.mark.parametrize("case", SPLIT)
def test_what_it_does_not_take_is_right(hub: Any, attempt: Any, case: str) -> None:
    h = hub(2)
    trial = attempt(h.model(SPLIT[case](h)), h.feeds())
    assert trial.excess() <= 1
    assert trial.delegation.outside
    assert set(trial.delegation.outside) <= LEFT
    assert_labelled(trial)


@pytest.mark.parametrize("case", AFTER_CONV)
def test_channels_last_memory_is_not_transposed(hub: Any, attempt: Any, operators: Any, case: str) -> None:
    h = hub(3)
    trial = attempt(h.model(AFTER_CONV[case](h, h.conv(h.input(2, 1, 50), 8, 1, (5,)))), h.feeds())
    assert trial.excess() <= 1
    assert trial.delegation.whole
    # One brings the output to ONNX's order; the input has one channel.
    assert operators(trial.path).count("TRANSPOSE") <= 1


# Between integers they compute in float, and XNNPACK takes the conversions along.
ISLANDS: dict[str, Callable[[Any, str], str]] = {
    "Exp": lambda h, x: h.op("Exp", x),
    "Clip": lambda h, x: bounded(h, x, -4, 5),
    "Sub": lambda h, x: h.op("Sub", h.noise(8, 1), x),
    "Max": lambda h, x: h.op("Max", x, h.slice(x, 1, 0, 1)),
    "ReduceMax": lambda h, x: h.reduce("Max", x, 2),
    "Softmax": lambda h, x: h.op("Softmax", x, axis=1),
    "MatMul": lambda h, x: h.op("MatMul", h.op("Transpose", x, perm=[0, 2, 1]), x),
    "PRelu": lambda h, x: h.op("PRelu", x, h.noise(8, 1)),
    "Resize": lambda h, x: h.resize(x, 2, 8, 60),
}


@pytest.mark.parametrize("case", ISLANDS)
def test_float_islands_stay_in_the_partition(hub: Any, attempt: Any, operators: Any, case: str) -> None:
    h = hub(3)
    x = ISLANDS[case](h, h.conv(h.input(2, 1, 50), 8, 1, (5,)))
    trial = attempt(h.model(h.op("Relu", x)), h.feeds(), "w8a8")
    assert trial.excess() <= 1
    assert trial.delegation.whole
    assert operators(trial.path).count("DEQUANTIZE") >= 2  # in front of the island, and of the output


@pytest.mark.parametrize("scheme", ["float", "w8", "w8a8"])
@pytest.mark.parametrize("product", ["conv", "gemm", "add"])
def test_a_clip_to_six_is_a_part_of_its_product(
    hub: Any, attempt: Any, operators: Any, product: str, scheme: str
) -> None:
    h = hub(3)
    x = h.op("Mul", h.input(2, 8), h.constant([4.0]))
    made = {
        "conv": lambda: h.conv(h.reshape(x, 2, 1, 8), 3, 1, (2,)),
        "gemm": lambda: h.gemm(x, 5, 8),
        "add": lambda: h.op("Add", x, h.input(8)),
    }[product]()
    trial = attempt(h.model(bounded(h, made, 0, 6)), h.feeds(), scheme)
    assert trial.excess() <= 1
    assert trial.delegation.whole
    assert not {"RELU6", "MINIMUM", "MAXIMUM"} & set(operators(trial.path))
    assert max(float(array.max()) for array in trial.outputs.values()) == pytest.approx(6)


@pytest.mark.parametrize("length", [2, 6, 26, 124, 1000])
def test_copies_of_copies(hub: Any, attempt: Any, operators: Any, length: int) -> None:
    """No broadcast is stored, and few operators make many copies."""
    for scheme in ("float", "w8a8"):
        h = hub(1)
        trial = attempt(h.model(h.expand(h.input(2, 3, 1), 2, 3, length)), h.feeds(), scheme)
        assert trial.excess() <= 1
        assert trial.delegation.whole
        assert operators(trial.path).count("CONCATENATION") <= 9
        assert trial.path.stat().st_size < 2500


# From which version on a runtime has these operators with these types and ranks; "op_version.cc" of TensorFlow Lite.
VERSIONS: dict[str, tuple[Callable[[Any], str], str, dict[str, int]]] = {
    "float": (lambda h: h.op("Sub", h.input(2, 3), h.input(3)), "float", {"SUB": 1}),
    "five axes": (lambda h: h.op("Sub", h.input(2, 1, 1, 1, 3), h.input(3)), "float", {"SUB": 3}),
    "five axes alike": (lambda h: h.op("Sub", h.input(2, 1, 1, 1, 3), h.input(2, 1, 1, 1, 3)), "float", {"SUB": 1}),
    "five axes, Div": (lambda h: h.op("Div", h.input(2, 1, 1, 1, 3), h.input(3)), "float", {"DIV": 2}),
    "five axes, Clip": (
        lambda h: bounded(h, h.input(2, 1, 1, 1, 3), 0, 3),
        "float",
        {"MAXIMUM": 3, "MINIMUM": 3},
    ),
    "Clip": (lambda h: bounded(h, h.input(2, 3), 0, 3), "float", {"MAXIMUM": 1, "MINIMUM": 1}),
    "half pixels": (lambda h: h.resize(h.input(2, 1, 3), 2, 1, 5), "float", {"RESIZE_BILINEAR": 3}),
    "corners": (lambda h: h.resize(h.input(2, 1, 3), 2, 1, 5, mode="align_corners"), "float", {"RESIZE_BILINEAR": 1}),
    "Gather": (lambda h: h.gather(h.input(7), 0, 6, 4, 2, 0, 1, 3, 5), "float", {"GATHER": 1}),
    "int8 Gather": (
        lambda h: h.gather(h.input(7), 0, 6, 4, 2, 0, 1, 3, 5),
        "w8a8",
        {"QUANTIZE": 1, "GATHER": 2, "DEQUANTIZE": 2},
    ),
    "ConvTranspose": (
        lambda h: h.conv_transpose(h.input(1, 1, 5), 1, 1, (2,)),
        "w8",
        {"DEQUANTIZE": 5, "TRANSPOSE_CONV": 3},
    ),
    "bool": (
        lambda h: as_float(h, h.op("Not", h.op("Less", h.input(2, 3), h.constant(0.0)))),
        "float",
        {"LESS": 1, "LOGICAL_NOT": 1, "CAST": 1},
    ),
    "transposed bool": (
        lambda h: h.op("Where", h.op("Less", h.input(3, 2), h.constant([0.0])), h.constant(1.0), h.input(2, 3, 2)),
        "float",
        {"LESS": 1, "SELECT_V2": 1},
    ),
}


@pytest.mark.parametrize("case", VERSIONS)
def test_operator_versions_are_the_first_that_will_do(hub: Any, attempt: Any, case: str) -> None:
    build, scheme, expected = VERSIONS[case]
    h = hub(1)
    trial = attempt(h.model(build(h)), h.feeds(), scheme)
    assert trial.excess() <= 1
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(trial.path.read_bytes(), 0))
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    found = {names[code.builtinCode]: code.version for code in model.operatorCodes}
    assert {name: version for name, version in found.items() if name != "RESHAPE"} == expected


def power(h: Any, x: str, exponent: float) -> str:
    return h.op("Pow", x, h.constant(exponent))


# Poles, ties, and what has no value at all. Near the end of float32 XNNPACK's approximations overflow before the value
# does, and its Sin and Cos are none beyond 1e7.
AT_EDGES: dict[str, Callable[[Any, str], str]] = {
    **{
        name: lambda h, x, name=name: h.op(name, x)
        for name in ("Exp", "Log", "Sqrt", "Abs", "Floor", "Ceil", "Round", "Sign", "Sigmoid", "Tanh")
    },
    "Elu": lambda h, x: h.op("Elu", x, alpha=1.0),
    "Gelu": lambda h, x: h.op("Gelu", x, approximate="none"),
    "Gelu by tanh": lambda h, x: h.op("Gelu", x, approximate="tanh"),
    "Clip": lambda h, x: bounded(h, x, -1e30, 1e30),
    "Div by zero": lambda h, x: h.op("Div", h.constant([1.0]), x),
    "Pow of negative numbers, odd": lambda h, x: power(h, x, 3.0),
    "Pow of negative numbers, inverse": lambda h, x: power(h, x, -1.0),
    "Pow of negative numbers, no whole exponent": lambda h, x: power(h, x, 1.7),
    "Softmax": lambda h, x: h.op("Softmax", x, axis=0),
    "Max with its negative": lambda h, x: h.op("Max", x, h.op("Sub", h.constant([0.0]), x)),
    "ReduceMin": lambda h, x: h.reduce("Min", x, 0),
    "Equal": lambda h, x: as_float(h, h.op("Equal", x, h.op("Round", x))),
}


@pytest.mark.parametrize("case", AT_EDGES)
def test_edges_are_those_of_onnx(hub: Any, attempt: Any, case: str) -> None:
    h = hub(1)
    trial = attempt(h.model(AT_EDGES[case](h, h.input(*EDGES.shape))), {"in0": EDGES})
    for name, expected in trial.expected.items():
        # Eight units in the last place, as above: of the exponent for Exp, of 1 where the function is a difference.
        rtol, atol = (1e-5 if case == "Exp" else 1e-6), (1e-7 if "Gelu" in case else 2e-38)
        np.testing.assert_allclose(trial.outputs[name], expected, rtol=rtol, atol=atol)
