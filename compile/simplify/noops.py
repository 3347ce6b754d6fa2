"""Nodes that change nothing."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from compile.model import constant, operand, shape_of
from compile.simplify.edit import bypass, integer, ints, is_read
from compile.simplify.outcome import Outcome


def drop_noops(model: ir.Model) -> Outcome:
    """Drop Identity, Dropout, casts to the same type, zero pads, whole slices, unpermuted Transposes, sums with 0 and
    products with 1 that do not broadcast.

    A node between a graph input and a graph output stays, and so does one between two outputs: something has to
    connect them.
    """
    rewrites = []
    for node in list(model.graph):
        kept = kept_input(node)
        name = node.name
        if kept is not None and bypass(model.graph, node, kept):
            rewrites.append(f"dropped {node.op_type} '{name}'")
    return Outcome(tuple(rewrites))


def kept_input(node: ir.Node) -> ir.Value | None:
    """The input that ``node`` passes on unchanged, or None when it does something."""
    if node.op_type == "Identity":
        return operand(node)
    if node.op_type == "Dropout":
        trains = constant(node.inputs[2]) if len(node.inputs) > 2 else None
        mask_used = len(node.outputs) > 1 and is_read(node.outputs[1])
        return None if mask_used or (trains is not None and bool(trains)) else operand(node)
    if node.op_type == "Cast":
        source = operand(node)
        return source if source.dtype is not None and integer(node, "to", 0) == source.dtype.value else None
    if node.op_type == "Transpose":
        perm = ints(node, "perm", ())
        return operand(node) if perm == sorted(perm) else None
    if node.op_type == "Pad":
        pads = constant(node.inputs[1])
        return operand(node) if pads is not None and not pads.any() else None
    if node.op_type == "Slice":
        steps = constant(node.inputs[4]) if len(node.inputs) > 4 else None
        forward = len(node.inputs) <= 4 or (
            steps is not None and bool((steps > 0).all())
        )  # else it turns an axis round
        return operand(node) if forward and shape_of(operand(node)) == shape_of(node.outputs[0]) else None
    if node.op_type == "Concat" and len(node.inputs) == 1:
        return operand(node)
    neutral = {"Add": 0.0, "Mul": 1.0}.get(node.op_type)
    if neutral is not None:
        for value, other in (node.inputs, node.inputs[::-1]):
            data = constant(other)
            if value is not None and data is not None and np.all(data == neutral):
                return value if shape_of(value) == shape_of(node.outputs[0]) else None
    return None
