"""Which nodes a float16 program computes in float32, and why.

float16 reaches to 65504 and has 11 bits. Products with int8 or float16 weights lose nothing by it, nor does what comes
behind them. What the plan keeps in float is float32: products with such weights, and what is computed from inputs
directly. Sums, powers and exponentials leave the range of float16 easily, so they compute in float32, and so does what
reads them, up to the next product: the arithmetic of a normalisation stays float32 as a whole. A product that a
logarithm reads is float32, too: it sums up powers, and there is no telling how loud others are than calibration.
What only moves elements to where they are read in float16 moves them in float16.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from compile.model import PEAK, constant
from targets.coreml.weights import STORED

_PRODUCTS = ("Conv", "ConvTranspose", "Gemm")
_MOVES = ("Concat", "Expand", "Gather", "Reshape", "Slice", "Transpose")
_WIDE = ("ReduceSum", "ReduceMean", "Pow", "Exp", "Log")
# What calibration saw may be exceeded by half again before float16 ends.
HIGHEST = 65504 / 1.5
# Of a constant's elements those count that are not lost beside its largest; they may move by half an int8 step.
_NEGLIGIBLE, _TOLERANCE = 2.0**-12, 2.0**-8


def float32_nodes(graph: ir.Graph, states: Mapping[ir.Value, ir.Value] | None = None) -> dict[ir.Node, str]:
    """The nodes of a hub graph without int8 activations that must compute in float32, each with its reason.

    One that is there because the plan says so, or because it follows another, has the reason ``""``.

    Args:
        graph: in the hub dialect.
        states: its inputs that are states of a stream, as precise as what they are joined with, and the output that
            each is given with the next hop.
    """
    states = states or {}
    found: dict[ir.Node, str] = {}
    wide = {value for value in graph.inputs if value not in states}
    for node in graph:
        if node.inputs[0] is not None and constant(node.inputs[0]) is not None and node.op_type in STORED:
            continue  # it is what its user is
        reason = _reason(node)
        if node.op_type in _PRODUCTS:
            follows = node.inputs[1] is not None and constant(node.inputs[1]) is not None
        else:
            follows = any(value in wide for value in node.inputs)
        if reason or follows:
            found[node] = reason
            wide.update(node.outputs)
    return _without_movement(found, graph, states)


def _without_movement(
    found: dict[ir.Node, str], graph: ir.Graph, states: Mapping[ir.Value, ir.Value]
) -> dict[ir.Node, str]:
    """``found`` without the nodes that only move elements to where they are read in float16."""
    given = {value for value in graph.outputs if value not in states.values()}
    moving = {
        node
        for node, reason in found.items()
        if node.op_type in _MOVES and not reason and given.isdisjoint(node.outputs)
    }
    ahead = [node for node in found if node not in moving]
    while ahead:
        for value in ahead.pop().inputs:
            maker = states.get(value, value).producer() if value is not None else None
            if maker in moving:
                moving.remove(maker)
                ahead.append(maker)
    return {node: reason for node, reason in found.items() if node not in moving}


def narrows(data: NDArray[Any]) -> bool:
    """Whether float16 holds these numbers well enough; infinities stay what they are."""
    finite = np.abs(data[np.isfinite(data)].astype(np.float64))
    with np.errstate(over="ignore"):
        error = np.abs(finite.astype(np.float16).astype(np.float64) - finite)
    matter = finite > _NEGLIGIBLE * finite.max(initial=0.0)
    return bool((error[matter] <= _TOLERANCE * finite[matter]).all())


def _reason(node: ir.Node) -> str:
    if node.op_type in _WIDE:
        return f"{node.op_type} leaves the range of float16 easily"
    if node.op_type in _PRODUCTS and _feeds_log(node.outputs[0]):
        return "a logarithm reads it: powers leave the range of float16 easily"
    if node.op_type == "Mul" and node.inputs[0] is node.inputs[1]:
        return "squares leave the range of float16 easily"
    for value in (*node.inputs, *node.outputs):
        if value is None:
            continue
        if value.meta.get(PEAK, 0.0) > HIGHEST:
            return f"'{value.name}' reaches {value.meta[PEAK]:.3g}, float16 ends at 65504"
        data = _floats(value)
        if data is not None and not narrows(data):
            return f"its constant '{value.name}' does not fit float16"
    return ""


def _feeds_log(value: ir.Value) -> bool:
    users = [usage.node for usage in value.uses()]
    return any(user.op_type == "Log" or (user.op_type == "Add" and _feeds_log(user.outputs[0])) for user in users)


def _floats(value: ir.Value) -> NDArray[Any] | None:
    """The float numbers of a constant or, where it is stored as integers, its scales."""
    producer = value.producer()
    if producer is not None and producer.op_type == "DequantizeLinear":
        data, scale = constant(producer.inputs[0]), constant(producer.inputs[1])
        if data is None or scale is None:
            return None
        return np.asarray(scale) if data.dtype == np.int8 else _biases(data, scale)
    data = constant(value)
    return data if data is not None and data.dtype == np.float32 else None


def _biases(data: NDArray[Any], scale: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(data.astype(np.float64) * scale)
