"""The error of a quantised graph, layer by layer: how good its input and output are, who is to blame, what to do.

Blame is what a layer's own roundings, alone, do to the network's output (``noise.py``), normalised to 1 over all
layers. A layer with a bad output and no blame has only passed on what it was given.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from compile.model import Model, source_of
from compile.quantize.calibrate import Ranges, Samples, batches, probe
from compile.quantize.decide import decide
from compile.quantize.measure import collect, decibel, noise_to_signal
from compile.quantize.noise import Kind, noise, noise_of
from compile.quantize.recipe import Rule
from compile.quantize.scheme import WEIGHTED, QuantPlan, Scheme
from compile.quantize.variants import Variant
from targets.kernels import FUSES_RELU, MOVES, activation
from targets.onnx.run import AS_WRITTEN, Session

FORMAT = 1
WORTH = 0.5  # dB that a rule must bring to be recommended


@dataclass(frozen=True)
class Layer:
    """A node that computes; those that only move values are left out, activation functions inside a kernel too.

    Attributes:
        node: its name.
        source: the module of the original network that it came from.
        operator: of the hub dialect.
        scheme: how it computes.
        before_db: SQNR of what it reads, all its inputs together, dB.
        after_db: SQNR of what it makes, dB.
        shares: of the error at the network's output, by kind of rounding; over all layers they sum to 1.
    """

    node: str
    source: str
    operator: str
    scheme: str
    before_db: float
    after_db: float
    shares: Mapping[Kind, float]

    @property
    def share(self) -> float:
        """Of the error at the network's output, for all its roundings."""
        return sum(self.shares.values())


@dataclass(frozen=True)
class LayerErrors:
    """The report for one plan.

    Attributes:
        targets: that have this plan.
        sqnr_db: of the network's outputs, dB.
        explained: the layers' errors, each measured alone and summed, over the error of the whole: near 1 where
            roundings are independent.
        layers: in order of execution.
        advice: what to do, as a sentence.
    """

    targets: tuple[str, ...]
    sqnr_db: float
    explained: float
    layers: tuple[Layer, ...]
    advice: str


def layer_errors(
    model: Model,
    ranges: Ranges,
    variant: Variant,
    samples: Samples,
    progress: Callable[[int, int], None] | None = None,
) -> LayerErrors:
    """Measure every layer of a quantised graph against the float model.

    Args:
        model: float, in the hub dialect.
        ranges: of its activations, to try out what the advice says.
        variant: the plan and its graph, with any mixture of schemes.
        samples: to judge on.
        progress: called with (roundings measured, roundings).
    """
    feeds = batches(model, samples)
    reference = collect(Session(model.to_bytes(), "the float model"), feeds)
    whole = noise_to_signal(reference, collect(Session(variant.hub.to_bytes(), "the quantised graph"), feeds))
    alone = noise(model, variant.plan, feeds, reference, progress)
    total = sum(alone.values())
    shares: dict[str, dict[Kind, float]] = {}
    for place, power in alone.items():
        kinds = shares.setdefault(place.node, {})
        kinds[place.kind] = kinds.get(place.kind, 0.0) + (power / total if total else 0.0)
    powers = _powers(model, variant, feeds)
    layers = tuple(
        Layer(
            node=node.name or "",
            source=source_of(node),
            operator=node.op_type,
            scheme=variant.plan.decisions[node.name or ""].scheme.value,
            before_db=_sqnr([powers[value.name or ""] for value in _computed(node)]),
            after_db=_sqnr([powers[made.name or ""]]),
            shares=shares.get(node.name or "", {}),
        )
        for node, made in _layers(model.ir.graph)
    )
    return LayerErrors(
        targets=variant.targets,
        sqnr_db=decibel(whole),
        explained=total / whole if whole else 1.0,
        layers=layers,
        advice=_advice(model, ranges, variant.plan, layers, feeds, reference),
    )


def to_json(reports: Sequence[LayerErrors]) -> bytes:
    """``errors.json``: one entry a plan; figures that are infinite (equal values) are null."""
    plans = [
        {
            "targets": list(report.targets),
            "sqnr_db": _finite(report.sqnr_db),
            "explained": _finite(report.explained),
            "advice": report.advice,
            "layers": [
                {
                    "node": layer.node,
                    "source": layer.source,
                    "operator": layer.operator,
                    "scheme": layer.scheme,
                    "sqnr_before_db": _finite(layer.before_db),
                    "sqnr_after_db": _finite(layer.after_db),
                    "share": _finite(layer.share),
                    "shares": {kind.value: _finite(share) for kind, share in layer.shares.items()},
                }
                for layer in report.layers
            ],
        }
        for report in reports
    ]
    return (json.dumps({"format": FORMAT, "plans": plans}, indent=2, allow_nan=False) + "\n").encode()


def _layers(graph: ir.Graph) -> Iterator[tuple[ir.Node, ir.Value]]:
    """Nodes that compute, each with the value that leaves its kernel."""
    inside = set()
    for node in graph:
        made = node.outputs[0]
        users = [usage.node for usage in made.uses()]
        if node.op_type in FUSES_RELU and len(users) == 1 and activation(users[0]) and made not in graph.outputs:
            inside.add(users[0])
            made = users[0].outputs[0]
        if node.op_type not in MOVES and node not in inside:
            yield node, made


def _computed(node: ir.Node) -> list[ir.Value]:
    return [value for value in node.inputs if value is not None and value.const_value is None]


def _powers(
    model: Model, variant: Variant, feeds: list[dict[str, NDArray[np.float32]]]
) -> dict[str, tuple[float, float]]:
    """Powers of signal and error of every value that a layer reads or makes, summed batch by batch."""
    layers = list(_layers(model.ir.graph))
    wanted = {value.name or "": value for node, made in layers for value in (*_computed(node), made)}
    inputs, outputs = ({port.name for port in ports} for ports in (model.inputs, model.outputs))
    theirs = {
        name: f"{name}.dq" if name in variant.plan.activations and name not in outputs else name for name in wanted
    }
    computed = [name for name in wanted if name not in inputs]
    float_graph = probe(model, computed, AS_WRITTEN)
    quantised = probe(variant.hub, [theirs[name] for name in wanted if theirs[name] not in inputs], AS_WRITTEN)
    powers = dict.fromkeys(wanted, (0.0, 0.0))
    for feed in feeds:
        real = {**feed, **float_graph.fetch(computed, feed)}
        rounded = {**feed, **quantised.fetch([name for name in theirs.values() if name not in inputs], feed)}
        for name, (signal, error) in powers.items():
            values = real[name].astype(np.float64)
            distance = values - rounded[theirs[name]].astype(np.float64)
            powers[name] = signal + float(np.sum(values**2)), error + float(np.sum(distance**2))
    return powers


def _sqnr(powers: Sequence[tuple[float, float]]) -> float:
    signal, error = (sum(column) for column in zip(*powers, strict=True))
    return decibel(error / signal if signal else 0.0)


def _advice(
    model: Model,
    ranges: Ranges,
    plan: QuantPlan,
    layers: Sequence[Layer],
    feeds: list[dict[str, NDArray[np.float32]]],
    reference: Mapping[str, NDArray[np.float32]],
) -> str:
    """Name the worst layer, and the least rules that are worth it, tried out."""
    worst = max(layers, key=lambda layer: layer.share, default=None)
    if worst is None or worst.share == 0:
        return "Nothing is rounded."
    blame = f"{worst.node} ({worst.source or worst.operator}, {worst.scheme}) causes {worst.share:.0%} of the error"

    def reached(rules: Sequence[Rule]) -> float:
        recipe = [Rule(decision.scheme, scope=re.escape(name)) for name, decision in plan.decisions.items()]
        return decibel(noise_of(model, decide(model, ranges, (*recipe, *rules)), feeds, reference))

    start = reached(())
    for rules in _remedies(model.ir.graph, plan, worst):
        if (gain := reached(rules) - start) >= WORTH:
            flags = " ".join(f"--rule '{rule}'" for rule in rules)
            return f"{blame}. Worth trying: {flags} brings {gain:.1f} dB, before biases are corrected."
    return f"{blame}, but no rule for it brings {WORTH} dB. --min-sqnr lets phiz lift several layers at once."


def _remedies(graph: ir.Graph, plan: QuantPlan, worst: Layer) -> Iterator[tuple[Rule, ...]]:
    """Rules that may lift the layer, cheapest first: its activations, those of its readers too, its weights."""
    found = {node.name: (node, made) for node, made in _layers(graph)}
    node, made = found[worst.node]
    own = _lift(node)
    if worst.scheme == Scheme.W8A8.value:
        yield (own,)
        users = [usage.node for usage in made.uses()]
        readers = [user for user in users if plan.decisions[user.name or ""].scheme == Scheme.W8A8]
        if readers:
            yield (own, *map(_lift, dict.fromkeys(readers)))
    if node.op_type in WEIGHTED:
        yield (Rule(Scheme.FLOAT, node.op_type, re.escape(worst.node)),)


def _lift(node: ir.Node) -> Rule:
    scheme = Scheme.W8 if node.op_type in WEIGHTED else Scheme.FLOAT
    return Rule(scheme, node.op_type, re.escape(node.name or ""))


def _finite(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None
