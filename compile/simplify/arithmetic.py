"""Sums, differences, products and quotients in the hub's few forms."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from compile.model import constant, operand
from compile.simplify.edit import Writer
from compile.simplify.outcome import Outcome

_PAIRS = {"Sum": "Add", "Mean": "Add", "Max": "Max", "Min": "Min"}


def plain_arithmetic(model: ir.Model) -> Outcome:
    """Bring arithmetic to ``Add``, ``Mul``, ``Max``, ``Min`` of two, and ``Sub`` and ``Div`` by what is computed.

    Sum, Mean, Max and Min of many become chains, constants last; a constant subtrahend or divisor is added or
    multiplied instead; Neg is a product, Reciprocal a quotient.
    """
    rewrites = []
    for node in list(model.graph):
        write = Writer(model.graph, node)
        value = _plain(write, node)
        if value is not None:
            write.replace(value)
            rewrites.append(f"{node.op_type} '{node.name}' became plain arithmetic")
    return Outcome(tuple(rewrites))


def _plain(write: Writer, node: ir.Node) -> ir.Value | None:
    if node.outputs[0].dtype != ir.DataType.FLOAT:
        return None
    if node.op_type == "Neg":
        return write("Mul", operand(node), write.number(-1))
    if node.op_type == "Reciprocal":
        return write("Div", write.number(1), operand(node))
    if node.op_type in _PAIRS and (len(node.inputs) != 2 or node.op_type not in _PAIRS.values()):
        return _chain(write, node)
    given = constant(node.inputs[1]) if node.op_type in ("Sub", "Div") else None
    if given is None or constant(node.inputs[0]) is not None:
        return None
    if node.op_type == "Sub":
        return write("Add", operand(node), write.constant(-given))
    with np.errstate(all="ignore"):
        inverse = (1 / given.astype(np.float64)).astype(np.float32)
    return write("Mul", operand(node), write.constant(inverse)) if np.isfinite(inverse).all() else None


def _chain(write: Writer, node: ir.Node) -> ir.Value:
    """Computed values first, so that no link is made of constants alone."""
    values = [operand(node, index) for index in range(len(node.inputs))]
    total, *others = sorted(values, key=lambda value: constant(value) is not None)
    for other in others:
        total = write(_PAIRS[node.op_type], total, other)
    return write("Mul", total, write.number(1 / len(values))) if node.op_type == "Mean" else total
