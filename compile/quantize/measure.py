"""Run something on samples, and say how far it is from something else."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from targets.base import Runner

FLOOR = 0.1  # of the mean power: what is quieter counts as this loud
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
    return decibel(noise_to_signal(reference, outputs))


def noise_to_signal(reference: Outputs, outputs: Outputs) -> float:
    """``Σ (reference − output)² / Σ reference²`` over all outputs; 0 when they are equal, inf beside no signal."""
    signal = sum(float(np.sum(np.square(array, dtype=np.float64))) for array in reference.values())
    noise = sum(float(np.sum(np.square(array.astype(np.float64) - outputs[name]))) for name, array in reference.items())
    return noise / signal if signal else math.inf if noise else 0.0


def decibel(ratio: float) -> float:
    """An SQNR in dB from a ratio of noise to signal."""
    if ratio in (0, math.inf):
        return math.inf if ratio == 0 else -math.inf
    return -10 * math.log10(ratio)


def weigh(power: NDArray[np.floating[Any]], mean: float) -> NDArray[np.float32]:
    """How much the error at each position counts: more where it is quiet.

    A loud position hides an error that a quiet one shows, and networks that hear speech mind both: so an error counts
    by its ratio to the power at its position, which never counts as less than ``FLOOR`` of the mean power. All is
    relative to that mean, so that it does not matter how small or large the values are.
    """
    return np.asarray(1 / (power / mean + FLOOR) if mean > 0 else np.ones_like(power), np.float32)
