"""Run something on samples, and say how far it is from something else."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from targets.base import Runner

Outputs = Mapping[str, NDArray[np.float32]]  # output name -> [batches, ...]


def collect(
    runner: Runner, feeds: list[dict[str, NDArray[np.float32]]], progress: Callable[[int, int], None] | None = None
) -> dict[str, NDArray[np.float32]]:
    """Outputs of every feed, stacked along a new first axis."""
    parts: dict[str, list[NDArray[np.float32]]] = {}
    for count, feed in enumerate(feeds, start=1):
        for name, array in runner.run(feed).items():
            parts.setdefault(name, []).append(np.asarray(array, np.float32))
        if progress is not None:
            progress(count, len(feeds))
    return {name: np.stack(arrays) for name, arrays in parts.items()}


def sqnr(reference: Outputs, outputs: Outputs) -> float:
    """``10·log10(Σ reference² / Σ (reference − output)²)`` over all outputs, dB; inf when they are equal."""
    signal = sum(float(np.sum(np.square(array, dtype=np.float64))) for array in reference.values())
    noise = sum(float(np.sum(np.square(array.astype(np.float64) - outputs[name]))) for name, array in reference.items())
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf
