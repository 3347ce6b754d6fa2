"""How late the face is: where its cross-correlation with the teacher's is highest.

For whole frames ``d`` of up to 300 ms either way, ``r(d)`` correlates ``x(t + d)`` with ``y(t)``, pooled over jaw and
mouth controls (all, where the face has neither) and over utterances, each centred in each utterance. ``t`` leaves out
that much at both ends of an utterance, so that every ``d`` is judged by the same ``y``. A parabola through the highest
``r`` and its neighbours tells the fraction of a frame. Positive: the face is late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from distill.evaluate.base import Case
from distill.evaluate.face import Array, members
from distill.evaluate.phones import FRAME_RATE

REACH = 15  # frames
LAGS = 2 * REACH + 1


class Lag:
    """See the module."""

    size = 2 * LAGS

    def __init__(self, controls: Sequence[str]) -> None:
        self.chosen = members(controls, "mouth") or members(controls, "all")

    def sums(self, case: Case) -> Array:
        """See :class:`distill.evaluate.base.Metric`."""
        core = len(case.theirs) - 2 * REACH
        if core < 2:
            return np.zeros(self.size)
        x, y = (curves[:, self.chosen].astype(np.float64) for curves in (case.ours, case.theirs))
        middle = y[REACH : REACH + core]
        middle = middle - middle.mean(axis=0)
        windows = [x[at : at + core] - x[at : at + core].mean(axis=0) for at in range(LAGS)]
        products = [float((window * middle).sum()) for window in windows]
        return np.array([*products, *(float((window**2).sum()) for window in windows)])

    def figures(self, sums: Array) -> Mapping[str, Array]:
        """See :class:`distill.evaluate.base.Metric`."""
        products, energies = sums[..., :LAGS], sums[..., LAGS:]
        moves = energies > 1e-9
        heights = np.where(moves, products / np.sqrt(np.where(moves, energies, 1.0)), -np.inf)
        best = heights.argmax(axis=-1)
        inner = np.clip(best, 1, LAGS - 2)
        before, peak, after = (
            np.take_along_axis(heights, (inner + step)[..., None], axis=-1)[..., 0] for step in (-1, 0, 1)
        )
        able = np.isfinite(before) & np.isfinite(peak) & np.isfinite(after) & (peak > 0)
        before, peak, after = (np.where(able, height, 0.0) for height in (before, peak, after))
        bend = before - 2 * peak + after
        shift = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, 1.0), 0.0)
        frames = np.where(best == inner, inner + np.clip(shift, -0.5, 0.5), best) - REACH
        return {"lag": np.where(able, 1000 * frames / FRAME_RATE, np.nan)}
