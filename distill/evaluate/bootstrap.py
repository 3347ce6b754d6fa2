"""Sums of a whole corpus, and of resamples of it, for intervals that keep people from reading noise.

A Poisson bootstrap over utterances (Chamandy and others, *Estimating uncertainty for massive data streams*, 2012): in
each resample, an utterance counts as often as a Poisson number of mean 1 says. The number comes from the utterance's
name, so equal corpora have equal intervals in any order, and no utterance is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from distill.evaluate.face import Array

RESAMPLES = 200
CONFIDENCE = 0.95
FEWEST = 3  # utterances that an interval takes


@dataclass(frozen=True)
class Figure:
    """A figure, None where it could not be measured, and its 95 % interval where that is known."""

    value: float | None
    low: float | None = None
    high: float | None = None


class Tally:
    """Sums of vectors ``[size]``: the plain one in row 0, the resampled ones below; without resamples, row 0 alone."""

    def __init__(self, size: int, resamples: int = 0) -> None:
        self.utterances = 0
        self._sums = np.zeros((1 + resamples, size))

    @property
    def sums(self) -> Array:
        """The plain sums, ``[size]``."""
        return np.asarray(self._sums[0])

    def add(self, sums: Array, name: str) -> None:
        """Count one utterance, whose ``name`` is its own."""
        self.utterances += 1
        self._sums[0] += sums
        if len(self._sums) > 1:
            self._sums[1:] += draw(name, len(self._sums) - 1)[:, None] * sums

    def figures(self, metrics: Callable[[Array], Mapping[str, Array]]) -> dict[str, Figure]:
        """Figures with intervals: percentiles of what ``metrics`` says about the resamples."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return {name: self._figure(values) for name, values in metrics(self._sums).items()}

    def _figure(self, values: Array) -> Figure:
        value = float(values[0])
        if not np.isfinite(value):
            return Figure(None)
        resampled = values[1:][np.isfinite(values[1:])]
        if self.utterances < FEWEST or len(resampled) < max(2, len(values) // 2):
            return Figure(value)
        rest = 100 * (1 - CONFIDENCE) / 2
        low, high = np.percentile(resampled, (rest, 100 - rest))
        return Figure(value, float(low), float(high))


def draw(name: str, resamples: int) -> Array:
    """How often an utterance counts in each resample."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).poisson(1.0, resamples).astype(np.float64)
