"""How much of what an activation did is worth covering with 256 levels: the methods, by name.

A range that is cut makes all its steps finer and clips what lies beyond; the methods weigh the two differently. Which
one wins depends on the network: compare them on its own speech.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError
from compile.quantize.scheme import ACTIVATION_MAX, ACTIVATION_MIN, Affine, affine

SHARES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2)
PERCENT = 99.99  # that "percentile" means without a number

Values = NDArray[np.float32]
Choose = Callable[[Values, float, float], tuple[float, float]]
"""(a fair sample of the values, the least of all, the largest of all) to the ends of the range to cover."""


@dataclass(frozen=True)
class Method:
    """A way to choose ranges, and its name as in ``phiz.toml`` and the manifest."""

    name: str
    choose: Choose


def everything(_values: Values, low: float, high: float) -> tuple[float, float]:
    """All that was seen: nothing is clipped, and one stray peak makes every step coarse."""
    return low, high


def best_range(values: Values, low: float, high: float) -> tuple[float, float]:
    """The part of ``[low, high]`` whose 256 levels represent ``values`` with the least squared error.

    Cutting rare peaks makes all steps finer; the search weighs the two, one end after the other. Source: Sung et al.,
    "Resiliency of Deep Neural Networks under Quantization", 2015, section 3 (L2 minimisation).
    """
    tops = [share * high for share in SHARES] if high > 0 else [high]
    bottoms = [share * low for share in SHARES] if low < 0 else [low]
    top = min(tops, key=lambda end: _squared_error(values, affine(low, end)))
    bottom = min(bottoms, key=lambda end: _squared_error(values, affine(end, top)))
    top = min(tops, key=lambda end: _squared_error(values, affine(bottom, end)))
    return bottom, top


def percentile(percent: float) -> Choose:
    """What lies between the quantiles ``100 - percent`` and ``percent``, in percent, whatever it costs.

    Source: Wu et al., "Integer Quantization for Deep Learning Inference", 2020, section 3.3, at both ends.
    """

    def choose(values: Values, low: float, high: float) -> tuple[float, float]:
        if percent == 100:
            return low, high
        bottom, top = np.quantile(values.astype(np.float64), (1 - percent / 100, percent / 100))
        return float(bottom), float(top)

    return choose


MSE = Method("mse", best_range)
OUTPUT = Method("output", best_range)  # where ``fit.py`` begins
METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (OUTPUT, MSE, Method("min-max", everything), Method("percentile", percentile(PERCENT)))
}


def find(text: str, where: str) -> Method:
    """The method called ``text``; ``percentile 99.9`` is one with its own number.

    Raises:
        UserError: there is none, or the number is no percentage from 50 to 100.
    """
    if text in METHODS:
        return METHODS[text]
    match = re.fullmatch(r"percentile\s+(\d{1,3}(?:\.\d{1,12})?)", text)
    if match is None:
        raise UserError(
            f"unknown method '{text}'", where=where, fix=f"choose from: {', '.join(METHODS)}, percentile 99.9"
        )
    percent = float(match.group(1))
    if not 50 <= percent <= 100:
        raise UserError(f"{match.group(1)} is no percentage from 50 to 100", where=where, fix="percentile 99.99, say")
    return Method(text, percentile(percent))


def _squared_error(values: Values, parameters: Affine) -> float:
    steps = values / parameters.scale  # whose squares float32 holds, whatever the size of the values
    integers = np.clip(np.rint(steps) + parameters.zero_point, ACTIVATION_MIN, ACTIVATION_MAX)
    error = steps - (integers - parameters.zero_point)
    return float(np.dot(error, error)) * parameters.scale**2
