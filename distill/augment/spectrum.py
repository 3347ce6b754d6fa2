"""Spectra in float32, and the grid of frequencies that responses are drawn on.

numpy computes a forward FFT of float32 in double precision unless it scales the result, so every transform here has the
scaling at the forward side: four times faster, and a spectrum's values are amplitudes.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from distill.audio import SAMPLE_RATE

Samples = NDArray[np.float32]  # [time], full scale is 1
Spectrum = NDArray[np.complex64]  # [bins]
Range = tuple[float, float]

STEPS = 512  # of the grid that responses are drawn on
GRID = np.linspace(0, SAMPLE_RATE / 2, STEPS + 1, dtype=np.float32)  # its frequencies, Hz
FAST = (1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 15, 16)  # factors that an FFT is fast at, of powers of two


def forward(samples: NDArray[np.float32], length: int | None = None) -> NDArray[np.complex64]:
    """Amplitudes ``[..., length // 2 + 1]`` of ``samples`` [..., time], padded with zeros to ``length``."""
    return np.asarray(np.fft.rfft(samples, length, norm="forward"), np.complex64)


def backward(spectrum: NDArray[np.complex64], length: int) -> NDArray[np.float32]:
    """Samples ``[..., length]`` of what :func:`forward` gave."""
    return np.asarray(np.fft.irfft(spectrum, length, norm="forward"), np.float32)


def fast_length(samples: int) -> int:
    """A length that holds ``samples``, that an FFT is fast at, and whose bins the grid divides."""
    blocks = math.ceil(samples / (2 * STEPS))
    scale = 1
    while FAST[-1] * scale < blocks:
        scale *= 2
    return 2 * STEPS * scale * next(factor for factor in FAST if factor * scale >= blocks)


def stretched(values: NDArray[np.complex64], length: int) -> Spectrum:
    """Values on the grid to the bins of an FFT of a :func:`fast_length`; between them along straight lines."""
    between = length // (2 * STEPS)
    found = np.empty(STEPS * between + 1, np.complex64)
    shares = np.arange(between, dtype=np.float32) / np.float32(between)
    found[:-1].reshape(STEPS, between)[:] = values[:-1, None] + np.diff(values)[:, None] * shares
    found[-1] = values[-1]
    return found


def filtered(samples: Samples, response: Spectrum, length: int) -> Samples:
    """``samples`` through a filter of ``response`` [length // 2 + 1], without what rings on after their end."""
    return backward(forward(samples, length) * response, length)[: len(samples)]


def decibels(value: float) -> float:
    """The factor that ``value`` dB are of an amplitude."""
    return float(10 ** (value / 20))


def power(samples: NDArray[np.float32]) -> float:
    """Mean square."""
    return float(np.dot(samples, samples)) / max(len(samples), 1)
