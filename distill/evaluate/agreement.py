"""How near the curves are to the teacher's: error, correlation, error of velocity, and R2.

With ``x`` ours, ``y`` the teacher's, over all frames of all utterances:

- **error** of a group: root mean square of ``x - y`` over its controls.
- **correlation** of a group: Pearson's, control by control, averaged over those that the teacher moves; a control that
  we never move counts 0.
- **velocity error** of a group: ``sqrt(sum((dx - dy)^2) / sum(dy^2))``, ``d`` the difference of neighbouring frames:
  0 is perfect, 1 is what a still face gets.
- **R2**: ``1 - SSE / SST`` averaged over all controls that the teacher moves, so that small ones count like large ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from distill.evaluate.base import MOVES, Case, ratio, variance
from distill.evaluate.face import GROUPS, Array, members

# Rows of the sums, one value a control.
COUNT, STEPS, X, Y, XX, YY, XY, EE, VV, DYDY = range(10)
ROWS = 10


class Agreement:
    """See the module."""

    def __init__(self, controls: Sequence[str]) -> None:
        self.width = len(controls)
        self.size = ROWS * self.width
        self.groups = {name: found for name in GROUPS if (found := members(controls, name))}

    def sums(self, case: Case) -> Array:
        """See :class:`distill.evaluate.base.Metric`."""
        x, y = case.ours.astype(np.float64), case.theirs.astype(np.float64)
        dx, dy = np.diff(x, axis=0), np.diff(y, axis=0)
        counts = [np.full(self.width, float(len(item))) for item in (x, dx)]
        rows = [
            *counts,
            *(item.sum(axis=0) for item in (x, y, x * x, y * y, x * y, (x - y) ** 2, (dx - dy) ** 2, dy**2)),
        ]
        return np.concatenate(rows)

    def figures(self, sums: Array) -> Mapping[str, Array]:
        """See :class:`distill.evaluate.base.Metric`."""
        rows = np.moveaxis(sums.reshape(*sums.shape[:-1], ROWS, self.width), -2, 0)
        count = rows[COUNT]
        spread = variance(count, rows[Y], rows[YY])
        own = variance(count, rows[X], rows[XX])
        some = np.maximum(count, 1.0)
        covariance = rows[XY] / some - rows[X] / some * (rows[Y] / some)
        moving = spread > MOVES**2
        scale = np.sqrt(own * spread)
        correlation = np.where(own > 1e-12, covariance / np.where(scale > 0, scale, 1.0), 0.0)
        share = rows[EE] / np.where(moving, spread * some, 1.0)
        found = {"r2": 1 - _mean(share, moving)}
        for name, at in self.groups.items():
            found[f"error.{name}"] = np.sqrt(ratio(rows[EE][..., at].sum(-1), count[..., at].sum(-1)))
            found[f"correlation.{name}"] = _mean(correlation[..., at], moving[..., at])
            velocity = ratio(rows[VV][..., at].sum(-1), rows[DYDY][..., at].sum(-1))
            found[f"velocity.{name}"] = np.sqrt(velocity)
        return found


def teacher_speed(sums: Array, width: int) -> float:
    """Root mean square speed of the teacher's whole face, controls a frame, from sums ``[size]`` of its agreement."""
    rows = sums.reshape(ROWS, width)
    return float(np.sqrt(rows[DYDY].sum() / max(rows[STEPS].max(), 1.0)))


def fit(curves: Sequence[NDArray[np.float32]], reference: Sequence[NDArray[np.float32]]) -> float:
    """R2 of curves against a reference's, both ``[frames, controls]`` an utterance; 0 where nothing moves."""
    metric = Agreement([""] * reference[0].shape[1])
    total = np.sum([metric.sums(Case(*pair)) for pair in zip(curves, reference, strict=True)], axis=0)
    return float(np.nan_to_num(metric.figures(total)["r2"]))


def _mean(values: Array, chosen: NDArray[np.bool_]) -> Array:
    """Mean of the chosen along the last axis; NaN where none is."""
    return ratio(np.where(chosen, values, 0.0).sum(-1), chosen.sum(-1).astype(np.float64))
