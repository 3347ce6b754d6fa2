"""What each operator of the hub does to time, as a table: the only place that knows operators by name.

A value has *time* when one of its axes counts steps of the input. An operator may pass time on step by step, read a few
neighbouring steps for each that it gives, or look at all of them and give something that has no time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import onnx_ir as ir

from compile.errors import Bug
from compile.model import constant, operand, shape_of

PADDED = (
    "it pads along time, so what it gives at the ends depends on where the window ends; "
    "use padding=0, and crop what is added to it"
)
WHOLE = "it looks across the whole window and keeps time, so every step changes with every hop; {}"


@dataclass(frozen=True)
class Reach:
    """Which steps an operator reads: for its own step ``i``, ``span`` of them from ``start + i * step`` on.

    Attributes:
        start: first step that it reads at all.
        step: how far it moves from one of its own steps to the next.
        span: how many it reads at once; 0 for all there are.
    """

    start: int = 0
    step: int = 1
    span: int = 1


@dataclass(frozen=True)
class Passage:
    """What becomes of the time that enters by one input.

    Attributes:
        axis: of time in what the operator gives; None where that has none.
        reach: which steps it reads.
    """

    axis: int | None
    reach: Reach = Reach()


ALL = Passage(None, Reach(span=0))
Rule = Callable[[ir.Node, int, int], Passage | str]  # (node, index of the input, axis of time in it); str: why not


def passage(node: ir.Node, index: int, axis: int) -> Passage | str:
    """What ``node`` does to the time on ``axis`` of its input ``index``, or why that is no stream."""
    return _RULES.get(node.op_type, _unknown)(node, index, axis)


def _unknown(node: ir.Node, _index: int, _axis: int) -> Passage | str:
    return f"phiz does not know how to stream a {node.op_type}"


def _each(node: ir.Node, index: int, axis: int) -> Passage | str:
    """Every step alone, broadcast as numpy does."""
    return Passage(axis + len(shape_of(node.outputs[0])) - len(shape_of(operand(node, index))))


def _dynamic(_node: ir.Node, _index: int, _axis: int) -> Passage | str:
    return WHOLE.format("quantise its product statically (w8a8) or its weights only (w8)")


def _joined(node: ir.Node, _index: int, axis: int) -> Passage | str:
    if node.attributes["axis"].as_int() == axis:
        return "it joins along time; begin the window with what is to stand there"
    return Passage(axis)


def _normalised(node: ir.Node, _index: int, axis: int) -> Passage | str:
    if node.attributes["axis"].as_int() == axis:
        return WHOLE.format("take the Softmax over channels")
    return Passage(axis)


def _gathered(node: ir.Node, _index: int, axis: int) -> Passage | str:
    at = node.attributes["axis"].as_int()
    return "it picks single steps of the window" if at == axis else Passage(axis)


def _padded(node: ir.Node, _index: int, axis: int) -> Passage | str:
    amounts = numbers(node, 1)
    return PADDED if amounts[axis] or amounts[axis + len(amounts) // 2] else Passage(axis)


def _transposed(node: ir.Node, _index: int, axis: int) -> Passage | str:
    return Passage(list(node.attributes["perm"].as_ints()).index(axis))


def _reduced(node: ir.Node, _index: int, axis: int) -> Passage | str:
    return ALL if axis in numbers(node, 1) else Passage(axis)


def _pooled_globally(_node: ir.Node, _index: int, axis: int) -> Passage | str:
    return ALL if axis > 1 else Passage(axis)


def _as_large(node: ir.Node, _index: int, axis: int) -> Passage | str:
    if shape_of(operand(node))[axis] != shape_of(node.outputs[0])[axis]:
        return "it stretches time; do that with what comes out of the stream"
    return Passage(axis)


def _slid(node: ir.Node, _index: int, axis: int) -> Passage | str:
    """Convolutions and pools: a window that slides along the spatial axes."""
    if axis == 0 or (axis == 1 and node.op_type != "Conv"):
        return Passage(axis)
    if axis == 1:
        return ALL
    at, spatial = axis - 2, len(shape_of(operand(node))) - 2
    pads, strides, kernel = (list(node.attributes[name].as_ints()) for name in ("pads", "strides", "kernel_shape"))
    dilations = list(node.attributes["dilations"].as_ints()) if "dilations" in node.attributes else [1] * spatial
    if pads[at] or pads[at + spatial]:
        return PADDED
    return Passage(axis, Reach(0, strides[at], (kernel[at] - 1) * dilations[at] + 1))


def _spread(_node: ir.Node, _index: int, axis: int) -> Passage | str:
    """A transposed convolution."""
    if axis > 1:
        return "it makes several steps of one, which overlap; compute them as channels of one step"
    return ALL if axis else Passage(0)


def _rows(_node: ir.Node, _index: int, axis: int) -> Passage | str:
    """A Gemm: each row by a constant matrix."""
    return Passage(0) if axis == 0 else ALL


def _factor(node: ir.Node, index: int, axis: int) -> Passage | str:
    """A MatMul: the last axis of the first factor meets the last but one of the second."""
    rank = len(shape_of(operand(node, index)))
    return ALL if axis == (rank - 1, rank - 2)[index] else Passage(axis)


def _cut(node: ir.Node, _index: int, axis: int) -> Passage | str:
    for start, at, step in zip(*(numbers(node, parameter) for parameter in (1, 3, 4)), strict=True):
        if at == axis:
            return Passage(axis, Reach(start, step))
    return Passage(axis)


def _reshaped(node: ir.Node, _index: int, axis: int) -> Passage | str:
    """Time stays where an axis as long stands between as many elements; else it is flattened with what is around it."""
    before, after = shape_of(operand(node)), shape_of(node.outputs[0])
    for at, size in enumerate(after):
        if size == before[axis] > 1 and math.prod(after[:at]) == math.prod(before[:axis]):
            return Passage(at)
    return ALL


def numbers(node: ir.Node, index: int) -> list[int]:
    """An input of sizes or places, which the hub has as constants only."""
    data = constant(node.inputs[index])
    if data is None:
        raise Bug(f"input {index} of '{node.name}' is not constant")
    return [int(number) for number in data.reshape(-1)]


_EACH = """
    Relu Sigmoid Tanh LeakyRelu Add Mul Elu Exp Log Sqrt Abs Sin Cos Floor Ceil Round Sign Gelu Clip PRelu Sub Div Max
    Min Pow Less LessOrEqual Greater GreaterOrEqual Equal And Or Not Where Cast QuantizeLinear DequantizeLinear
"""
_RULES: Mapping[str, Rule] = {
    **dict.fromkeys(_EACH.split(), _each),
    **dict.fromkeys(("Conv", "MaxPool", "AveragePool"), _slid),
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"), _reduced),
    **dict.fromkeys(("Expand", "Resize"), _as_large),
    "Concat": _joined,
    "ConvTranspose": _spread,
    "DynamicQuantizeLinear": _dynamic,
    "Gather": _gathered,
    "Gemm": _rows,
    "GlobalAveragePool": _pooled_globally,
    "MatMul": _factor,
    "Pad": _padded,
    "Reshape": _reshaped,
    "Slice": _cut,
    "Softmax": _normalised,
    "Transpose": _transposed,
}
