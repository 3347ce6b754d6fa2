"""A dilated average is a convolution of each channel with equal weights."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from compile.model import operand, shape_of
from compile.simplify.edit import Writer, integer, ints
from compile.simplify.outcome import Outcome


def dilated_average(model: ir.Model) -> Outcome:
    """Given ``AveragePool`` with dilations, write a depthwise ``Conv``.

    Does nothing where the mean leaves out its padding, for then its divisor varies along the edge, and under a
    ceiling that could not be written as padding.
    """
    rewrites = []
    for node in list(model.graph):
        if node.op_type != "AveragePool" or "dilations" not in node.attributes or integer(node, "ceil_mode", 0):
            continue
        kernel, pads = ints(node, "kernel_shape", ()), ints(node, "pads", ())
        if any(pads) and not integer(node, "count_include_pad", 0):
            continue
        channels, write = shape_of(operand(node))[1], Writer(model.graph, node)
        weight = np.full((channels, 1, *kernel), 1 / math.prod(kernel), np.float32)
        names = ("kernel_shape", "strides", "dilations", "pads")
        attributes = {name: ints(node, name, ()) for name in names}
        write.replace(write("Conv", operand(node), write.constant(weight), **attributes, group=channels))
        rewrites.append(f"AveragePool '{node.name}' became a depthwise Conv")
    return Outcome(tuple(rewrites))
