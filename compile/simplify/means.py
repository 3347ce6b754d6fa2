"""A mean over all spatial axes is GlobalAveragePool."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from compile.model import add_constant, constant, operand, shape_of
from compile.simplify.edit import integer, ints, new_node, substitute
from compile.simplify.outcome import Outcome


def global_average(model: ir.Model) -> Outcome:
    """Given ``ReduceMean`` over exactly the axes behind the channels, write ``GlobalAveragePool``.

    Where the axes were not kept, a Reshape drops them. torch exports ``AdaptiveAvgPool1d(1)`` this way. Does nothing
    for other axes.
    """
    rewrites = []
    for node in list(model.graph):
        if node.op_type != "ReduceMean":
            continue
        shape, output = shape_of(operand(node)), shape_of(node.outputs[0])
        axes = _axes(node, len(shape))
        if len(shape) not in (3, 4) or axes != list(range(2, len(shape))):
            continue
        name = node.outputs[0].name
        pool, pooled = new_node("GlobalAveragePool", [operand(node)], node, f"{name}.pooled")
        pooled.shape = ir.Shape((*shape[:2], *[1] * len(axes)))
        added = [pool]
        if not integer(node, "keepdims", 1):
            target = add_constant(model.graph, f"{name}.shape", np.asarray(output, np.int64))
            added.append(new_node("Reshape", [pooled, target], node, f"{name}.dropped")[0])
        substitute(model.graph, [node], added)
        rewrites.append(f"ReduceMean '{node.name}' became GlobalAveragePool")
    return Outcome(tuple(rewrites))


def _axes(node: ir.Node, rank: int) -> list[int] | None:
    """The reduced axes; an attribute before opset 18, an input since; none given means all."""
    if len(node.inputs) > 1 and node.inputs[1] is not None:
        data = constant(node.inputs[1])
        return None if data is None else sorted(int(axis) % rank for axis in data)
    return sorted(axis % rank for axis in ints(node, "axes", range(rank)))
