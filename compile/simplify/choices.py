"""Where by a condition that is known: no choice is left to the phone."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from compile.model import add_constant, constant, operand, shape_of
from compile.simplify.edit import Writer, integer
from compile.simplify.outcome import Outcome

_LOWEST = float(np.finfo(np.float32).min)


def plain_choices(model: ir.Model) -> Outcome:
    """Given ``Where`` with a constant condition, write ``x·m + y·(1 − m)``: exact for all finite values.

    What is chosen from a constant is chosen now. Trilu is such a choice. Does nothing when the condition is computed.
    """
    rewrites = []
    for node in list(model.graph):
        if node.op_type == "Trilu" and (mask := _triangle(node)) is not None:
            write = Writer(model.graph, node)
            write.replace(write("Mul", operand(node), write.constant(mask)))
            rewrites.append(f"Trilu '{node.name}' became a product with a mask")
            continue
        condition = constant(node.inputs[0]) if node.op_type == "Where" else None
        if condition is None or node.outputs[0].dtype != ir.DataType.FLOAT:
            continue
        write = Writer(model.graph, node)
        x, y = (_masked(write, operand(node, index), mask) for index, mask in ((1, condition), (2, ~condition)))
        value = y if x is None else x if y is None else write("Add", x, y)
        if value is None:
            continue
        if x is None or y is None:  # and the other may be smaller than the condition
            value = write("Expand", value, write.integers(shape_of(node.outputs[0])))
        write.replace(value)
        rewrites.append(f"Where '{node.name}' by a constant became arithmetic")
    return Outcome(tuple(rewrites))


def finite_masks(model: ir.Model) -> Outcome:
    """Given −Inf in a constant that masks the scores of a Softmax, make it the lowest float32: both leave 0."""
    graph, rewrites = model.graph, []
    for node in list(graph):
        users = [usage.node.op_type for usage in node.outputs[0].uses()]
        if node.op_type not in ("Add", "Where") or set(users) != {"Softmax"} or node.outputs[0] in graph.outputs:
            continue
        for index, value in enumerate(node.inputs):
            data = constant(value)
            if value is not None and data is not None and np.isneginf(data).any():
                finite = np.where(np.isneginf(data), np.float32(_LOWEST), data)
                node.replace_input_with(index, add_constant(graph, value.name or "mask", finite))
                rewrites.append(f"{node.op_type} '{node.name}' masks with the lowest number")
    return Outcome(tuple(rewrites))


def _triangle(node: ir.Node) -> NDArray[np.float32] | None:
    given = node.inputs[1] if len(node.inputs) > 1 else None
    offset = constant(given)
    if given is not None and offset is None:
        return None
    side = np.triu if integer(node, "upper", 1) else np.tril
    ones = np.ones(shape_of(operand(node))[-2:], np.float32)
    return side(ones, 0 if offset is None else int(offset.reshape(-1)[0]))


def _masked(write: Writer, value: ir.Value, mask: NDArray[np.bool_]) -> ir.Value | None:
    """``value`` where the mask is true and 0 elsewhere; None when that is 0 everywhere."""
    data = constant(value)
    if not mask.any():
        return None
    if data is not None:
        return write.constant(np.where(mask, data, np.float32(0)))
    return value if mask.all() else write("Mul", value, write.constant(mask.astype(np.float32)))
