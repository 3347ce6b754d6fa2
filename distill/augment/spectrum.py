"""Spectra in float32, and the grid of frequencies that responses are drawn on.

numpy computes a forward FFT of float32 in double precision unless it scales the result, so every transform here has the
scaling at the forward side: four times faster, and a spectrum's values are amplitudes.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from distill.audio import SAMPLE_RATE

Samples = NDArray[np.float32]  # [time], full scale is 1
Spectrum = NDArray[np.complex64]  # [bins]
Range = tuple[float, float]

POINTS = 513  # of the grid that responses are drawn on, from 0 Hz to half the sample rate
SMOOTH = (16, 18, 20, 24, 25, 27, 30, 32)  # times a power of two: lengths that an FFT is fast at


def forward(samples: NDArray[np.float32], length: int | None = None) -> NDArray[np.complex64]:
    """Amplitudes ``[..., length // 2 + 1]`` of ``samples`` [..., time], padded with zeros to ``length``."""
    return np.asarray(np.fft.rfft(samples, length, norm="forward"), np.complex64)


def backward(spectrum: NDArray[np.complex64], length: int) -> NDArray[np.float32]:
    """Samples ``[..., length]`` of what :func:`forward` gave."""
    return np.asarray(np.fft.irfft(spectrum, length, norm="forward"), np.float32)


def fast_length(samples: int) -> int:
    """The least length that holds ``samples`` and has small factors only; even."""
    scale = 2
    while SMOOTH[-1] * scale < samples:
        scale *= 2
    return next(factor * scale for factor in SMOOTH if factor * scale >= samples)


def filtered(samples: Samples, response: Spectrum, length: int) -> Samples:
    """``samples`` through a filter of ``response`` [length // 2 + 1], without what rings on after their end."""
    return backward(forward(samples, length) * response, length)[: len(samples)]


@lru_cache(maxsize=1)
def grid() -> NDArray[np.float32]:
    """The frequencies ``[POINTS]`` that responses are drawn at, in Hz."""
    return np.linspace(0, SAMPLE_RATE / 2, POINTS, dtype=np.float32)


def stretched(values: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Values on the grid to the bins of an FFT of ``length``, between them along straight lines."""
    bins = length // 2 + 1
    places = np.arange(bins) * ((POINTS - 1) / (bins - 1))
    return np.asarray(np.interp(places, np.arange(POINTS), values), np.float32)


def decibels(value: float) -> float:
    """The factor that ``value`` dB are of an amplitude."""
    return float(10 ** (value / 20))


def power(samples: NDArray[np.float32]) -> float:
    """Mean square."""
    return float(np.dot(samples, samples)) / max(len(samples), 1)
