"""What a metric is: a vector of sums over an utterance, and figures from any sum of such vectors.

So a corpus of any length takes no more memory than an utterance, a speaker's figures come from the same sums as the
whole corpus', and so do those of its bootstrap resamples (:mod:`distill.evaluate.bootstrap`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from distill.corpus.espeak import Phone
from distill.evaluate.face import Array

MOVES = 1e-3  # a control whose standard deviation is larger moves


@dataclass(frozen=True)
class Case:
    """One utterance: what was predicted, what the teacher says, and the truth as far as it is known.

    Attributes:
        ours: ``[frames, controls]`` at 50 Hz.
        theirs: the teacher's, alike.
        phones: with times, or None.
    """

    ours: NDArray[np.float32]
    theirs: NDArray[np.float32]
    phones: Sequence[Phone] | None = None


class Metric(Protocol):
    """Figures that come from the same sums; made for the names of a face's controls."""

    size: int

    def sums(self, case: Case) -> Array:
        """``[size]`` of one utterance; sums of utterances add up."""
        ...

    def figures(self, sums: Array) -> Mapping[str, Array]:
        """Figures by name, each ``[...]`` for ``sums`` [..., size]; NaN where there is nothing to measure."""
        ...


def ratio(part: Array, whole: Array) -> Array:
    """``part / whole``; NaN where the whole is nothing."""
    positive = np.asarray(whole) > 0
    return np.where(positive, part / np.where(positive, whole, 1.0), np.nan)


def variance(count: Array, total: Array, squares: Array) -> Array:
    """Variance from sums, never below 0; 0 where there is nothing."""
    some = np.maximum(count, 1.0)
    return np.asarray(np.maximum(squares / some - (total / some) ** 2, 0.0))
