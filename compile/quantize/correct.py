"""Bias correction: what rounding shifts on average, the bias shifts back.

Quantised weights and activations move the mean of each output channel. Layer by layer, in order of execution and
with the earlier corrections in place, the shift is measured on the calibration samples and taken out of the bias.
Quiet positions count more (``measure.weigh``): peaks that a range cuts off would else shift what was right. Source:
Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019, appendix D (the empirical
form).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from compile.model import Model
from compile.quantize.apply import apply
from compile.quantize.calibrate import Samples, batches, probe
from compile.quantize.measure import weigh
from compile.quantize.scheme import WEIGHTED, QuantPlan

Feeds = list[dict[str, NDArray[np.float32]]]
Powers = list[NDArray[np.float64]]  # of a value at each position, feed by feed: as the value, with one channel


def correct_biases(
    model: Model,
    plan: QuantPlan,
    samples: Samples,
    progress: Callable[[int, int], None] | None = None,
    spared: Collection[str] = (),
) -> QuantPlan:
    """The plan with a correction for every node that has int8 weights.

    Args:
        model: the float model.
        plan: from ``decide``.
        samples: calibration input.
        progress: called with (nodes done, nodes).
        spared: values that stay as they are: of what a logarithm reads, the small ones count, and the least of them
            may not fall below zero; an average says nothing of those.
    """
    outputs = {
        node.name or "": node.outputs[0].name or ""
        for node in model.ir.graph
        if node.op_type in WEIGHTED and plan.decisions[node.name or ""].scheme.integer_weights
        if node.outputs[0].name not in spared
    }
    if not outputs:
        return plan
    feeds = batches(model, samples)
    loud = _powers(model, list(outputs.values()), feeds)
    wanted = _means(model, loud, feeds)
    corrections: dict[str, NDArray[np.float32]] = {}
    for count, (node, output) in enumerate(outputs.items(), start=1):
        current = apply(model, replace(plan, corrections=corrections))
        value = _before_quantization(current, node)
        found = _means(current, {value: loud[output]}, feeds)[value]
        corrections[node] = (wanted[output] - found).astype(np.float32)
        if progress is not None:
            progress(count, len(outputs))
    return replace(plan, corrections=corrections)


def _before_quantization(model: Model, name: str) -> str:
    """The node's own output; where it is a graph output the DQ took over its name."""
    node = next(node for node in model.ir.graph if node.name == name)
    return node.outputs[0].name or ""


def _powers(model: Model, names: list[str], feeds: Feeds) -> dict[str, Powers]:
    session = probe(model, names)
    found: dict[str, Powers] = {name: [] for name in names}
    for feed in feeds:
        for name, array in session.fetch(names, feed).items():
            found[name].append(np.mean(np.square(array, dtype=np.float64), axis=1, keepdims=True))
    return found


def _means(model: Model, powers: Mapping[str, Powers], feeds: Feeds) -> dict[str, NDArray[np.float64]]:
    """The mean over everything but the channel axis (1), in which quiet positions count more; float64 ``[C]``."""
    session = probe(model, list(powers))
    means = {name: float(np.mean([np.mean(power) for power in found])) for name, found in powers.items()}
    totals: dict[str, NDArray[np.float64]] = {}
    weights: dict[str, float] = {}
    for index, feed in enumerate(feeds):
        for name, array in session.fetch(list(powers), feed).items():
            axes = tuple(axis for axis in range(array.ndim) if axis != 1)
            weight = weigh(powers[name][index], means[name]).astype(np.float64)
            weighted = np.asarray(array, np.float64) * weight
            totals[name] = totals.get(name, np.zeros(array.shape[1])) + weighted.sum(axis=axes)
            weights[name] = weights.get(name, 0.0) + float(weight.sum())
    return {name: total / weights[name] for name, total in totals.items()}
