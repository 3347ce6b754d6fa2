"""Another microphone: spectral tilt, a random parametric equaliser, and the phases of its filters.

A response is drawn on a coarse grid of frequencies. Its gains have no phase, so nothing moves in time; phases are drawn
on their own, with a bound on the delay that they make.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from distill.augment.spectrum import GRID, STEPS, Range, Spectrum

PIVOT = 1000.0  # Hz: tilt leaves it alone
LOWEST = 60.0  # Hz: tilt goes no further down
OCTAVES = np.log2(np.maximum(GRID, LOWEST) / PIVOT)  # from the pivot
BANDS = (1, 5)  # of the equaliser, how many
CENTRES = (-3.6, 2.9)  # octaves from the pivot
WIDTHS = (0.25, 1.5)  # octaves, one standard deviation
RIPPLES = np.arange(1, 5)  # waves of the phase over all frequencies
EDGE = 0.1  # width of a low-pass's edge, as a share of its frequency


def response(tilt: Range, equaliser: float, delay: float, draw: np.random.Generator) -> Spectrum:
    """The frequency response, on the grid, of a random microphone.

    Args:
        tilt: dB an octave.
        equaliser: most dB that a band lifts or lowers.
        delay: most samples by which a frequency is late or early.
        draw: source of randomness.
    """
    gains = draw.uniform(*tilt) * OCTAVES
    for _ in range(int(draw.integers(*BANDS))):
        centre, width, height = draw.uniform(*CENTRES), draw.uniform(*WIDTHS), draw.uniform(-equaliser, equaliser)
        gains = gains + height * np.exp(-0.5 * ((OCTAVES - centre) / width) ** 2)
    return np.asarray(10 ** (gains / 20) * np.exp(1j * _phases(delay, draw)), np.complex64)


def low_pass(cut: float, above: float = 0.0) -> Spectrum:
    """A response, on the grid, that lets frequencies up to ``cut`` (Hz) pass, and not those below ``above``."""
    passed = np.clip((cut - GRID) / (EDGE * cut) + 0.5, 0, 1)
    if above:
        passed = passed * np.clip((GRID - above) / (0.5 * above) + 0.5, 0, 1)
    return np.asarray(passed * passed * (3 - 2 * passed), np.complex64)


def _phases(delay: float, draw: np.random.Generator) -> NDArray[np.float64]:
    """Smooth phases ``[STEPS + 1]``: a few waves over the frequencies, whose slopes sum to at most ``delay``."""
    sizes = draw.uniform(-1, 1, len(RIPPLES)) * delay / len(RIPPLES) / RIPPLES
    turns = np.pi * np.outer(np.linspace(0, 1, STEPS + 1), RIPPLES) + draw.uniform(0, 2 * np.pi, len(RIPPLES))
    return np.asarray(np.sin(turns) @ sizes)
