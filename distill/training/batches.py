"""What a training step hears: sequences drawn from labels on disk, augmented; a pure function of (seed, step, row).

A speaker is drawn, then a place in what he says. A sequence that is longer than the rest of its piece goes on, over
silence, into another piece of the same speaker. Decoded pieces stay in a cache of bounded size, which changes nothing
but time. Under DDP every process has its own rows of the same batch.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property, partial
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError
from distill.audio import HOP
from distill.augment import effects, sampling, silence
from distill.augment.effects import Excerpt
from distill.augment.presets import Augmentation
from distill.augment.spectrum import Samples
from distill.labels.cache import Labels
from distill.training.sampler import PCM, Cache, Speaker, distribution
from distill.training.statistics import Survey, survey

if TYPE_CHECKING:
    from distill.rigs import Rig

PAUSE = (8, 30)  # frames of silence between pieces
CONTENT, PLAYBACK, EFFECTS = range(3)  # what is drawn apart, so that one does not change with another
AHEAD = 1  # batches that wait, besides those that are being made


@dataclass(frozen=True)
class Span:
    """How much a sequence holds.

    Attributes:
        frames: of curves.
        past: samples before the first frame's time.
        future: samples from the last frame's time on. Both are the largest of all networks that read the batch.
    """

    frames: int
    past: int
    future: int

    @property
    def samples(self) -> int:
        """Length of a sequence."""
        return self.past + (self.frames - 1) * HOP + self.future


@dataclass(frozen=True)
class Batch:
    """Sequences of one step.

    Attributes:
        audio: ``[batch, samples]``; frame ``k`` is at sample ``past + k * 320``.
        curves: ``[batch, frames, controls]``.
    """

    audio: NDArray[np.float32]
    curves: NDArray[np.float32]


class Speech:
    """Sequences of all training speech.

    Args:
        labels: folders whose ``train`` splits are drawn from; all with the same controls.
        span: of a sequence.
        batch: sequences a step, over all ranks.
        seed: of everything that is drawn.
        augmentation: what happens to speech.
        shares: how often each folder is drawn from; None: by its speakers alone.
        speakers: a speaker is drawn in proportion to minutes to this power: 1 treats all minutes alike, 0 all speakers.
        rank: of this process.
        ranks: how many processes there are; they share the rows of a batch.

    Raises:
        UserError: nothing to train on, folders with different controls, or numbers that do not fit.
    """

    def __init__(
        self,
        labels: Sequence[Labels],
        span: Span,
        *,
        batch: int,
        seed: int,
        augmentation: Augmentation,
        shares: Sequence[float] | None = None,
        speakers: float = 0.5,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        if batch % ranks:
            raise UserError(f"a batch of {batch} sequences cannot be shared by {ranks} processes")
        self.labels, self.span, self.augmentation = tuple(labels), span, augmentation
        self._speakers, self._chances = distribution(labels, shares, speakers)
        self._bounds = np.cumsum(self._chances)[:-1]
        self._seed, self._size = seed, batch
        self._rows = range(batch * rank // ranks, batch * (rank + 1) // ranks)
        self._pieces = Cache()

    def batch(self, step: int) -> Batch:
        """The rows of this rank at one step.

        Raises:
            UserError: a label file is missing or damaged.
        """
        excerpt = cache(partial(self._excerpt, step))  # a row may be heard in the babble behind others, too
        rows = [self._augmented(step, row, excerpt) for row in self._rows]
        return Batch(np.stack([audio for audio, _ in rows]), np.stack([curves for _, curves in rows]))

    def spread(self, rig: Rig | None = None) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and standard deviation ``[controls]`` of what is drawn; the latter 0 for a control that never moves.

        Args:
            rig: of whose controls; None: the labels' own.

        Raises:
            UserError: nothing moves at all, or a label file is missing or damaged.
        """
        found = self.survey if rig is None else survey(self._speakers, self._chances, rig)
        if not found.deviation.any():
            where = ", ".join(str(labels.folder) for labels in self.labels)
            raise UserError("nothing moves in any label: it is all silence", where=where, fix="label speech")
        return found.mean, found.deviation

    @cached_property
    def survey(self) -> Survey:
        """What the labels are like; read from disk once."""
        return survey(self._speakers, self._chances)

    def _excerpt(self, step: int, row: int) -> Excerpt:
        playback = effects.playback(self.augmentation, np.random.default_rng((self._seed, step, row, PLAYBACK)))
        draw = np.random.default_rng((self._seed, step, row, CONTENT))
        speaker = self._speakers[int(np.searchsorted(self._bounds, draw.random(), "right"))]
        first = math.ceil(playback.speed * self.span.past / HOP)  # so that the first frame's time is one of the labels
        place = first * HOP - playback.speed * self.span.past
        frames = math.ceil((place + playback.speed * self.span.samples) / HOP) + 2
        tape, curves, loudness = self._tape(speaker, frames, playback.absolute, draw)
        audio = sampling.read(tape, playback.speed, self.span.samples, place)
        return Excerpt(audio, sampling.read(curves, playback.speed, self.span.frames, first), loudness, playback)

    def _augmented(self, step: int, row: int, excerpt: Callable[[int], Excerpt]) -> tuple[Samples, NDArray[np.float32]]:
        draw = np.random.default_rng((self._seed, step, row, EFFECTS))
        behind = [partial(_audio, excerpt, other) for other in range(self._size) if other != row]
        return effects.apply(excerpt(row), self.survey.rest, self.span.past, behind, self.augmentation, draw)

    def _tape(
        self, speaker: Speaker, frames: int, absolute: bool, draw: np.random.Generator
    ) -> tuple[Samples, NDArray[np.float32], float]:
        """What a speaker says: audio [frames * 320], curves [frames, controls], the level of the first piece.

        With ``absolute``, every piece is brought to level 1.
        """
        audio = np.zeros(frames * HOP, np.float32)
        curves = np.repeat(self.survey.rest[None], frames, axis=0)
        entry, start = speaker.anywhere(draw)
        at, loudness = 0, 0.0
        while at < frames:
            piece = self._pieces.piece(speaker.labels, entry)
            end = min(at + len(piece.curves) - start, frames)
            sound = piece.audio[start * HOP :][: (end - at) * HOP]
            np.multiply(sound, PCM / piece.level if absolute else PCM, out=audio[at * HOP : end * HOP])
            curves[at:end] = piece.curves[start : start + end - at]
            silence.ease(curves[end:], curves[end - 1])
            loudness = loudness or (1.0 if absolute else piece.level)
            at = end + int(draw.integers(*PAUSE))
            entry, start = speaker.any(draw), 0
        return audio, curves, loudness


def _audio(excerpt: Callable[[int], Excerpt], row: int) -> Samples:
    return excerpt(row).audio


def prefetch(speech: Speech, steps: Iterable[int]) -> Generator[Batch]:
    """The batches of ``steps`` in order, made by other threads while they are being used.

    The threads end with the last one, with an error, which comes out here, and when the generator is closed.
    """
    todo, count = iter(steps), threads()
    _ = speech.survey  # before they all want it
    with ThreadPoolExecutor(count, "speech") as pool:
        try:
            coming = deque(pool.submit(speech.batch, step) for step in islice(todo, count + AHEAD))
            while coming:
                batch = coming.popleft().result()
                coming.extend(pool.submit(speech.batch, step) for step in islice(todo, 1))
                yield batch
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def threads() -> int:
    """How many make batches: a quarter of the processors, since the network wants the others, and at most 8."""
    return min(max((os.cpu_count() or 1) // 4, 1), 8)
