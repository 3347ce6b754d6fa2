"""What could be lifted out of a plan: what each step brings, and what it costs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import onnx_ir as ir

from compile.model import Model, operand, shape_of
from compile.quantize.calibrate import Ranges, Samples, batches, spread
from compile.quantize.costs import NOTHING, Cost, cost
from compile.quantize.decide import decide
from compile.quantize.measure import collect, decibel
from compile.quantize.noise import Kind, Place, noise_of, only, places, readers
from compile.quantize.recipe import Recipe, Rule
from compile.quantize.rounding import Rounding, with_roundings
from compile.quantize.scheme import SPEAKS_OF_WEIGHTS, WEIGHTED, QuantPlan, Scheme
from targets.kernels import MOVES
from targets.onnx.run import Session

SAMPLES = 64
LADDER = (Scheme.W8A8, Scheme.W8_DYNAMIC, Scheme.W8, Scheme.FLOAT16, Scheme.FLOAT)
ALL = 90.0  # dB, of a step that leaves no error that could be told
WORTH = 0.02  # of the error: what spares less is no step
CHEAP = 1e-3  # of the whole cost: no step is cheaper, so that among those for nothing the one that brings most is first


@dataclass(frozen=True)
class Step:
    """One or more nodes that may be lifted together, because the value between them is rounded unless all are.

    Attributes:
        schemes: node and the scheme that it is lifted to, for each.
        gain: what that brings, dB; predicted from the roundings that it spares.
        cost: what it costs; predicted too.
    """

    schemes: tuple[tuple[str, Scheme], ...]
    gain: float
    cost: Cost

    @property
    def rules(self) -> Recipe:
        """That make the step."""
        return tuple(Rule(scheme, scope=re.escape(name), because=self._because(name)) for name, scheme in self.schemes)

    @property
    def brings(self) -> str:
        """The gain, for people."""
        return f"{self.gain:+.1f} dB" if self.gain < ALL else "all that is left"

    def _because(self, name: str) -> str:
        """What and who; figures of the whole step must not read as if each node cost them."""
        others = ", ".join(other for other, _ in self.schemes if other != name)
        return f"lifted{f' with {others}' if others else ''}: {self}"

    def __str__(self) -> str:
        return f"{self.brings} for {self.cost.bytes:+,} bytes and about {self.cost.microseconds:+.0f} us"


class Lifting:
    """Everything that telling prices needs; roundings are measured once each and remembered.

    Args:
        model: float, in the hub dialect.
        ranges: of its activations.
        samples: calibration input; a part of it is used.
        rounded: which way weights round.
        pinned: nodes that keep their scheme.
    """

    def __init__(
        self,
        model: Model,
        ranges: Ranges,
        samples: Samples,
        rounded: Mapping[str, Rounding],
        pinned: frozenset[str],
    ) -> None:
        self.model, self.ranges, self.rounded, self.pinned = model, ranges, rounded, pinned
        self.feeds = batches(model, spread(model, samples, SAMPLES))
        self.reference = collect(Session(model.to_bytes(), "the float model"), self.feeds)
        graph = model.ir.graph
        self.nodes = {node.name or "": node for node in graph}
        self.values = {v.name: v for v in (*graph.inputs, *(output for node in graph for output in node.outputs))}
        self.whole = sum((cost(node, Scheme.W8A8) for node in model.ir.graph), NOTHING)
        self.powers: dict[tuple[str, str], float] = {}

    def plan(self, recipe: Recipe) -> QuantPlan:
        """What ``decide`` makes of a recipe, with weights rounded as they should be."""
        return with_roundings(decide(self.model, self.ranges, recipe), self.rounded)

    def measure(self, plan: QuantPlan) -> float:
        """The noise of a plan as a share of the signal."""
        return noise_of(self.model, plan, self.feeds, self.reference)

    def survey(self, plan: QuantPlan, progress: Callable[[int, int], None] | None) -> None:
        """Measure every rounding of a plan alone."""
        found = places(self.model, plan)
        for count, place in enumerate(found, start=1):
            self.power(plan, place)
            if progress is not None:
                progress(count, len(found))

    def steps(self, recipe: Recipe) -> list[Step]:
        """The price list of a recipe's plan, by what a step spares for what it costs."""
        plan = self.plan(recipe)
        now = self.predicted(plan)
        touched = {place: self.touched(place) for place in places(self.model, plan)}
        found: dict[Step, float] = {}
        for schemes in self.candidates(plan, touched):
            lifted = {name for name, _ in schemes}
            if sum(self.power(plan, place) for place, names in touched.items() if names & lifted) < WORTH * now:
                continue  # whatever they are lifted to
            rules = tuple(Rule(scheme, scope=re.escape(name)) for name, scheme in schemes)
            after = self.predicted(self.plan((*recipe, *rules)))
            if now - after < WORTH * now:
                continue
            change = sum(
                (cost(self.nodes[n], s) - cost(self.nodes[n], plan.decisions[n].scheme) for n, s in schemes), NOTHING
            )
            gain = decibel(after / now) if after > now * 1e-9 else ALL
            found[Step(schemes, gain, change)] = (now - after) / max(change.share(self.whole), CHEAP)
        return sorted(found, key=lambda step: (-found[step], step.schemes))

    def touched(self, place: Place) -> frozenset[str]:
        """The nodes that have to do with a rounding: who answers for it, and who reads what is rounded."""
        if place.kind == Kind.WEIGHTS:
            return frozenset({place.node})
        return frozenset({place.node, *(node.name or "" for node in readers(self.values[place.value]))})

    def candidates(
        self, plan: QuantPlan, touched: Mapping[Place, frozenset[str]]
    ) -> Iterator[tuple[tuple[str, Scheme], ...]]:
        """Each product alone to each scheme above its own; and all nodes around a rounded value together."""
        for name, node in self.nodes.items():
            if node.op_type in WEIGHTED and name not in self.pinned:
                above = LADDER[LADDER.index(plan.decisions[name].scheme) + 1 :]
                yield from (((name, scheme),) for scheme in above if self.honours(node, scheme))
        for around in touched.values():
            names = [
                name
                for name, node in self.nodes.items()
                if name in around and node.op_type not in MOVES and plan.decisions[name].scheme == Scheme.W8A8
            ]
            if len(names) > 1 and not self.pinned.intersection(names):
                yield tuple((name, self.lifted(self.nodes[name])) for name in names)

    def predicted(self, plan: QuantPlan) -> float:
        """The noise of a plan as the sum of its roundings."""
        return sum(self.power(plan, place) for place in places(self.model, plan))

    def power(self, plan: QuantPlan, place: Place) -> float:
        """The noise of one rounding alone. float16 rounds 8 times finer than int8 at its coarsest: that is nothing."""
        scheme = plan.decisions[place.node].scheme
        if place.kind == Kind.WEIGHTS and scheme == Scheme.FLOAT16:
            return 0.0
        at_run_time = "at run time" if scheme == Scheme.W8_DYNAMIC else ""
        key = (place.value, "") if place.value else (place.node, f"weights {at_run_time}")
        if key not in self.powers:
            self.powers[key] = self.measure(only(plan, [place]))
        return self.powers[key]

    def honours(self, node: ir.Node, scheme: Scheme) -> bool:
        """Whether a product can compute so."""
        at_once = shape_of(operand(node))[0] == 1 and operand(node).name not in self.ranges.streamed
        if scheme == Scheme.W8_DYNAMIC and not at_once:
            return False
        return node.op_type in SPEAKS_OF_WEIGHTS.get(scheme, WEIGHTED)

    def lifted(self, node: ir.Node) -> Scheme:
        """The cheapest scheme of a node that leaves its activations in float."""
        return next(s for s in LADDER[1:] if self.honours(node, s)) if node.op_type in WEIGHTED else Scheme.FLOAT
