"""Teach a student: seeded, resumable bit for bit, alone or in several processes (``distill.training.parallel``)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compile.errors import MissingExtra, UserError
from distill import rigs
from distill.digests import digest
from distill.labels.cache import Labels
from distill.pretrained import locate
from distill.students import folder as students
from distill.training import losses
from distill.training.loop import Course, Step, forget, run
from distill.training.stage import Stage

if TYPE_CHECKING:
    from distill.rigs import Rig
    from distill.students.architectures import Architecture
    from distill.students.network import Student
    from distill.training.batches import Batch
    from distill.training.parallel import World

SETTLING = 50  # batches, at most, from which the batch norms of averaged weights are taken


def train(
    labels: Sequence[Labels], stage: Stage, world: World | None = None, progress: Callable[[Step], None] | None = None
) -> Student:
    """Train on the ``train`` splits and save a student folder; a checkpoint beside it is resumed.

    A folder that holds the student of this very run is read back instead.

    Args:
        labels: by any teachers with the same controls; those, or the rig's, become the student's.
        stage: what to train and how; the checkpoint is in ``<out>.training``.
        world: the processes that train together, see ``parallel.join``; None: this one, on the processor.
        progress: called after every step, in rank 0.

    Returns:
        The student in evaluation mode, speaking in the controls' own units, as saved.

    Raises:
        UserError: nothing to train on, nothing that moves, labels, guide, rig or initial student do not fit, the
            checkpoint belongs to another run or cannot be written, or ``stage.out`` holds other things.
        MissingExtra: torch is not installed.
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        raise MissingExtra("training", "torch", "torch") from error
    from distill.students.network import destandardise, standardise
    from distill.training import parallel
    from distill.training.batches import Span, Speech, prefetch
    from distill.training.ema import Average
    from distill.training.objective import Objective
    from distill.training.validation import Watch

    world, recipe, facts = world or parallel.ALONE, stage.recipe, run_of(labels, stage)
    if ended(facts, stage.out):
        return students.load(stage.out)[0]
    students.require_free(stage.out)
    rig, shape = rig_of(labels, stage), architecture_of(labels, stage)
    guide = students.load(locate(stage.guide))[0].requires_grad_(False) if stage.guide else None
    span = Span(recipe.frames, *losses.reach(shape, guide.architecture if guide else None, stage.alignment))
    speech = Speech(
        labels,
        span,
        batch=recipe.batch,
        seed=recipe.seed,
        augmentation=recipe.augmentation,
        shares=recipe.shares,
        speakers=recipe.speakers,
        rank=world.rank,
        ranks=world.ranks,
    )
    spread = speech.spread(None if stage.rig is None else rig)
    scale = tuple(map(torch.from_numpy, spread))

    torch.manual_seed(recipe.seed)
    student = begin(stage, shape, rig).train()
    if stage.init:
        standardise(student, *scale)
    objective = Objective(student, guide, stage, rig, span, spread, world)
    parallel.synchronise(objective, world)
    average = Average(student, recipe.ema) if recipe.ema is not None else None
    taught = student if average is None else average.student
    watch = Watch(labels, objective, taught, spread, rig)

    def batches(first: int, last: int) -> Iterator[Batch]:
        yield from prefetch(speech, range(first, last))

    course = Course(objective, parallel.distributed(objective, world), batches, average, watch)
    last = run(course, recipe, facts, stage.out, world, progress)
    if average is not None:
        average.settle(batches(recipe.steps, recipe.steps + min(SETTLING, recipe.steps)), objective.heard)

    def save() -> None:
        finished = taught.cpu().eval()
        destandardise(finished, *scale)
        about = {"teacher": labels[0].teacher, "teacher_version": labels[0].version}
        end = {"steps": last.done, "loss": last.loss, "held_out": dict(last.held_out), "device": world.device}
        students.save(finished, stage.out, training=facts | about | end, controls=rig.controls)
        forget(stage.out)

    parallel.first_then_all(world, save)
    return students.load(stage.out)[0]


def ended(run: Mapping[str, Any], folder: Path) -> bool:
    """Whether ``folder`` holds the student that ``run`` ends with; a run is what tells it from others, JSON-able."""
    try:
        training = students.read_facts(folder).get("training")
    except UserError:
        return False
    wanted = json.loads(json.dumps(run))
    return isinstance(training, dict) and {key: training.get(key) for key in wanted} == wanted


def is_finished(labels: Sequence[Labels], stage: Stage) -> bool:
    """Whether ``stage.out`` holds the student that :func:`train` would make of the same arguments."""
    return ended(run_of(labels, stage), stage.out)


def run_of(labels: Sequence[Labels], stage: Stage) -> dict[str, Any]:
    """What tells one training from another: all that its student depends on."""
    recipe = asdict(stage.recipe)
    for harmless in ("checkpoint_every", "evaluate_every"):
        del recipe[harmless]
    run = {
        "architecture": stage.student,
        "look_ahead_ms": architecture_of(labels, stage).look_ahead_ms,
        "labels": [labels_digest(folder) for folder in labels],
        "recipe": recipe,
    }
    for key, name in (("guide", stage.guide), ("init", stage.init)):
        if name:
            students.read_facts(locate(name))
            run[key] = digest([locate(name) / students.WEIGHTS])
    if stage.guide:
        run["alignment"] = stage.alignment
    if stage.rig is not None:
        run["rig"] = digest([stage.rig])
    return run


def labels_digest(labels: Labels) -> str:
    """What the labels of all splits are, and who speaks, as a digest."""
    facts = [(entry.key, entry.split, entry.speaker) for entry in labels.entries]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def rig_of(labels: Sequence[Labels], stage: Stage) -> Rig:
    """The controls that the student learns: the rig's, or the labels' own.

    Raises:
        UserError: the labels have not the controls that the rig is made of.
    """
    if stage.rig is None:
        return rigs.plain(labels[0].controls)
    rig = rigs.read(stage.rig)
    rig.require_source(labels[0].controls, str(labels[0].folder))
    return rig


def architecture_of(labels: Sequence[Labels], stage: Stage) -> Architecture:
    """The student's shape, with its look-ahead and as many outputs as it needs; raises as :func:`rig_of`."""
    return students.fitted(students.architecture(stage.student, stage.look_ahead), rig_of(labels, stage))


def begin(stage: Stage, shape: Architecture, rig: Rig) -> Student:
    """The student at its beginning: fresh weights from torch's random state, or those of ``stage.init``.

    A student of the controls that the rig is made of begins as one of the rig's, by the very map.

    Raises:
        UserError: that student has another architecture or look-ahead, or other controls.
    """
    if not stage.init:
        return students.build(shape)
    from distill.students.network import drive

    folder = locate(stage.init)
    student, controls = students.load(folder)[0], tuple(students.read_facts(folder)["controls"])
    if controls == rig.source != rig.controls:
        student, controls = drive(student, rig), rig.controls
    if student.architecture != shape:
        other = student.architecture
        raise UserError(
            f"it is '{other.name}' with {other.look_ahead_ms} ms of look-ahead and {other.outputs} controls; the stage "
            f"'{stage.name}' trains '{shape.name}' with {shape.look_ahead_ms} ms and {shape.outputs}",
            where=str(folder),
            fix="begin with a student of the same shape",
        )
    if controls != rig.controls:
        raise UserError(f"its controls are not those that the stage '{stage.name}' trains", where=str(folder))
    return student
