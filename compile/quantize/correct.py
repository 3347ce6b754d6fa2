"""Bias correction: what rounding shifts on average, the bias shifts back.

Quantised weights and activations move the mean of each output channel. Layer by layer, in order of execution and
with the earlier corrections in place, the shift is measured on the calibration samples and taken out of the bias.
Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019, appendix D
(the empirical form).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from compile.model import Model
from compile.quantize.apply import apply
from compile.quantize.calibrate import Samples, batches, probe
from compile.quantize.scheme import WEIGHTED, QuantPlan


def correct_biases(
    model: Model, plan: QuantPlan, samples: Samples, progress: Callable[[int, int], None] | None = None
) -> QuantPlan:
    """The plan with a correction for every node that has int8 weights.

    Args:
        model: the float model.
        plan: from ``decide``.
        samples: calibration input.
        progress: called with (nodes done, nodes).
    """
    outputs = {
        node.name or "": node.outputs[0].name or ""
        for node in model.ir.graph
        if node.op_type in WEIGHTED and plan.decisions[node.name or ""].scheme.integer_weights
    }
    if not outputs:
        return plan
    wanted = _means(model, list(outputs.values()), samples)
    corrections: dict[str, NDArray[np.float32]] = {}
    for count, (node, output) in enumerate(outputs.items(), start=1):
        current = apply(model, replace(plan, corrections=corrections))
        value = _before_quantization(current, node)
        found = _means(current, [value], samples)[value]
        corrections[node] = (wanted[output] - found).astype(np.float32)
        if progress is not None:
            progress(count, len(outputs))
    return replace(plan, corrections=corrections)


def _before_quantization(model: Model, name: str) -> str:
    """The node's own output; where it is a graph output the DQ took over its name."""
    node = next(node for node in model.ir.graph if node.name == name)
    return node.outputs[0].name or ""


def _means(model: Model, names: list[str], samples: Samples) -> dict[str, NDArray[np.float64]]:
    """Mean over everything but the channel axis (1), float64 ``[C]``, by value name."""
    session = probe(model, names)
    totals: dict[str, NDArray[np.float64]] = {}
    feeds = batches(model, samples)
    for feed in feeds:
        for name, array in session.fetch(names, feed).items():
            axes = tuple(axis for axis in range(array.ndim) if axis != 1)
            mean = np.asarray(array, np.float64).mean(axis=axes)
            totals[name] = totals[name] + mean if name in totals else mean
    return {name: total / len(feeds) for name, total in totals.items()}
