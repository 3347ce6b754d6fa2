"""All metrics as one: their sums end to end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from distill.evaluate.agreement import Agreement
from distill.evaluate.base import Case, Metric
from distill.evaluate.closures import Closures
from distill.evaluate.face import Array
from distill.evaluate.jitter import Jitter
from distill.evaluate.lag import Lag
from distill.evaluate.rounding import Rounding

OTHERS: tuple[Callable[[Sequence[str]], Metric], ...] = (Closures, Rounding, Jitter, Lag)


class Metrics:
    """Every metric, for one face's controls."""

    def __init__(self, controls: Sequence[str]) -> None:
        self.controls = tuple(controls)
        self.agreement = Agreement(controls)
        self.metrics: list[Metric] = [self.agreement, *(make(controls) for make in OTHERS)]
        self.size = sum(metric.size for metric in self.metrics)

    def sums(self, case: Case) -> Array:
        """``[size]`` of one utterance."""
        return np.concatenate([metric.sums(case) for metric in self.metrics])

    def agreement_sums(self, sums: Array) -> Array:
        """The part of ``sums`` [size] that is :class:`distill.evaluate.agreement.Agreement`'s: the first."""
        return sums[: self.agreement.size]

    def figures(self, sums: Array) -> dict[str, Array]:
        """Every figure, ``[...]`` for ``sums`` [..., size]."""
        found: dict[str, Array] = {}
        at = 0
        for metric in self.metrics:
            found |= metric.figures(sums[..., at : at + metric.size])
            at += metric.size
        return found
