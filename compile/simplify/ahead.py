"""Per-channel scales and shifts disappear into the weights behind them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from compile.model import add_constant, constant, shape_of
from compile.simplify.affine import per_channel_of
from compile.simplify.edit import bypass, integer, ints, only_consumer
from compile.simplify.outcome import Outcome


def fold_ahead(model: ir.Model) -> Outcome:
    """Given a constant per channel that is multiplied or added right before a Conv or Gemm, fold it in.

    ``W·(s·x + t) + b = (W·s)·x + (W·t + b)``, computed in float64. Does nothing when others read the sum or product, or
    the weight; where convolutions have groups; or where one pads, with zeros to which nothing was added.
    """
    graph, rewrites = model.graph, []
    for node in reversed(list(graph)):  # the nearest first, for those before it are then right before the weights
        if node.op_type not in ("Mul", "Add"):
            continue
        product = only_consumer(graph, node.outputs[0])
        value = next((value for value in node.inputs if value is not None and constant(value) is None), None)
        if product is None or value is None or not _takes(product, node):
            continue
        vector = per_channel_of(node, value)
        weight, old = constant(product.inputs[1]), product.inputs[2] if len(product.inputs) > 2 else None
        bias = np.zeros(1) if old is None else constant(old)
        if vector is None or weight is None or bias is None or shape_of(value) != shape_of(node.outputs[0]):
            continue
        along = weight.astype(np.float64) * vector.reshape(-1, *[1] * (weight.ndim - 2))
        if node.op_type == "Mul":
            name = product.inputs[1].name if product.inputs[1] is not None else None
            product.replace_input_with(1, add_constant(graph, name or "weight", along.astype(np.float32)))
        else:
            shifted = (bias + along.reshape(len(weight), -1).sum(axis=1)).astype(np.float32)
            name = old.name if old is not None else f"{product.name}.bias"
            product.resize_inputs(3)
            product.replace_input_with(2, add_constant(graph, name or "bias", shifted))
        if bypass(graph, node, value):
            rewrites.append(f"folded {node.op_type} '{node.name}' into {product.op_type} '{product.name}'")
    return Outcome(tuple(rewrites))


def _takes(product: ir.Node, node: ir.Node) -> bool:
    """Whether the node is a product of what ``node`` makes with weights of its own."""
    if product.op_type not in ("Conv", "Gemm") or product.inputs[0] is not node.outputs[0]:
        return False
    if product.inputs[1] is None or len(product.inputs[1].uses()) > 1:
        return False
    if product.op_type == "Gemm":
        return True
    padded = any(ints(product, "pads", ()))
    return integer(product, "group", 1) == 1 and not (padded and node.op_type == "Add")
