"""Teach a student: one loop, seeded, resumable bit for bit.

All randomness is a function of (seed, step), so a checkpoint needs no random state.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from compile.errors import MissingExtra, UserError
from distill import batches, checkpoint, losses, students
from distill.controls import closure
from distill.labels import Labels

if TYPE_CHECKING:
    from distill.network import Student

CHECKPOINT = "checkpoint.safetensors"
KEEP_EVERY = 20.0  # seconds


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        steps: of the optimizer; the learning rate warms up, then falls along a cosine to zero at the last one.
        batch: sequences a step.
        frames: of output in a sequence (50 a second).
        time_limit: seconds after which the schedule is to have ended; on a slow machine steps are left out. None: no
            limit, and equal inputs give equal students.
        speed: range of playback speeds, which shift pitch and formants alike.
        gain_db: range of the random level.
        noise_db: range of the signal-to-noise ratio, white to brown noise.
        quiet: share of sequences that are noise alone, with a face at rest.
        bfloat16: compute in it where it is safe; twice as fast on processors that know it (:func:`native_bfloat16`).
        checkpoint_every: steps; besides, an interrupted run never loses more than 20 seconds.
    """

    steps: int = 2500
    batch: int = 16
    frames: int = 100
    learning_rate: float = 4e-3
    weight_decay: float = 0.01
    warm_up: int = 100
    seed: int = 0
    time_limit: float | None = None
    speed: tuple[float, float] = (0.82, 1.25)
    gain_db: tuple[float, float] = (-8.0, 6.0)
    noise_db: tuple[float, float] = (15.0, 50.0)
    quiet: float = 0.02
    bfloat16: bool = False
    checkpoint_every: int = 250
    weights: losses.Weights = field(default_factory=losses.Weights)


@dataclass(frozen=True)
class Step:
    """Progress: ``done`` of ``total`` steps, the running mean of the loss, seconds since the start."""

    done: int
    total: int
    loss: float
    seconds: float


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
    mean, deviation = speech.curves.mean(0), speech.curves.std(0)
    active = deviation > 1e-4  # a control that never moves is learnt by its mean alone
    if not active.any():
        raise UserError("nothing moves in any label: it is all silence", where=str(labels.folder), fix="label speech")
    scale = torch.from_numpy(np.where(active, deviation, 1).astype(np.float32))
    shift = torch.from_numpy(mean.astype(np.float32))
    columns = torch.from_numpy(np.flatnonzero(active))

    torch.manual_seed(recipe.seed)
    student = students.build(architecture).train()
    optimizer = torch.optim.AdamW(
        student.parameters(), recipe.learning_rate, betas=(0.9, 0.98), weight_decay=recipe.weight_decay
    )
    run = _run(labels, architecture, recipe)
    path = folder.with_name(f"{folder.name}.training") / CHECKPOINT
    step, before, running = checkpoint.resume(path, run, student, optimizer)
    started, kept = time.monotonic(), before
    while step < recipe.steps:
        elapsed = before + time.monotonic() - started
        done = step / recipe.steps
        if recipe.time_limit is not None:
            done = max(done, elapsed / recipe.time_limit)
        if done >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = (
                recipe.learning_rate * min(1, (step + 1) / recipe.warm_up) * (1 + math.cos(math.pi * done)) / 2
            )
        audio, curves = speech.batch(step, recipe)
        closed = torch.from_numpy(closure(curves, labels.controls)).clamp(0, 1)
        target = ((torch.from_numpy(curves) - shift) / scale)[:, :, columns]
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
            prediction = student.sequence(torch.from_numpy(audio))[:, :, columns]
        value = losses.loss(prediction.float(), target, closed, recipe.weights)
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        step += 1
        latest = float(value.detach())
        running = latest if step == 1 else running + (latest - running) * max(1 / step, 0.02)
        if not math.isfinite(running):
            raise UserError(f"the loss became {latest} at step {step}", fix="lower the learning rate")
        seconds = before + time.monotonic() - started
        if step % recipe.checkpoint_every == 0 or seconds - kept > KEEP_EVERY:
            checkpoint.save(path, run, student, optimizer, (step, seconds, running))
            kept = seconds
        if progress:
            progress(Step(step, recipe.steps, running, seconds))
    destandardise(student, shift, torch.from_numpy(np.where(active, deviation, 0).astype(np.float32)))
    facts = run | {"teacher": labels.teacher, "teacher_version": labels.version, "steps": step, "loss": running}
    students.save(student.eval(), folder, training=facts, controls=labels.controls)
    path.unlink(missing_ok=True)
    if path.parent.is_dir():
        path.parent.rmdir()
    return student


def is_finished(labels: Labels, architecture: students.Architecture, recipe: Recipe, folder: Path) -> bool:
    """Whether ``folder`` holds the student that :func:`train` would make of the same arguments."""
    try:
        training = students.read_facts(folder).get("training")
    except UserError:
        return False
    run = json.loads(json.dumps(_run(labels, architecture, recipe)))
    return isinstance(training, dict) and {key: training.get(key) for key in run} == run


def native_bfloat16() -> bool:
    """Whether this machine's processor computes in bfloat16, as far as Linux tells."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags)


def _run(labels: Labels, architecture: students.Architecture, recipe: Recipe) -> dict[str, object]:
    """What tells one training from another."""
    return {"architecture": architecture.name, "labels": _digest(labels), "recipe": asdict(recipe)}


def _digest(labels: Labels) -> str:
    return hashlib.sha256("".join(entry.key for entry in labels.split()).encode()).hexdigest()
