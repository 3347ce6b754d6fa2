"""Closed lips on /p b m/: whether, when, how needlessly, and how far.

- **Closure measure** of a frame: ``mouthClose`` plus the mean of the two ``mouthPress``.
- **Event**: a /p b m/ with its times; events closer than 60 ms are one (lips do not open between).
- **Closure**: a run of frames whose measure is at least 0.4; its *middle* is its mean time.
- A closure *hits* an event when its middle lies within the event's span widened by 40 ms on both sides; each closure
  hits at most one event and each event is hit at most once.
- **recall**: hit events over events; **precision**: hitting closures over closures; **F1**: their harmonic mean. Lips
  that never open (one closure an utterance) score low in recall, and lips that never close score 0 in all.
- **timing**: mean distance, in milliseconds, between the middles of a closure and of the event that it hits;
  **bias**: the same with its sign, positive where lips are late. Neither can be more than the tolerance, plus half a
  span.
- **depth**: mean of the highest measure within each event's widened span, relative to the teacher's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distill.controls import ARKIT
from distill.corpus.espeak import Phone
from distill.evaluate.base import Case, ratio
from distill.evaluate.face import CLOSURE, Array, has, measured
from distill.evaluate.phones import FRAME_RATE, Span, events, frames_of

THRESHOLD = 0.4
TOLERANCE = 0.04  # seconds

EVENTS, SHUT, HITS, AWAY, LATE, OURS, THEIRS = range(7)


@dataclass(frozen=True)
class Match:
    """Closures held against events: counts, and for each hit how late the closure is, in seconds."""

    events: int
    closures: int
    late: tuple[float, ...]

    @property
    def hits(self) -> int:
        """Closures that hit an event."""
        return len(self.late)


class Closures:
    """See the module."""

    size = 7

    def __init__(self, controls: Sequence[str]) -> None:
        self.controls = tuple(controls)
        self.able = has(controls, CLOSURE)

    def sums(self, case: Case) -> Array:
        """See :class:`distill.evaluate.base.Metric`."""
        total = np.zeros(self.size)
        if case.phones is None or not self.able:
            return total
        ours, theirs = (measured(curves, self.controls, CLOSURE) for curves in (case.ours, case.theirs))
        found = match(middles(ours), events(case.phones))
        total[EVENTS], total[SHUT], total[HITS] = found.events, found.closures, found.hits
        total[AWAY], total[LATE] = sum(map(abs, found.late)), sum(found.late)
        for event in events(case.phones):
            within = frames_of(event, len(ours), TOLERANCE)
            total[OURS] += ours[within].max()
            total[THEIRS] += theirs[within].max()
        return total

    def figures(self, sums: Array) -> Mapping[str, Array]:
        """See :class:`distill.evaluate.base.Metric`."""
        rows = np.moveaxis(sums, -1, 0)
        some = rows[EVENTS] > 0
        return {
            "closure.recall": ratio(rows[HITS], rows[EVENTS]),
            "closure.precision": np.where(some, np.nan_to_num(ratio(rows[HITS], rows[SHUT])), np.nan),
            "closure.f1": np.where(some, ratio(2 * rows[HITS], rows[EVENTS] + rows[SHUT]), np.nan),
            "closure.timing": 1000 * ratio(rows[AWAY], rows[HITS]),
            "closure.bias": 1000 * ratio(rows[LATE], rows[HITS]),
            "closure.depth": ratio(rows[OURS], rows[THEIRS]),
        }


def match(times: Sequence[float], truth: Sequence[Span]) -> Match:
    """Match the middles of closures, in seconds, with events, both in order of time."""
    late: list[float] = []
    next_event = 0
    for middle in times:
        while next_event < len(truth) and truth[next_event][1] + TOLERANCE < middle:
            next_event += 1
        if next_event < len(truth) and truth[next_event][0] - TOLERANCE <= middle:
            late.append(middle - sum(truth[next_event]) / 2)
            next_event += 1
    return Match(len(truth), len(times), tuple(late))


def closures(curves: NDArray[np.float32], phones: Iterable[Phone], controls: Sequence[str] = ARKIT) -> Match:
    """Match closures of the lips in ``curves`` [frames, controls] at 50 Hz with the /p b m/ in ``phones``."""
    return match(middles(measured(curves, controls, CLOSURE)), events(phones))


def middles(measure: Array) -> list[float]:
    """The middle of each closure, in seconds, in a measure ``[frames]`` at 50 Hz."""
    shut = np.concatenate(([False], measure >= THRESHOLD, [False]))
    edges = np.flatnonzero(np.diff(shut.astype(np.int8)))
    return [float(first + last - 1) / 2 / FRAME_RATE for first, last in edges.reshape(-1, 2)]
