"""``phiz distill --qat``: the compiler's own plan, carried to the training as data, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from compile.cli.console import screen
from compile.cli.distill import show_step
from compile.cli.progress import Stages
from compile.errors import Bug, UserError

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray

    from compile.model import Model
    from compile.quantize.calibrate import Samples
    from compile.quantize.recipe import Profile
    from compile.quantize.scheme import QuantPlan
    from compile.samples import Split
    from distill.labels.cache import Entry, Labels
    from distill.students.network import Student
    from distill.training import qat

CLIPS = 48  # of the labels' training speech; two thirds calibrate, the others judge and are not learnt
WINDOWS = 256  # to calibrate on, as `phiz compile` does
FLIPS = 0.2  # of the plan's error: how far torch may be from the graph, for what it rounds the other way
MOVED = 0.1  # a scale that changes by less than this share is the same


@dataclass(frozen=True)
class Quantised:
    """A student as the compiler sees it: its graph, the plan, the quantised graph, and the plan as data."""

    model: Model
    plan: QuantPlan
    hub: Model
    layers: qat.Plan


def tune(labels: Labels, init: Path, profile: Profile, recipe: qat.Recipe, folder: Path) -> None:
    """Plan, fine-tune under the plan, plan again, and say what changed; an interrupted run resumes."""
    from compile.quantize.scheme import Scheme
    from compile.samples import from_clips
    from distill.evaluate import fit
    from distill.students.folder import load, predict
    from distill.training import qat
    from distill.training.quantised import Quantised as Rounded

    if all(rule.scheme == Scheme.FLOAT for rule in profile.recipe):
        raise UserError("it rounds nothing", where="--scheme", fix="fine-tune for w8a8, w8 or int8")
    qat.require_tunable(labels, init)
    with Stages() as stages:
        picked, judging = divide(labels)
        stages("plan", 0, 1)
        student, captured = load(init)[0], capture(init)
        samples = from_clips(captured, [sound(labels, entry) for entry in picked], WINDOWS)
        before = quantise(captured, profile, samples, stages)
        require_agreement(before, student, samples.judge)
        learnt = replace(labels, entries=tuple(entry for entry in labels.entries if entry not in judging))
        tuned = qat.tune(learnt, init, before.layers, recipe, folder, lambda step: show_step(stages, step))
        after = quantise(capture(folder), profile, samples, stages)
        stages("judge", 0, 1)
        faces = [labels.arrays(entry)[1] for entry in judging]
        fits = [
            fit([predict(network, sound(labels, entry)) for entry in judging], faces)
            for network in (student, Rounded(student, before.layers), tuned, Rounded(tuned, after.layers))
        ]
    show(before, after, fits, samples.judge)
    screen().print(f"wrote {folder}/", markup=False)


def divide(labels: Labels) -> tuple[list[Entry], list[Entry]]:
    """Training speech for ``compile.samples.from_clips``, and the part of it that this keeps to judge by.

    Raises:
        UserError: there is too little speech for both.
    """
    from distill.corpus.sources import TRAIN

    entries = labels.split(TRAIN)
    if len(entries) < 2:
        raise UserError(
            f"of the split 'train' there are {len(entries)} recordings; fine-tuning takes two, one of them to judge by",
            where=str(labels.folder),
            fix="label more speech",
        )
    picked = [entries[index] for index in np.linspace(0, len(entries) - 1, min(CLIPS, len(entries))).astype(int)]
    return picked, picked[1::3]


def sound(labels: Labels, entry: Entry) -> NDArray[np.float32]:
    """The audio of a label, float32 ``[samples]``."""
    from distill.audio import as_float

    return as_float(labels.arrays(entry)[0])


def capture(folder: Path) -> Model:
    """The student in ``folder`` as ``phiz compile`` captures it."""
    from compile.cli.source import read_model

    return read_model(str(folder), {})


def quantise(captured: Model, profile: Profile, samples: Split, stages: Stages) -> Quantised:
    """What ``phiz compile`` would make of a student with this speech: the plan, and the graph with biases corrected."""
    from compile.audit.budget import Budget
    from compile.build import plan_for
    from compile.quantize.variants import variants
    from compile.request import Request
    from compile.simplify.pipeline import simplify
    from targets.catalogue import find

    request = Request((find("onnx"),), profile, samples, Budget(), None, None, Path())
    planned = plan_for(simplify(captured).model, request, stages)
    model, plan = planned.model, planned.refined.plan
    correcting = partial(stages, "correct biases")
    (variant,) = variants(model, planned.ranges, plan, {"": {}}, planned.speech, correcting)
    return Quantised(model, variant.plan, variant.hub, layers_of(model.ir.graph, variant.plan))


def layers_of(graph: ir.Graph, plan: QuantPlan) -> qat.Plan:
    """The plan of a student's graph, layer by layer, as ``distill.training.qat`` takes it."""
    from compile.quantize.scheme import WEIGHTED
    from distill.training.qat import Affine, LayerPlan

    def at(value: ir.Value | None) -> Affine | None:
        parameters = plan.activations.get(value.name or "") if value is not None else None
        return Affine(parameters.scale, parameters.zero_point) if parameters is not None else None

    def behind(value: ir.Value | None, operator: str) -> ir.Node | None:
        nodes = [usage.node for usage in value.uses()] if value is not None else []
        return next((node for node in nodes if node.op_type == operator), None)

    layers = []
    for node in graph:
        if node.op_type not in WEIGHTED:
            continue
        scheme = plan.decisions[node.name or ""].scheme.value
        made = node.outputs[0]
        add = behind(made, "Add")
        beside = next((value for value in add.inputs if value is not made), None) if add is not None else None
        added = add.outputs[0] if add is not None else None
        relu = behind(added if added is not None else made, "Relu")
        layers.append(
            LayerPlan(
                start=start_of(node, plan),
                weights={"float": "float32", "float16": "float16"}.get(scheme, "int8"),
                integer=scheme == "w8a8",
                correction=tuple(map(float, plan.corrections.get(node.name or "", ()))),
                dynamic=scheme == "w8-dynamic",
                read=at(node.inputs[0]),
                made=at(made),
                beside=at(beside),
                added=at(added),
                left=at(relu.outputs[0]) if relu is not None else None,
            )
        )
    return tuple(layers)


def start_of(node: ir.Node, plan: QuantPlan) -> qat.Start:
    """The weights of a node, and how the plan rounds them."""
    from compile.model import constant
    from compile.quantize.scheme import WEIGHT_MAX
    from distill.training.qat import Start

    weight, bias = (np.asarray(constant(value), np.float32) for value in node.inputs[1:3])
    integers = plan.integers.get(node.name or "")
    if integers is None:
        return Start(weight, bias)
    scale = plan.weights[node.name or ""].reshape(-1, *[1] * (weight.ndim - 1))
    nearest = np.clip(np.rint(weight / scale), -WEIGHT_MAX, WEIGHT_MAX)
    return Start(weight, bias, (integers - nearest).astype(np.int8))


def require_agreement(quantised: Quantised, student: Student, samples: Samples) -> None:
    """Make sure that torch rounds where the graph rounds, before anything is learnt from it.

    A rounding that falls the other way in torch may grow on its way out, so single windows may differ: half must not.

    Raises:
        Bug: they do.
    """
    theirs = answers(quantised.hub, samples)
    distance, error = (
        np.square(array - theirs).sum(axis=1)
        for array in (outputs_of(student, quantised.layers, samples), answers(quantised.model, samples))
    )
    if np.median(distance) > FLIPS * np.median(error) + 1e-9:
        far, own = np.median(distance), np.median(error)
        raise Bug(f"torch's rounding is {far:.1e} away from the graph's, whose error is only {own:.1e}")


def outputs_of(student: Student, plan: qat.Plan, samples: Samples) -> NDArray[np.float32]:
    """What a student says to windows, rounded in torch: ``[windows, outputs]``."""
    import torch

    from distill.training.quantised import Quantised as Rounded

    windows = next(iter(samples.values()))
    with torch.inference_mode():
        return np.asarray(Rounded(student, plan).sequence(torch.from_numpy(windows))[:, 0].numpy(), np.float32)


def answers(model: Model, samples: Samples) -> NDArray[np.float32]:
    """What a graph says to windows: ``[windows, outputs]``."""
    from compile.quantize.calibrate import batches
    from compile.quantize.measure import collect
    from targets.onnx.run import Session

    (array,) = collect(Session(model.to_bytes(), "a student"), batches(model, samples)).values()
    return array.reshape(-1, array.shape[-1])


def show(before: Quantised, after: Quantised, fits: Sequence[float], samples: Samples) -> None:
    """Print what fine-tuning changed, for better or worse, on speech that neither it nor calibration heard.

    Args:
        before: the student as it was.
        after: the fine-tuned one.
        fits: R2 against the labels: before in float and rounded, after in float and rounded.
        samples: to judge on.
    """
    original, start, learnt, end = (
        answers(graph, samples) for graph in (before.model, before.hub, after.model, after.hub)
    )
    table = Table(title="On speech kept from training and calibration", title_justify="left", box=None)
    for column in ("", "before", "after"):
        table.add_column(column, justify="left" if column == "" else "right")
    rows = {
        "SQNR, rounded against the float student before": (distance(original, start), distance(original, end)),
        "SQNR, rounded against its own float": (distance(original, start), distance(learnt, end)),
        "SQNR, float against the float student before": (None, distance(original, learnt)),
    }
    for name, figures in rows.items():
        table.add_row(name, *("" if figure is None else f"{figure:.1f} dB" for figure in figures))
    for name, pair in {
        "fit to the labels (R2), in float": fits[::2],
        "fit to the labels (R2), rounded": fits[1::2],
    }.items():
        table.add_row(name, *(f"{figure:.4f}" for figure in pair))
    console = screen()
    console.print(table)
    for line in differences(before.plan, after.plan):
        console.print(line, markup=False)


def distance(reference: NDArray[np.float32], outputs: NDArray[np.float32]) -> float:
    """SQNR in dB."""
    from compile.quantize.measure import sqnr

    return sqnr({"": reference}, {"": outputs})


def differences(before: QuantPlan, after: QuantPlan) -> Iterator[str]:
    """Where the plan for the fine-tuned student is another one than it was trained under."""
    for name, decision in after.decisions.items():
        if before.decisions[name].scheme != decision.scheme:
            yield f"plan: {name} is {decision.scheme.value} now, it was {before.decisions[name].scheme.value}"
    shared = before.activations.keys() & after.activations.keys()
    ratios = {name: after.activations[name].scale / before.activations[name].scale for name in sorted(shared)}
    moved = {name: ratio for name, ratio in ratios.items() if abs(ratio - 1) > MOVED}
    if moved:
        furthest = max(moved, key=lambda name: abs(np.log(moved[name])))
        count = f"{len(moved)} of {len(ratios)} scales"
        yield f"plan: {count} moved by more than {MOVED:.0%}, most at {furthest}: x {moved[furthest]:.2f}"
