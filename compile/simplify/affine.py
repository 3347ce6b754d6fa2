"""Per-channel scales and shifts disappear into the weights before them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from compile.model import add_constant, constant, shape_of
from compile.simplify.edit import bypass, only_consumer
from compile.simplify.outcome import Outcome


def fold_affine(model: ir.Model) -> Outcome:
    """Given Conv or Gemm whose only consumer multiplies by or adds a constant per output channel, fold it in.

    ``(W·x + b)·s + t = (s·W)·x + (s·b + t)``, computed in float64. Does nothing when the constant varies along
    another axis, and declines when the weight is shared with another node (folding would store it twice).
    """
    graph, rewrites, refusals = model.graph, [], []
    for node in list(graph):
        while node.op_type in ("Conv", "Gemm"):
            follower = only_consumer(graph, node.outputs[0])
            if follower is None or follower.op_type not in ("Mul", "Add"):
                break
            per_channel = per_channel_of(follower, node.outputs[0])
            weight, bias = constant(node.inputs[1]), constant(_optional(node, 2))
            if per_channel is None or weight is None or (_optional(node, 2) is not None and bias is None):
                break
            if follower.op_type == "Mul" and _shared(node.inputs[1]):
                refusals.append(f"{follower.op_type} '{follower.name}': the weight of '{node.name}' is shared")
                break
            _fold(graph, node, follower.op_type, per_channel, weight, bias)
            if not bypass(graph, follower, node.outputs[0]):
                break
            rewrites.append(f"folded {follower.op_type} '{follower.name}' into {node.op_type} '{node.name}'")
    return Outcome(tuple(rewrites), tuple(refusals))


def _fold(
    graph: ir.Graph,
    node: ir.Node,
    operator: str,
    per_channel: NDArray[np.float64],
    weight: NDArray[Any],
    bias: NDArray[Any] | None,
) -> None:
    b = np.zeros(weight.shape[0]) if bias is None else bias.astype(np.float64)
    if operator == "Mul":
        b = b * per_channel
        scaled = weight.astype(np.float64) * per_channel.reshape(-1, *[1] * (weight.ndim - 1))
        node.replace_input_with(1, add_constant(graph, _base(node.inputs[1]), scaled.astype(np.float32)))
        if bias is None:
            return
    else:
        b = b + per_channel
    folded = add_constant(graph, _base(_optional(node, 2)) or f"{node.name}.bias", b.astype(np.float32))
    node.resize_inputs(3)
    node.replace_input_with(2, folded)


def per_channel_of(node: ir.Node, value: ir.Value) -> NDArray[np.float64] | None:
    """The constant that ``node`` adds to ``value`` or multiplies it with, as a vector over channels, if it is one."""
    output = shape_of(value)
    others = [other for other in node.inputs if other is not value]
    data = constant(others[0]) if len(others) == 1 else None
    if data is None or data.ndim > len(output):
        return None
    aligned = data.reshape((1,) * (len(output) - data.ndim) + data.shape)
    if any(size != 1 for axis, size in enumerate(aligned.shape) if axis != 1):
        return None
    vector: NDArray[np.float64] = np.broadcast_to(aligned.reshape(-1).astype(np.float64), (output[1],)).copy()
    return vector


def _shared(value: ir.Value | None) -> bool:
    return value is not None and len(value.uses()) > 1


def _optional(node: ir.Node, index: int) -> ir.Value | None:
    return node.inputs[index] if len(node.inputs) > index else None


def _base(value: ir.Value | None) -> str:
    return (value.name or "") if value is not None else ""
