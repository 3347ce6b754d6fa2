"""One precision: whatever float a model stores or casts to, phiz computes in float32."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from compile.model import add_constant, constant, operand
from compile.simplify.edit import Writer, integer
from compile.simplify.outcome import Outcome

_OTHERS = (ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE)


def single_precision(model: ir.Model) -> Outcome:
    """Given float16, bfloat16 or float64, constant or computed, make it float32; casts between them are then nothing.

    A Cast of a computed float to bool asks whether it differs from 0.
    """
    graph, rewrites = model.graph, []
    for value in list(graph.initializers.values()):
        if value.dtype in _OTHERS and value not in graph.inputs:
            data = np.asarray(constant(value)).astype(np.float32)
            ir.convenience.replace_all_uses_with(value, add_constant(graph, value.name or "constant", data))
            rewrites.append(f"constant '{value.name}' became float32")
    for node in list(graph):
        for output in node.outputs:
            if output.dtype in _OTHERS:
                output.type = ir.TensorType(ir.DataType.FLOAT)
        if node.op_type == "CastLike":
            write = Writer(graph, node)
            like = operand(node, 1).dtype
            write.replace(write("Cast", operand(node), to=int(like.value if like is not None else 1)))
        elif node.op_type == "Cast" and ir.DataType(integer(node, "to", 1)) in _OTHERS:
            node.attributes["to"] = ir.AttrInt64("to", ir.DataType.FLOAT.value)
            rewrites.append(f"Cast '{node.name}' gives float32")
        elif _asks(node):
            write = Writer(graph, node)
            write.replace(write("Not", write("Equal", operand(node), write.number(0))))
            rewrites.append(f"Cast '{node.name}' to bool became a comparison")
    return Outcome(tuple(rewrites))


def _asks(node: ir.Node) -> bool:
    is_question = node.op_type == "Cast" and integer(node, "to", 1) == ir.DataType.BOOL.value
    return is_question and operand(node).dtype == ir.DataType.FLOAT
