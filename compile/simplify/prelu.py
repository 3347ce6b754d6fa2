"""PRelu with a slope a channel, or as arithmetic."""

from __future__ import annotations

import math

import onnx_ir as ir

from compile.model import constant, operand, shape_of
from compile.simplify.edit import Writer
from compile.simplify.outcome import Outcome


def plain_prelu(model: ir.Model) -> Outcome:
    """Given ``PRelu``, write its slope as ``[C, 1, …]`` or one element, others as ``max(x, 0) + slope·min(x, 0)``."""
    rewrites = []
    for node in list(model.graph):
        if node.op_type != "PRelu":
            continue
        x, slope = operand(node), operand(node, 1)
        shape, given = shape_of(x), shape_of(slope)
        by_channel = (shape[1], *[1] * (len(shape) - 2)) if len(shape) > 1 else None
        aligned = (*[1] * (len(shape) - len(given)), *given)
        write = Writer(model.graph, node)
        if constant(slope) is None or (math.prod(given) > 1 and aligned != (1, *(by_channel or ()))):
            zero = write.number(0)
            below = write("Mul", write("Min", x, zero), slope)
            write.replace(write("Add", write("Relu", x), below))
            rewrites.append(f"PRelu '{node.name}' became its formula")
        elif given != by_channel and math.prod(given) > 1:
            node.replace_input_with(1, write.reshape(slope, by_channel or given))
            rewrites.append(f"PRelu '{node.name}' has its slope by channel")
    return Outcome(tuple(rewrites))
