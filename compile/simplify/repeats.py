"""Repeating what is there: Expand of the input's own rank, or nothing where the reader broadcasts anyway."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from compile.model import constant, operand, shape_of
from compile.simplify.edit import Writer
from compile.simplify.outcome import Outcome

_BROADCASTING = ("Add", "Sub", "Mul", "Div", "Max", "Min", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal")


def drop_broadcasts(model: ir.Model) -> Outcome:
    """Given ``Expand`` before arithmetic that broadcasts to the same shape by itself, let it read what came before."""
    rewrites = []
    for node in list(model.graph):
        if node.op_type != "Expand":
            continue
        value, source = node.outputs[0], operand(node)
        for user, index in [(usage.node, usage.idx) for usage in value.uses()]:
            if user.op_type not in _BROADCASTING:
                continue
            operands = [source if other is value and i == index else other for i, other in enumerate(user.inputs)]
            shapes = [shape_of(other) for other in operands if other is not None]
            if np.broadcast_shapes(*shapes) == shape_of(user.outputs[0]):
                user.replace_input_with(index, source)
                rewrites.append(f"{user.op_type} '{user.name}' broadcasts without Expand '{node.name}'")
    return Outcome(tuple(rewrites))


def plain_repeats(model: ir.Model) -> Outcome:
    """Given ``Expand``, write it for the input's own rank; given ``Tile``, write Expands between Reshapes.

    Does nothing when the shape or the repeats are computed.
    """
    rewrites = []
    for node in list(model.graph):
        if node.op_type not in ("Expand", "Tile") or constant(node.inputs[1]) is None:
            continue
        write, x, shape = Writer(model.graph, node), operand(node), shape_of(node.outputs[0])
        if node.op_type == "Tile":
            value = _tile(write, x, shape)
        elif shape == shape_of(x):
            value = x
        elif tuple(np.asarray(constant(node.inputs[1])).tolist()) == shape and len(shape) == len(shape_of(x)):
            continue
        else:
            given = shape_of(x)
            aligned = (*[1] * (len(shape) - len(given)), *given)
            value = x if aligned == given else write("Reshape", x, write.integers(aligned))
            value = write("Expand", value, write.integers(shape)) if aligned != shape else value
        write.replace(value)
        rewrites.append(f"{node.op_type} '{node.name}' became plain")
    return Outcome(tuple(rewrites))


def _tile(write: Writer, x: ir.Value, shape: tuple[int, ...]) -> ir.Value:
    """Axis after axis, ``[before, 1, size, after]`` to ``[before, times, size, after]``: never more than four axes."""
    value, given = x, list(shape_of(x))
    for axis, size in enumerate(shape):
        if size == given[axis]:
            continue
        times, before, after = size // given[axis], math.prod(given[:axis]), math.prod(given[axis + 1 :])
        value = write("Reshape", value, write.integers((before, 1, given[axis], after)))
        value = write("Expand", value, write.integers((before, times, given[axis], after)))
        given[axis] = size
        value = write("Reshape", value, write.integers(given))
    return value
