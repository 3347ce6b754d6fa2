"""One plan, and what becomes of it on targets that compute some schemes as others.

Core ML by default keeps int8 weights and computes in float16; an engine without integer kernels takes everything in
float. Such a target gets the same plan with those schemes replaced; targets that replace nothing share one graph.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from compile.model import PEAK, Model
from compile.quantize.apply import apply
from compile.quantize.calibrate import Ranges, Samples, batches, spread
from compile.quantize.correct import correct_biases
from compile.quantize.decide import decide
from compile.quantize.measure import collect
from compile.quantize.noise import noise_of
from compile.quantize.recipe import Rule
from compile.quantize.scheme import QuantPlan, Scheme
from targets.onnx.run import Session

CORRECTED, VERIFIED = 96, 64  # batches
Instead = Mapping[str, str]  # scheme -> the scheme that takes its place


@dataclass(frozen=True)
class Variant:
    """A plan as some targets compute it.

    Attributes:
        targets: their names.
        plan: with corrected biases.
        hub: the graph with Q/DQ pairs.
    """

    targets: tuple[str, ...]
    plan: QuantPlan
    hub: Model


def variants(
    model: Model,
    ranges: Ranges,
    plan: QuantPlan,
    targets: Mapping[str, Instead],
    samples: tuple[Samples, Samples] | None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Variant, ...]:
    """The plan itself and each form of it that a target needs, in the order of the targets.

    Biases are corrected where that makes the plan better: with weights that round well it need not.

    Args:
        model: float, in the hub dialect.
        ranges: of its activations.
        plan: from ``refine``.
        targets: name -> the schemes that it replaces.
        samples: to correct biases on, and to see whether it helped; None leaves biases as they are.
        progress: called with (nodes corrected, nodes), anew for each variant.
    """
    groups: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for name, instead in targets.items():
        met = {decision.scheme.value for decision in plan.decisions.values()}
        groups.setdefault(tuple(sorted((a, b) for a, b in instead.items() if a in met)), []).append(name)
    found = []
    for key, names in groups.items():
        own = replaced(model, ranges, plan, dict(key))
        if samples is not None:
            fitted, others = samples
            corrected = correct_biases(model, own, spread(model, fitted, CORRECTED), progress, ranges.unfit)
            own = _better(model, (own, corrected), others) if corrected.corrections else own
        found.append(Variant(tuple(names), own, _with_peaks(apply(model, own), ranges)))
    return tuple(found)


def _better(model: Model, plans: tuple[QuantPlan, ...], samples: Samples) -> QuantPlan:
    """The plan with the least noise on samples that it was not fitted to."""
    feeds = batches(model, spread(model, samples, VERIFIED))
    reference = collect(Session(model.to_bytes(), "the float model"), feeds)
    return min(plans, key=lambda plan: noise_of(model, plan, feeds, reference))


def _with_peaks(hub: Model, ranges: Ranges) -> Model:
    """The same graph, whose values tell a target in float16 how large they get."""
    for value in (*hub.ir.graph.inputs, *(value for node in hub.ir.graph for value in node.outputs)):
        name = value.name or ""
        if name in ranges.high:
            value.meta[PEAK] = max(abs(ranges.low[name]), abs(ranges.high[name]))
    return hub


def replaced(model: Model, ranges: Ranges, plan: QuantPlan, instead: Instead) -> QuantPlan:
    """The plan with some schemes replaced by others."""
    if not instead:
        return plan
    rules = []
    for name, decision in plan.decisions.items():
        scheme = instead.get(decision.scheme.value, decision.scheme.value)
        because = f"the target computes {decision.scheme.value} as {scheme}"
        rules.append(Rule(Scheme(scheme), scope=re.escape(name), given=True, because=because))
    made = decide(model, ranges, tuple(rules))
    kept = {
        name: integers
        for name, integers in plan.integers.items()
        if name in made.weights and np.array_equal(made.weights[name], plan.weights[name])
    }
    return dataclasses.replace(made, integers=kept)
