"""Lift nodes to schemes of more precision, what costs least for what it brings first, until the quality holds.

Where the error comes from is measured, not guessed: each rounding of the plan alone (``noise.py``). Roundings add up
nearly independently, so what a step brings can be told without trying it, and what it costs is a model
(``costs.py``): a few bytes or some time. Only the plan that a step leads to is measured, and in the end each step is
taken back that turned out not to be needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from compile.model import Model
from compile.quantize.calibrate import Ranges, Samples
from compile.quantize.lifting import Lifting, Step
from compile.quantize.measure import decibel
from compile.quantize.recipe import Recipe, exactly, pinned
from compile.quantize.rounding import Rounding
from compile.quantize.scheme import QuantPlan

MARGIN = 1.0  # dB above the goal, because other speech than this will judge


@dataclass(frozen=True)
class Refined:
    """The plan, the steps that led to it, and what it reaches on the calibration samples.

    Attributes:
        plan: for ``apply``, without bias corrections.
        lifts: the steps taken, in order.
        sqnr_db: of the plan, dB.
    """

    plan: QuantPlan
    lifts: tuple[Step, ...]
    sqnr_db: float


def refine(
    model: Model,
    ranges: Ranges,
    recipe: Recipe,
    samples: Samples,
    goal: float,
    progress: Callable[[int, int], None] | None = None,
    rounded: Mapping[str, Rounding] | None = None,
    worth: float = 0.0,
) -> Refined:
    """The recipe's plan, or one from which enough nodes are lifted that it reaches the goal.

    Nodes that a rule of the user's speaks of keep their scheme.

    Args:
        model: float, in the hub dialect.
        ranges: of its activations.
        recipe: where to begin.
        samples: calibration input; a part of it is used.
        goal: SQNR in dB; minus infinity for none. Where no step leads there, the best plan found is returned.
        progress: called with (roundings measured, roundings).
        rounded: which way weights round, from ``rounding.py``.
        worth: dB that a step must bring for each doubling of the network's cost. What it brings beyond the goal does
            not count.
    """
    lifting = Lifting(model, ranges, samples, rounded or {}, pinned(model.ir.graph, recipe))
    plan = lifting.plan(recipe)
    reached = lifting.measure(plan)
    enough = 10 ** (-(goal + MARGIN) / 10) if goal > -math.inf else math.inf
    if reached <= enough:
        return Refined(plan, (), decibel(reached))
    lifting.survey(plan, progress)
    taken: list[Step] = []
    while reached > enough:
        need = 10 * math.log10(reached / enough)
        if not (steps := _worthwhile(lifting, _with(recipe, taken), worth, need)):
            break
        taken.append(_choose(steps, need, lifting))
        plan = lifting.plan(_with(recipe, taken))
        reached = lifting.measure(plan)
    needed = [step for step in taken if step.cost.share(lifting.whole) > 0]
    while steps := [step for step in lifting.steps(_with(recipe, taken)) if step.cost.share(lifting.whole) <= 0]:
        taken.append(steps[0])  # it is for nothing
    plan = lifting.plan(_with(recipe, taken))
    reached = lifting.measure(plan)
    for step in sorted(needed, key=lambda step: -step.cost.share(lifting.whole)):
        fewer = [other for other in taken if other is not step]
        without = lifting.plan(_with(recipe, fewer))
        power = lifting.measure(without)
        if power <= enough:
            taken, plan, reached = fewer, without, power
    return Refined(plan, tuple(taken), decibel(reached))


def prices(model: Model, ranges: Ranges, plan: QuantPlan, samples: Samples) -> tuple[Step, ...]:
    """What could be lifted out of a plan, and at what price; what brings most for its price first."""
    rounded = {name: Rounding(plan.weights[name], integers) for name, integers in plan.integers.items()}
    lifting = Lifting(model, ranges, samples, rounded, frozenset())
    return tuple(lifting.steps(exactly(plan)))


def _worthwhile(lifting: Lifting, recipe: Recipe, worth: float, need: float) -> list[Step]:
    whole = lifting.whole
    return [step for step in lifting.steps(recipe) if min(step.gain, need) >= worth * step.cost.share(whole)]


def _choose(steps: Sequence[Step], need: float, lifting: Lifting) -> Step:
    """The first of the price list, unless a cheaper one brings by itself all that is needed, in dB."""
    enough = [step for step in steps if step.gain >= need]
    return min([steps[0], *enough], key=lambda step: step.cost.share(lifting.whole)) if enough else steps[0]


def _with(recipe: Recipe, taken: Sequence[Step]) -> Recipe:
    return (*recipe, *(rule for step in taken for rule in step.rules))
