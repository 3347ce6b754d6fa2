"""Clip has two constant bounds; one alone is a Max, a Min or a Relu."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from compile.model import constant, operand, shape_of
from compile.simplify.edit import Writer
from compile.simplify.outcome import Outcome

_MOST = float(np.finfo(np.float32).max)


def plain_bounds(model: ir.Model) -> Outcome:
    """Given ``Clip``, leave out bounds that bound nothing; given ``Max`` with 0, write ``Relu``.

    A bound that is computed, or a lower one not below the upper, becomes a Max and a Min, which mean the same.
    """
    rewrites = []
    for node in list(model.graph):
        write = Writer(model.graph, node)
        value = None
        if node.op_type == "Clip" and node.outputs[0].dtype == ir.DataType.FLOAT:
            value = _clip(write, node)
        elif node.op_type == "Max" and len(node.inputs) == 2:
            value = _maximum(write, node)
        if value is not None:
            rewrites.append(f"{node.op_type} '{node.name}' has the bounds it needs")
            write.replace(value)
    return Outcome(tuple(rewrites))


def _clip(write: Writer, node: ir.Node) -> ir.Value | None:
    low, high = (node.inputs[index] if len(node.inputs) > index else None for index in (1, 2))
    least, most = _number(low), _number(high)
    bounded_below = low is not None and (least is None or least > -_MOST)
    bounded_above = high is not None and (most is None or most < _MOST)
    if bounded_below and bounded_above and least is not None and most is not None and least < most:
        if all(value is not None and value.shape is not None and not len(value.shape) for value in (low, high)):
            return None
        return write("Clip", operand(node), write.number(least), write.number(most))
    value = operand(node)
    if bounded_below and low is not None:
        value = write("Relu", value) if least == 0 else write("Max", value, low)
    if bounded_above and high is not None:
        value = write("Min", value, high)
    return value


def _maximum(write: Writer, node: ir.Node) -> ir.Value | None:
    for value, other in ((operand(node), operand(node, 1)), (operand(node, 1), operand(node))):
        data = constant(other)
        if data is not None and not data.any() and shape_of(value) == shape_of(node.outputs[0]):
            return write("Relu", value) if constant(value) is None else None
    return None


def _number(value: ir.Value | None) -> float | None:
    data = constant(value)
    return float(data.reshape(-1)[0]) if data is not None and data.size == 1 else None
