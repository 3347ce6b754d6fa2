"""The whole road from a captured model to a build folder, as one readable function."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from compile import manifest, parity
from compile.audit.report import Report
from compile.errors import UnsupportedNode
from compile.examples import examples
from compile.landing import Product, land
from compile.model import Model, constant, shape_of
from compile.quantize.calibrate import Ranges, Samples, observe
from compile.quantize.decide import decide
from compile.quantize.equalize import equalize
from compile.quantize.fit import fit_ranges
from compile.quantize.layers import LayerErrors, layer_errors, to_json
from compile.quantize.lifting import Step
from compile.quantize.ranges import OUTPUT
from compile.quantize.refine import Refined, prices, refine
from compile.quantize.relative import unfit_for_steps
from compile.quantize.rounding import roundings
from compile.quantize.scheme import WEIGHTED, QuantPlan, Scheme
from compile.quantize.variants import variants
from compile.request import Progress, Request
from compile.samples import apart
from compile.simplify.pipeline import Simplified, simplify
from compile.streaming.stream import stream
from compile.streaming.timing import timing
from targets.base import Artifact
from targets.capabilities import refusals
from targets.catalogue import Target
from targets.kernels import Program, read


@dataclass(frozen=True)
class Built:
    """What came of it.

    Attributes:
        folder: where the artefacts are: ``out``, or beside it as rejected.
        simplified: the report of simplify.
        plan: of quantisation.
        lifts: the steps by which refinement made it better.
        report: of the auditor, parity's failures included.
        errors: layer by layer, one report a plan, where it was asked for.
        prices: what else could be lifted, and what that would cost; where the quality asked for does not hold.
    """

    folder: Path
    simplified: Simplified
    plan: QuantPlan
    lifts: tuple[Step, ...]
    report: Report
    errors: tuple[LayerErrors, ...] = ()
    prices: tuple[Step, ...] = ()

    @property
    def failures(self) -> tuple[str, ...]:
        """Why the build is rejected, one line each; empty when it is accepted."""
        return self.report.failures


def build(captured: Model, request: Request, progress: Progress) -> Built:
    """Simplify, quantise, lower, check and audit; the folder appears whole, under its final name or as rejected.

    Args:
        captured: from ``compile.capture``.
        request: what to build.
        progress: told of every stage.

    Raises:
        UserError: the model holds something that a target lacks, or an input is bad. Nothing is written.
    """
    for target in request.targets:
        target.require(target.writer, f"writing {target.title}")

    progress("simplify", 0, 1)
    simplified = simplify(captured)
    streaming = [target.name for target in request.targets if target.streams]
    if streaming:
        stream(simplified.model)  # which is refused now, or never
    planned = plan_for(simplified.model, request, progress)
    model, ranges, refined = planned.model, planned.ranges, planned.refined
    correcting = planned.speech if request.bias_correction else None
    instead = {target.name: target.instead for target in request.targets}
    made = variants(model, ranges, refined.plan, instead, correcting, partial(progress, "correct biases"))
    plan = made[0].plan
    hubs: dict[str, Model] = {}
    for variant in made:
        hubs |= dict.fromkeys(variant.targets, variant.hub)
        if flowing := [name for name in variant.targets if name in streaming]:
            hubs |= dict.fromkeys(flowing, stream(variant.hub))

    artifacts = lower(hubs, request.targets, progress)
    progress("references", 0, 1)
    against = parity.references(captured, made, ranges, request.samples.judge)

    proofs = {
        target.name: examples(hubs[target.name], against.samples, against.hubs[target.name].steps)
        for target in request.targets
        if target.tests_itself
    }

    errors: tuple[LayerErrors, ...] = ()
    if request.errors or request.page:
        measured = partial(progress, "measure layers")
        errors = tuple(layer_errors(model, ranges, variant, request.samples.judge, measured) for variant in made)

    road = {
        "road": {"name": "direct"},
        "simplify": {"rewrites": list(simplified.rewrites), "refusals": list(simplified.refusals)},
        "schemes": manifest.schemes(plan),
        "bias_corrected": [name for variant in made for name in variant.targets if variant.plan.corrections],
    }
    least = {name: minimum(model, variant.plan) for variant in made for name in variant.targets}
    records = {"errors.json": to_json(errors)} if request.errors else {}
    streams = {name: hubs[name] for name in streaming}
    product = Product(artifacts, against, road, least, records, streams, proofs, errors)
    folder, report = land(captured, request, product, progress)
    left: tuple[Step, ...] = ()
    reached = [row.parity.sqnr_db for row in report.rows if row.parity.sqnr_db is not None]
    if request.min_sqnr is not None and min(reached, default=math.inf) < request.min_sqnr:
        left = prices(model, ranges, refined.plan, planned.speech[1])
    return Built(folder, simplified, plan, refined.lifts, report, errors if request.errors else (), left)


@dataclass(frozen=True)
class Planned:
    """How a model is to be quantised.

    Attributes:
        model: simplified, its channels of like size.
        ranges: what calibration sees of it.
        refined: the plan of the profile.
        speech: the calibration samples that plans are fitted to, and those they are chosen by.
    """

    model: Model
    ranges: Ranges
    refined: Refined
    speech: tuple[Samples, Samples]


def plan_for(model: Model, request: Request, progress: Progress) -> Planned:
    """What the profile makes of a simplified model and the calibration samples."""
    recipe, samples = request.profile.recipe, request.samples.calibrate
    fitting, choosing = apart(model, samples)
    integer = any(rule.scheme in (Scheme.W8A8, Scheme.W8_DYNAMIC) for rule in recipe)
    if integer:
        model = equalize(model, fitting)
    ranges = observe(model, samples, partial(progress, "calibrate"), request.ranges)
    if integer:
        ranges = replace(ranges, unfit=unfit_for_steps(model, ranges, fitting))
    if any(target.streams for target in request.targets):
        ranges = replace(ranges, streamed=frozenset(value.name or "" for value in timing(model.ir.graph).times))
    if request.ranges == OUTPUT:
        ranges = fit_ranges(model, ranges, decide(model, ranges, recipe), fitting, partial(progress, "fit ranges"))
    rounded = roundings(model, fitting, partial(progress, "round weights"))
    goal, worth = request.profile.goal, request.profile.worth
    goal = goal if goal is not None else -math.inf
    refined = refine(model, ranges, recipe, choosing, goal, partial(progress, "refine"), rounded, worth)
    return Planned(model, ranges, refined, (fitting, choosing))


def lower(hubs: Mapping[str, Model], targets: tuple[Target, ...], progress: Progress) -> tuple[Artifact, ...]:
    """Every target's artefact from its own hub graph, after asking every target whether it can."""
    for target in targets:
        _require_all_kernels(target, read(hubs[target.name]))
    artifacts = []
    for count, target in enumerate(targets):
        progress("lower", count, len(targets))
        artifacts.append(target.lower(hubs[target.name]))
    return tuple(artifacts)


def minimum(model: Model, plan: QuantPlan) -> int:
    """The least bytes for a model whose weights are all as narrow as the narrowest of the plan.

    So a layer that a plan of int8 weights keeps in float is seen to cost something, and a build of float16 is
    measured by float16. See ``manifest.minimum_bytes``.
    """
    layers: dict[str, tuple[int, int, bool]] = {}
    widths = {4}
    for node in model.ir.graph:
        weight = constant(node.inputs[1]) if node.op_type in WEIGHTED else None
        if weight is not None and node.inputs[1] is not None:
            has_bias = len(node.inputs) > 2 and node.inputs[2] is not None
            layers[node.inputs[1].name or ""] = (shape_of(node.outputs[0])[1], weight.size, has_bias)
            scheme = plan.decisions[node.name or ""].scheme
            widths.add(1 if scheme.integer_weights else 2 if scheme == Scheme.FLOAT16 else 4)
    return manifest.minimum_bytes(list(layers.values()), min(widths))


def _require_all_kernels(target: Target, program: Program) -> None:
    for refusal in refusals(target.name, program):
        source = next((kernel.source for kernel in program.kernels if kernel.node == refusal.node), "")
        raise UnsupportedNode(
            refusal.operator, refusal.node, refusal.reason, source=source, stage=f"the {target.title} target"
        )
