"""Teach a student: seeded, resumable bit for bit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compile.errors import MissingExtra, UserError
from distill import batches, loop, losses, students
from distill.controls import closure
from distill.labels import Labels
from distill.loop import Step
from distill.stage import Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from distill.network import Student


def train(
    labels: Labels,
    architecture: students.Architecture,
    recipe: Recipe,
    folder: Path,
    progress: Callable[[Step], None] | None = None,
) -> Student:
    """Train on the ``train`` split and save a student folder; a checkpoint beside it is resumed.

    A folder that holds the student of this very run is read back instead.

    Args:
        labels: by any teacher; their controls become the student's.
        architecture: with as many outputs as the labels have controls.
        recipe: see :class:`Recipe`.
        folder: of the finished student; until then ``<folder>.training`` holds the checkpoint.
        progress: called after every step.

    Returns:
        The student in evaluation mode, speaking in the controls' own units, as saved.

    Raises:
        UserError: nothing to train on, nothing that moves, the checkpoint belongs to another run, or ``folder`` holds
            other things.
        MissingExtra: torch is not installed.
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        raise MissingExtra("training", "torch", "torch") from error
    from distill.network import destandardise

    if len(labels.controls) != architecture.outputs:
        raise UserError(f"the labels have {len(labels.controls)} controls, the student {architecture.outputs}")
    if is_finished(labels, architecture, recipe, folder):
        return students.load(folder)[0]
    students.require_free(folder)
    speech = batches.gather(labels, architecture, recipe)
    shift, deviation = map(torch.from_numpy, speech.spread(str(labels.folder)))
    columns = deviation.nonzero()[:, 0]  # a control that never moves is learnt by its mean alone

    torch.manual_seed(recipe.seed)
    student = students.build(architecture).train()

    def loss_of(step: int) -> Tensor:
        audio, curves = speech.batch(step, recipe)
        closed = torch.from_numpy(closure(curves, labels.controls)).clamp(0, 1)
        target = (torch.from_numpy(curves)[:, :, columns] - shift[columns]) / deviation[columns]
        with torch.autocast(
            "cpu",
            torch.bfloat16,
            enabled=recipe.precision == "bfloat16" or (recipe.precision == "auto" and native_bfloat16()),
        ):
            prediction = student.sequence(torch.from_numpy(audio))[:, :, columns]
        return losses.loss(prediction.float(), target, closed, recipe.weights)

    run = _run(labels, architecture, recipe)
    step, running = loop.run(student, recipe, run, folder, loss_of, progress)
    destandardise(student, shift, deviation)
    facts = run | {"teacher": labels.teacher, "teacher_version": labels.version, "steps": step, "loss": running}
    students.save(student.eval(), folder, training=facts, controls=labels.controls)
    loop.forget(folder)
    return student


def is_finished(labels: Labels, architecture: students.Architecture, recipe: Recipe, folder: Path) -> bool:
    """Whether ``folder`` holds the student that :func:`train` would make of the same arguments."""
    return ended(_run(labels, architecture, recipe), folder)


def ended(run: Mapping[str, Any], folder: Path) -> bool:
    """Whether ``folder`` holds the student that ``run`` ends with; a run is what tells it from others, JSON-able."""
    try:
        training = students.read_facts(folder).get("training")
    except UserError:
        return False
    wanted = json.loads(json.dumps(run))
    return isinstance(training, dict) and {key: training.get(key) for key in wanted} == wanted


def native_bfloat16() -> bool:
    """Whether this machine's processor computes in bfloat16, as far as Linux tells."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags)


def _run(labels: Labels, architecture: students.Architecture, recipe: Recipe) -> dict[str, Any]:
    """What tells one training from another."""
    return {"architecture": architecture.name, "labels": labels_digest(labels), "recipe": asdict(recipe)}


def labels_digest(labels: Labels) -> str:
    """What the labels of all splits are, as a digest."""
    return hashlib.sha256("".join(entry.key for entry in labels.split()).encode()).hexdigest()
