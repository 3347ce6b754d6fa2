"""Teach a student: one loop, seeded, resumable bit for bit.

All randomness is a function of (seed, step), so a checkpoint needs no random state: weights, optimizer and step are all.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from compile.errors import MissingExtra, UserError
from compile.files import write_atomically
from distill import losses, students
from distill.audio import HOP, frame_count
from distill.controls import closure
from distill.corpus import TRAIN
from distill.labels import Labels

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from distill.network import Student

CHECKPOINT = "checkpoint.safetensors"
GAP = 10  # frames of silence between utterances


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
        checkpoint_every: steps.
    """

    steps: int = 2500
    batch: int = 16
    frames: int = 100
    learning_rate: float = 4e-3
    weight_decay: float = 0.01
    warm_up: int = 100
    seed: int = 0
    time_limit: float | None = None
    speed: tuple[float, float] = (0.85, 1.18)
    gain_db: tuple[float, float] = (-8.0, 6.0)
    noise_db: tuple[float, float] = (15.0, 50.0)
    quiet: float = 0.02
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

    Args:
        labels: by any teacher; their controls become the student's.
        architecture: with as many outputs as the labels have controls.
        recipe: see :class:`Recipe`.
        folder: of the finished student; until then ``<folder>.training`` holds the checkpoint.
        progress: called after every step.

    Returns:
        The student in evaluation mode, speaking in the controls' own units, as saved.

    Raises:
        UserError: nothing to train on, or the checkpoint belongs to another run.
        MissingExtra: torch is not installed.
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        raise MissingExtra("training", "torch", "torch") from error
    from distill.network import destandardise

    if len(labels.controls) != architecture.outputs:
        raise UserError(f"the labels have {len(labels.controls)} controls, the student {architecture.outputs}")
    speech = _stream(labels, architecture, recipe)
    mean, deviation = speech.curves.mean(0), speech.curves.std(0)
    active = deviation > 1e-4  # a control that never moves is learnt by its mean alone
    scale = torch.from_numpy(np.where(active, deviation, 1).astype(np.float32))
    shift = torch.from_numpy(mean.astype(np.float32))
    columns = torch.from_numpy(np.flatnonzero(active))

    torch.manual_seed(recipe.seed)
    student = students.build(architecture).train()
    optimizer = torch.optim.AdamW(
        student.parameters(), recipe.learning_rate, betas=(0.9, 0.98), weight_decay=recipe.weight_decay
    )
    run = {"architecture": architecture.name, "labels": _digest(labels), "recipe": asdict(recipe)}
    checkpoint = folder.with_name(f"{folder.name}.training") / CHECKPOINT
    step, before, running = _resume(checkpoint, run, student, optimizer)
    started = time.monotonic()
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
        prediction = student.sequence(torch.from_numpy(audio))[:, :, columns]
        value = losses.loss(prediction, target, closed, recipe.weights)
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        step += 1
        latest = float(value.detach())
        running = latest if step == 1 else running + (latest - running) * max(1 / step, 0.02)
        if not math.isfinite(running):
            raise UserError(f"the loss became {latest} at step {step}", fix="lower the learning rate")
        if step % recipe.checkpoint_every == 0:
            _save(checkpoint, run, student, optimizer, (step, before + time.monotonic() - started, running))
        if progress:
            progress(Step(step, recipe.steps, running, before + time.monotonic() - started))
    destandardise(student, shift, torch.from_numpy(np.where(active, deviation, 0).astype(np.float32)))
    facts = run | {"teacher": labels.teacher, "teacher_version": labels.version, "steps": step, "loss": running}
    students.save(student.eval(), folder, training=facts, controls=labels.controls)
    checkpoint.unlink(missing_ok=True)
    if checkpoint.parent.is_dir():
        checkpoint.parent.rmdir()
    return student


@dataclass(frozen=True)
class _Stream:
    """All training speech end to end: ``audio`` int16 with silence around it, ``curves`` [frames, controls]."""

    audio: NDArray[np.int16]
    curves: NDArray[np.float32]
    window: int
    look_ahead: int

    def batch(self, step: int, recipe: Recipe) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """``audio`` [batch, samples] and ``curves`` [batch, frames, controls] of one step, augmented."""
        draw = np.random.default_rng((recipe.seed, step))
        speeds = draw.uniform(*recipe.speed, recipe.batch)
        longest = math.ceil(recipe.frames * recipe.speed[1]) + 1
        starts = draw.integers(0, max(1, len(self.curves) - longest), recipe.batch)
        pairs = [
            self._cut(int(start), float(speed), recipe.frames) for start, speed in zip(starts, speeds, strict=True)
        ]
        return _augment(np.stack([audio for audio, _ in pairs]), np.stack([faces for _, faces in pairs]), recipe, draw)

    def _cut(self, start: int, speed: float, frames: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """One sequence from frame ``start``, played ``speed`` times as fast: other pitch, other vocal tract."""
        past = self.window - self.look_ahead
        middle = past + start * HOP  # of the first window, in the stream
        places = middle + speed * np.arange(-past, self.look_ahead + (frames - 1) * HOP)
        first = max(math.floor(places[0]), 0)
        piece = self.audio[first : math.ceil(places[-1]) + 2].astype(np.float32) / 32767
        audio = np.interp(places - first, np.arange(len(piece)), piece)
        times = start + speed * np.arange(frames)
        floor = np.minimum(times.astype(np.int64), len(self.curves) - 2)
        share = np.clip(times - floor, 0, 1)[:, None]
        curves = (1 - share) * self.curves[floor] + share * self.curves[floor + 1]
        return audio.astype(np.float32), curves.astype(np.float32)


def _augment(
    audio: NDArray[np.float32], curves: NDArray[np.float32], recipe: Recipe, draw: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Other levels, other microphones (spectral tilt), noise, and noise alone; one draw a sequence."""
    count = len(audio)
    tilt = draw.uniform(-0.4, 0.4, (count, 1)).astype(np.float32)
    audio[:, 1:] += tilt * audio[:, :-1]
    gain = 10 ** (draw.uniform(*recipe.gain_db, (count, 1)) / 20)
    noise = draw.standard_normal(audio.shape, dtype=np.float32)
    noise[:, 1:] += draw.uniform(-0.5, 0.9, (count, 1)).astype(np.float32) * noise[:, :-1]
    level = np.sqrt(np.mean(audio**2, axis=1, keepdims=True)) + 1e-4
    noise *= level * 10 ** (-draw.uniform(*recipe.noise_db, (count, 1)) / 20)
    quiet = draw.random(count) < recipe.quiet
    audio[quiet] = 0
    curves[quiet] = 0
    return ((audio + noise) * gain).astype(np.float32), curves


def _stream(labels: Labels, architecture: students.Architecture, recipe: Recipe) -> _Stream:
    entries = labels.split(TRAIN)
    if not entries:
        raise UserError("nothing to train on: no label is in the split 'train'", where=str(labels.folder))
    past, future = architecture.window - architecture.look_ahead, architecture.look_ahead
    sounds: list[NDArray[np.int16]] = [np.zeros(past, np.int16)]
    faces: list[NDArray[np.float32]] = []
    rest = np.zeros((GAP, len(labels.controls)), np.float32)
    for entry in entries:
        audio, curves = labels.arrays(entry)
        frames = frame_count(len(audio))
        sounds += [audio, np.zeros((frames + GAP) * HOP - len(audio), np.int16)]
        faces += [curves, rest]
    short = math.ceil(recipe.frames * recipe.speed[1]) + 2 - sum(len(face) for face in faces)
    if short > 0:
        faces.append(np.zeros((short, len(labels.controls)), np.float32))
        sounds.append(np.zeros(short * HOP, np.int16))
    sounds.append(np.zeros(future, np.int16))
    return _Stream(np.concatenate(sounds), np.concatenate(faces), architecture.window, future)


def _digest(labels: Labels) -> str:
    import hashlib

    return hashlib.sha256("".join(entry.key for entry in labels.split(TRAIN)).encode()).hexdigest()


def _save(
    path: Path, run: Mapping[str, Any], student: Student, optimizer: torch.optim.Optimizer, at: tuple[int, float, float]
) -> None:
    from safetensors.torch import save

    tensors = {f"student.{name}": tensor for name, tensor in student.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in state.items()}
    facts = {"run": json.dumps(run, sort_keys=True), "at": json.dumps(at)}
    write_atomically(path, save(tensors, metadata=facts))


def _resume(
    path: Path, run: Mapping[str, Any], student: Student, optimizer: torch.optim.Optimizer
) -> tuple[int, float, float]:
    """Load a checkpoint of the same run into student and optimizer: (step, seconds, running loss), zeros if none."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return 0, 0.0, 0.0
    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata()
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dict)
        same = facts["run"] == json.dumps(run, sort_keys=True)
        step, seconds, running = json.loads(facts["at"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"not a checkpoint: {error}", where=str(path), fix="delete it to start again") from error
    if not same:
        raise UserError(
            "the checkpoint is of another run: architecture, labels or recipe differ",
            where=str(path),
            fix="delete it to start again, or give another output folder",
        )
    student.load_state_dict({name[8:]: tensor for name, tensor in tensors.items() if name.startswith("student.")})
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".")
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return int(step), float(seconds), float(running)
