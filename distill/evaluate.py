"""How well a face speaks: closed lips on /p b m/, fit to the teacher, and calm.

The same code judges teachers, float students and compiled artefacts: anything that maps audio to curves.

Definitions:

- **Closure measure** of a frame: ``mouthClose`` plus the mean of the two ``mouthPress`` (``controls.closure``).
- **Truth**: each /p b m/ with its phone times is an event; events closer than 60 ms are one (lips do not open between).
- **Closure**: a run of frames whose measure is at least the threshold (0.4).
- A closure *hits* an event when its middle lies within the event's span widened by 40 ms on both sides; each closure
  hits at most one event and each event is hit at most once. **Recall** is hit events over events; **precision**
  is hitting closures over closures. So lips that never open (one closure an utterance) score low in recall, and lips
  that never close score 0.
- **Depth**: mean of the highest measure within each event's widened span, relative to the teacher's.
- **R2**: ``1 - SSE / SST`` against the teacher over all frames, each control that moves counting alike.
- **Jitter**: root mean square of the second difference in time over controls that move, relative to the teacher's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError
from distill.audio import HOP, SAMPLE_RATE
from distill.controls import ARKIT, closure
from distill.espeak import Phone
from distill.teachers.base import Teacher, Utterance
from distill.teachers.visemes import letters

FRAME_RATE = SAMPLE_RATE / HOP
THRESHOLD = 0.4
TOLERANCE = 0.04  # seconds
MERGE = 0.06  # seconds
BILABIALS = frozenset("pbm")
MOVES = 1e-3  # a control whose standard deviation is larger moves

Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Mono float32 audio [time] at 16 kHz to curves ``[frames, controls]`` at 50 Hz."""


@dataclass(frozen=True)
class Closures:
    """Counts of events, closures and hits; sums over utterances add up."""

    events: int = 0
    closures: int = 0
    hits: int = 0

    def __add__(self, other: Closures) -> Closures:
        return Closures(self.events + other.events, self.closures + other.closures, self.hits + other.hits)

    @property
    def recall(self) -> float:
        """Hit events over events; 0 where there is none."""
        return self.hits / self.events if self.events else 0.0

    @property
    def precision(self) -> float:
        """Hitting closures over closures; 0 where there is none."""
        return self.hits / self.closures if self.closures else 0.0


@dataclass(frozen=True)
class Report:
    """One predictor judged; ``r2``, ``jitter`` and ``depth`` are relative to the teacher (itself: 1, 1, 1)."""

    closures: Closures
    r2: float
    jitter: float
    depth: float


def closures(
    curves: NDArray[np.float32],
    phones: Iterable[Phone],
    threshold: float = THRESHOLD,
    controls: Sequence[str] = ARKIT,
) -> Closures:
    """Match closures of the lips in ``curves`` [frames, 52] at 50 Hz with the /p b m/ in ``phones``."""
    truth = events(phones)
    middles = [(first + last - 1) / 2 / FRAME_RATE for first, last in _runs(closure(curves, controls) >= threshold)]
    hits, next_event = 0, 0
    for middle in middles:  # both in order of time, so the first event that fits is the right one
        while next_event < len(truth) and truth[next_event][1] + TOLERANCE < middle:
            next_event += 1
        if next_event < len(truth) and truth[next_event][0] - TOLERANCE <= middle:
            hits += 1
            next_event += 1
    return Closures(len(truth), len(middles), hits)


def events(phones: Iterable[Phone]) -> list[tuple[float, float]]:
    """Spans (start, end) in seconds in which /p b m/ close the lips, neighbours merged."""
    spans: list[tuple[float, float]] = []
    for phone in phones:
        if not BILABIALS.intersection(letters(phone.symbol)):
            continue
        if spans and phone.start - spans[-1][1] < MERGE:
            spans[-1] = (spans[-1][0], phone.end)
        else:
            spans.append((phone.start, phone.end))
    return spans


def evaluate(
    predict: Predict, teacher: Teacher, speech: Sequence[Utterance], threshold: float = THRESHOLD
) -> tuple[Report, Report]:
    """Judge a predictor, and its teacher by the same measure, on speech with known phone times.

    Args:
        predict: audio to curves.
        teacher: the reference.
        speech: utterances that ``predict`` never learnt from.
        threshold: of the closure measure.

    Returns:
        (the predictor's report, the teacher's).

    Raises:
        UserError: there is no speech, its phone times are unknown, or ``predict`` returns another shape.
    """
    reference = [teacher.curves(item) for item in speech]
    return (
        judge([predict(item.audio) for item in speech], reference, speech, teacher.controls, threshold),
        judge(reference, reference, speech, teacher.controls, threshold),
    )


def judge(
    curves: Sequence[NDArray[np.float32]],
    reference: Sequence[NDArray[np.float32]],
    speech: Sequence[Utterance],
    controls: Sequence[str] = ARKIT,
    threshold: float = THRESHOLD,
) -> Report:
    """Compare curves with a reference's, both ``[frames, controls]`` an utterance; raises as :func:`evaluate`."""
    if not speech:
        raise UserError("there is no speech to evaluate on")
    counts = Closures()
    depths: list[tuple[float, float]] = []
    for ours, theirs, item in zip(curves, reference, speech, strict=True):
        if item.phones is None:
            raise UserError("closures can only be judged on speech with known phone times")
        if ours.shape != theirs.shape:
            raise UserError(f"the predictor gave {list(ours.shape)}; the teacher {list(theirs.shape)}")
        counts += closures(ours, item.phones, threshold, controls)
        depths += [
            (float(closure(ours, controls)[span].max()), float(closure(theirs, controls)[span].max()))
            for span in (_span(event, len(ours)) for event in events(item.phones))
        ]
    moving = np.concatenate(reference).std(axis=0) > MOVES
    depth = np.mean(depths, axis=0) if depths else (0.0, 0.0)
    return Report(
        closures=counts,
        r2=fit(curves, reference),
        jitter=_ratio(_jitter(curves, moving), _jitter(reference, moving)),
        depth=_ratio(float(depth[0]), float(depth[1])),
    )


def fit(curves: Sequence[NDArray[np.float32]], reference: Sequence[NDArray[np.float32]]) -> float:
    """R2 of curves against a reference's, both ``[frames, controls]`` an utterance; 0 where nothing moves."""
    ours, theirs = np.concatenate(curves), np.concatenate(reference)
    moving = theirs.std(axis=0) > MOVES
    shares = np.mean((ours - theirs)[:, moving] ** 2, axis=0) / np.var(theirs[:, moving], axis=0)
    return float(1 - shares.mean()) if moving.any() else 0.0


def _span(event: tuple[float, float], count: int) -> slice:
    """Frames within an event's span and tolerance; at least one."""
    first = min(max(round((event[0] - TOLERANCE) * FRAME_RATE), 0), count - 1)
    return slice(first, max(min(round((event[1] + TOLERANCE) * FRAME_RATE) + 1, count), first + 1))


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Half-open spans of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def _jitter(curves: Sequence[NDArray[np.float32]], moving: NDArray[np.bool_]) -> float:
    bends = [np.diff(item[:, moving], n=2, axis=0).ravel() for item in curves]
    return float(np.sqrt(np.mean(np.concatenate(bends) ** 2))) if moving.any() else 0.0


def _ratio(ours: float, theirs: float) -> float:
    return ours / theirs if theirs else 0.0
