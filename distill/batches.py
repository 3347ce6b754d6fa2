"""What a training step sees: sequences cut from all speech, augmented; a pure function of (seed, step)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError
from distill.audio import HOP, frame_count
from distill.corpus import TRAIN
from distill.labels import Labels
from distill.students import Architecture

if TYPE_CHECKING:
    from distill.stage import Recipe

GAP = 10  # frames of silence between utterances
STILL = 1e-4  # a control that deviates less does not move


@dataclass(frozen=True)
class Stream:
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

    def spread(self, where: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and standard deviation ``[controls]`` of the curves; the latter 0 for a control that never moves.

        Raises:
            UserError: nothing moves at all; ``where`` names the labels.
        """
        mean, deviation = self.curves.mean(0), self.curves.std(0)
        if not (deviation > STILL).any():
            raise UserError("nothing moves in any label: it is all silence", where=where, fix="label speech")
        return mean.astype(np.float32), np.where(deviation > STILL, deviation, 0).astype(np.float32)

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


def gather(labels: Labels, architecture: Architecture, recipe: Recipe) -> Stream:
    """Read the ``train`` split into one stream, with silence between the pieces.

    Raises:
        UserError: the split is empty, or a label file is missing or damaged.
    """
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
    return Stream(np.concatenate(sounds), np.concatenate(faces), architecture.window, future)
