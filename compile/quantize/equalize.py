"""Channels of like size: what one layer makes is scaled channel by channel, and the next layer undoes it.

All channels of a value share one int8 scale, so the largest sets the step for all. Where only operators stand between
two products that commute with positive factors (Relu, for one), the first product's rows can be scaled and the second's
columns by the inverse: the network computes the same, and quiet channels get finer steps. That costs no byte and no
time. Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019, section
4.1; the factors are ours and come from what calibration sees, not from the weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from compile.model import Model, constant, operand, shape_of
from compile.quantize.calibrate import Samples, batches, probe, spread

EXPONENT = 0.75  # of a channel's peak; at 1 all peaks would be equal, at the cost of the weights
LARGEST = 8.0  # factor between two channels' scales on either side of the middle
SAMPLES = 128
_MAKERS = {"Conv": 0, "Gemm": 0}  # operator -> axis of its weight that its outputs lie along
_COMMUTES = ("Relu", "LeakyRelu", "MaxPool", "AveragePool", "GlobalAveragePool")


@dataclass(frozen=True)
class _Link:
    """Two products, the value that leaves the first one's kernel, and how often each channel repeats in the second."""

    maker: ir.Node
    value: ir.Value
    reader: ir.Node
    repeats: int


def equalize(model: Model, samples: Samples) -> Model:
    """The same network with channels of more equal size wherever two products follow one another.

    Args:
        model: float, in the hub dialect.
        samples: calibration input; a part of it is used.
    """
    own = model.clone()
    links = [link for node in own.ir.graph if (link := _link(own.ir.graph, node)) is not None]
    if not links:
        return model
    peaks = _peaks(model, [link.value.name or "" for link in links], samples)
    for link in links:
        factors = _factors(peaks[link.value.name or ""])
        _scale(link.maker, 1, factors, axis=0)
        if len(link.maker.inputs) > 2 and link.maker.inputs[2] is not None:
            _scale(link.maker, 2, factors, axis=0)
        _scale(link.reader, 1, 1 / np.repeat(factors, link.repeats), axis=1)
    return own


def _link(graph: ir.Graph, maker: ir.Node) -> _Link | None:
    """From a product to the only one that reads it, past what commutes with factors; None where there is none."""
    if maker.op_type not in _MAKERS or not _is_own(maker):
        return None
    value, repeats = maker.outputs[0], 1
    quantised = value
    while True:
        users = list(value.uses())
        if len(users) != 1 or value in graph.outputs:
            return None
        node = users[0].node
        if node.op_type in _MAKERS and users[0].idx == 0:
            whole = node.op_type == "Gemm" or node.attributes["group"].as_int() == 1
            return _Link(maker, quantised, node, repeats) if whole and _is_own(node) else None
        if node.op_type == "Reshape":
            before, after = shape_of(value), shape_of(node.outputs[0])
            if len(after) < 2 or before[0] != after[0] or after[1] not in (before[1], int(np.prod(before[1:]))):
                return None
            repeats *= after[1] // before[1]
        elif node.op_type not in _COMMUTES and not _pads_zero(node):
            return None
        elif value is quantised and node.op_type in ("Relu", "LeakyRelu"):
            quantised = node.outputs[0]
        value = node.outputs[0]


def _is_own(node: ir.Node) -> bool:
    """Whether the node's weight and bias are constants that nobody else reads."""
    return all(
        value.const_value is not None and len(value.uses()) == 1 for value in node.inputs[1:] if value is not None
    )


def _pads_zero(node: ir.Node) -> bool:
    if node.op_type != "Pad":
        return False
    fill = constant(node.inputs[2]) if len(node.inputs) > 2 else None
    pads = constant(node.inputs[1])
    rank = len(shape_of(operand(node)))
    return pads is not None and not pads[[1, rank + 1]].any() and (fill is None or not fill.any())


def _peaks(model: Model, names: list[str], samples: Samples) -> dict[str, NDArray[np.float32]]:
    """The largest magnitude in each channel (axis 1), by value name."""
    session = probe(model, names)
    found: dict[str, NDArray[np.float32]] = {}
    for feed in batches(model, spread(model, samples, SAMPLES)):
        for name, array in session.fetch(names, feed).items():
            rows = np.moveaxis(np.abs(np.asarray(array, np.float32)), 1, 0).reshape(array.shape[1], -1).max(axis=1)
            found[name] = np.maximum(found[name], rows) if name in found else rows
    return found


def _factors(peaks: NDArray[np.float32]) -> NDArray[np.float64]:
    """What each channel is multiplied with: 1 in the middle; silent channels stay as they are."""
    heard = peaks > 0
    if not heard.any():
        return np.ones(len(peaks))
    middle = float(np.median(peaks[heard]))
    ratios = np.clip(np.where(heard, peaks, middle) / middle, 1 / LARGEST, LARGEST)
    return np.asarray(ratios.astype(np.float64) ** -EXPONENT)


def _scale(node: ir.Node, index: int, factors: NDArray[np.float64], axis: int) -> None:
    old = operand(node, index)
    data = constant(old)
    if data is None:
        return
    along = factors.reshape([-1 if at == axis else 1 for at in range(data.ndim)])
    old.const_value = ir.tensor((data.astype(np.float64) * along).astype(np.float32), name=old.name)
