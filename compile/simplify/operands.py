"""Slice and Pad in one spelling: all operands present, constant, positive and in range."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from compile.model import add_constant, constant, operand, shape_of
from compile.simplify.outcome import Outcome


def explicit_operands(model: ir.Model) -> Outcome:
    """Given Slice and Pad with constant operands, write all operands out in the hub's form.

    Does nothing to a Slice with a negative step, or when an operand is computed at run time.
    """
    for node in model.graph:
        if node.op_type == "Slice":
            _slice(model.graph, node)
        elif node.op_type == "Pad":
            _pad(model.graph, node)
    return Outcome()


def _slice(graph: ir.Graph, node: ir.Node) -> None:
    shape = shape_of(operand(node))
    operands = [constant(value) for value in node.inputs[1:]]
    operands += [None] * (4 - len(operands))
    starts, ends, axes, steps = operands
    if (
        starts is None
        or ends is None
        or any(value is not None and constant(value) is None for value in node.inputs[1:])
    ):
        return
    axes = np.arange(len(starts)) if axes is None else axes % len(shape)
    steps = np.ones(len(starts), np.int64) if steps is None else steps
    if (steps <= 0).any():
        return
    plain: dict[str, list[int]] = {"starts": [], "ends": [], "axes": [], "steps": []}
    for start, end, axis, step in sorted(zip(starts, ends, axes, steps, strict=True), key=lambda item: int(item[2])):
        first, stop, stride = slice(int(start), int(end), int(step)).indices(shape[int(axis)])
        for name, number in zip(plain, (first, stop, int(axis), stride), strict=True):
            plain[name].append(number)
    node.resize_inputs(5)
    for index, (name, numbers) in enumerate(plain.items(), start=1):
        _put(graph, node, index, f"{node.outputs[0].name}.{name}", np.asarray(numbers, np.int64))


def _pad(graph: ir.Graph, node: ir.Node) -> None:
    rank = len(shape_of(operand(node)))
    pads = constant(node.inputs[1])
    if pads is None:
        return
    axes_value = node.inputs[3] if len(node.inputs) > 3 else None
    if axes_value is not None:
        axes = constant(axes_value)
        if axes is None:
            return
        full = np.zeros((2, rank), np.int64)
        full[:, axes % rank] = pads.reshape(2, -1)
        pads = full.reshape(-1)
    value = constant(node.inputs[2]) if len(node.inputs) > 2 else None
    keep_value = value is not None and bool(np.any(value != 0))
    computed = len(node.inputs) > 2 and node.inputs[2] is not None and value is None
    if computed:
        return
    node.resize_inputs(3 if keep_value else 2)
    _put(graph, node, 1, f"{node.outputs[0].name}.pads", np.asarray(pads, np.int64))


def _put(graph: ir.Graph, node: ir.Node, index: int, name: str, wanted: np.ndarray) -> None:
    """Set a constant operand, unless it already says the same."""
    value = node.inputs[index]
    current = constant(value)
    if current is None or current.dtype != wanted.dtype or not np.array_equal(current, wanted):
        node.replace_input_with(index, add_constant(graph, name, wanted))
