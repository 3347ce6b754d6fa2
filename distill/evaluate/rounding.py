"""Rounded lips on /u o w/.

- **Rounding measure** of a frame: ``mouthPucker + mouthFunnel``; of a phone: its mean over the phone's frames.
- **recall**: rounded phones (u ʊ ʉ w o ɔ) that reach 0.4, over all of them.
- **depth**: mean measure of rounded phones, relative to the teacher's.
- **contrast**: mean measure of rounded phones less that of unrounded vowels (a e i … ə), relative to the teacher's:
  lips that are always round have depth, but no contrast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from distill.evaluate.base import Case, ratio
from distill.evaluate.face import ROUNDING, Array, has, measured
from distill.evaluate.phones import ROUNDED, UNROUNDED, frames_of, spans_of

THRESHOLD = 0.4

ROUND, HITS, OURS, THEIRS, OTHERS, OURS_THERE, THEIRS_THERE = range(7)


class Rounding:
    """See the module."""

    size = 7

    def __init__(self, controls: Sequence[str]) -> None:
        self.controls = tuple(controls)
        self.able = has(controls, ROUNDING)

    def sums(self, case: Case) -> Array:
        """See :class:`distill.evaluate.base.Metric`."""
        total = np.zeros(self.size)
        if case.phones is None or not self.able:
            return total
        ours, theirs = (measured(curves, self.controls, ROUNDING) for curves in (case.ours, case.theirs))
        for wanted, without, count, mine, other in (
            (ROUNDED, frozenset(), ROUND, OURS, THEIRS),
            (UNROUNDED, ROUNDED, OTHERS, OURS_THERE, THEIRS_THERE),  # aʊ becomes round: it is no unrounded vowel
        ):
            for span in spans_of(case.phones, wanted, without):
                within = frames_of(span, len(ours))
                total[count] += 1
                total[mine] += ours[within].mean()
                total[other] += theirs[within].mean()
                if wanted is ROUNDED:
                    total[HITS] += ours[within].mean() >= THRESHOLD
        return total

    def figures(self, sums: Array) -> Mapping[str, Array]:
        """See :class:`distill.evaluate.base.Metric`."""
        rows = np.moveaxis(sums, -1, 0)
        ours, theirs = (
            ratio(rows[there], rows[ROUND]) - ratio(rows[elsewhere], rows[OTHERS])
            for there, elsewhere in ((OURS, OURS_THERE), (THEIRS, THEIRS_THERE))
        )
        return {
            "rounding.recall": ratio(rows[HITS], rows[ROUND]),
            "rounding.depth": ratio(rows[OURS], rows[THEIRS]),
            "rounding.contrast": ratio(ours, theirs),
        }
