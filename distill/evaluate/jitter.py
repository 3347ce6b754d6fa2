"""How calm the face is: root mean square of the second difference in time, relative to the teacher's.

Over the controls that the teacher moves, all frames alike. 1 is as calm as the teacher, 0 a still face.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from distill.evaluate.base import MOVES, Case, ratio, variance
from distill.evaluate.face import Array

COUNT, Y, YY, OURS, THEIRS = range(5)
ROWS = 5


class Jitter:
    """See the module."""

    def __init__(self, controls: Sequence[str]) -> None:
        self.width = len(controls)
        self.size = ROWS * self.width

    def sums(self, case: Case) -> Array:
        """See :class:`distill.evaluate.base.Metric`."""
        x, y = case.ours.astype(np.float64), case.theirs.astype(np.float64)
        count = np.full(self.width, float(len(y)))
        bends = ((np.diff(curves, n=2, axis=0) ** 2).sum(axis=0) for curves in (x, y))
        return np.concatenate([count, y.sum(axis=0), (y * y).sum(axis=0), *bends])

    def figures(self, sums: Array) -> Mapping[str, Array]:
        """See :class:`distill.evaluate.base.Metric`."""
        rows = np.moveaxis(sums.reshape(*sums.shape[:-1], ROWS, self.width), -2, 0)
        moving = variance(rows[COUNT], rows[Y], rows[YY]) > MOVES**2
        ours, theirs = (np.where(moving, rows[row], 0.0).sum(-1) for row in (OURS, THEIRS))
        return {"jitter": np.sqrt(ratio(ours, theirs))}
