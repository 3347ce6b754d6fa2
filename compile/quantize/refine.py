"""Lift nodes out of int8 activations, noisiest first, until the quality holds.

A node's noise is measured, not guessed: the SQNR of the whole network when that node alone is quantised. Lifting a
node from ``w8a8`` to ``w8`` costs no byte (its weights stay int8), only time; so nodes are lifted in order of their
noise, and no more of them than it takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from compile.model import Model
from compile.quantize.apply import apply
from compile.quantize.calibrate import Ranges, Samples, batches
from compile.quantize.decide import decide
from compile.quantize.measure import Outputs, collect, sqnr
from compile.quantize.recipe import Recipe, Rule
from compile.quantize.scheme import WEIGHTED, QuantPlan, Scheme
from targets.onnx.run import Session

SAMPLES = 64
MARGIN = 1.0  # dB above the goal, because other speech than this will judge


@dataclass(frozen=True)
class Lift:
    """A node that was lifted: its noise alone, and the SQNR of the whole network afterwards, dB."""

    node: str
    alone: float
    after: float


@dataclass(frozen=True)
class Refined:
    """The plan, what was lifted for it, and the SQNR it reaches on the calibration samples, dB."""

    plan: QuantPlan
    lifts: tuple[Lift, ...]
    sqnr_db: float


def refine(
    model: Model,
    ranges: Ranges,
    recipe: Recipe,
    samples: Samples,
    goal: float,
    progress: Callable[[int, int], None] | None = None,
) -> Refined:
    """The recipe's plan, or the first one on the way to ``float`` activations that reaches the goal.

    Args:
        model: float, in the hub dialect.
        ranges: of its activations.
        recipe: where to begin.
        samples: calibration input; a part of it is used.
        goal: SQNR in dB. Where even all lifts do not reach it, the plan with all of them is returned.
        progress: called with (nodes measured, nodes).
    """
    feeds = batches(model, {name: array[:: max(len(array) // SAMPLES, 1)] for name, array in samples.items()})
    reference = collect(Session(model.to_bytes(), "the float model"), feeds)

    def measure(plan: QuantPlan) -> float:
        outputs: Outputs = collect(Session(apply(model, plan).to_bytes(), "the quantised graph"), feeds)
        return sqnr(reference, outputs)

    plan = decide(model, ranges, recipe)
    reached = measure(plan)
    if reached >= goal + MARGIN:
        return Refined(plan, (), reached)
    noise: dict[str, float] = {}
    candidates = [
        node.name or ""
        for node in model.ir.graph
        if node.op_type in WEIGHTED and plan.decisions[node.name or ""].scheme == Scheme.W8A8
    ]
    for count, name in enumerate(candidates, start=1):
        only = (Rule(Scheme.FLOAT), Rule(Scheme.W8A8, scope=re.escape(name)))
        noise[name] = measure(decide(model, ranges, only))
        if progress is not None:
            progress(count, len(candidates))
    lifts: list[Lift] = []
    for name in sorted(candidates, key=lambda name: (noise[name], name)):
        because = f"alone in int8 it leaves {noise[name]:.1f} dB"
        recipe = (*recipe, Rule(Scheme.W8, scope=re.escape(name), because=because))
        plan = decide(model, ranges, recipe)
        reached = measure(plan)
        lifts.append(Lift(name, noise[name], reached))
        if reached >= goal + MARGIN:
            break
    return Refined(plan, tuple(lifts), reached)
