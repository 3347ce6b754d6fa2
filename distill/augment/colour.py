"""Another microphone: spectral tilt, a random parametric equaliser, and the phases of its filters.

A response is drawn on a coarse grid of frequencies. Its gains have no phase, so nothing moves in time; phases are drawn
on their own, with a bound on the delay that they make.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from distill.audio import SAMPLE_RATE
from distill.augment.spectrum import POINTS, Range, Spectrum, grid, stretched

PIVOT = 1000.0  # Hz: tilt leaves it alone
LOWEST = 60.0  # Hz: tilt goes no further down
BANDS = (1, 5)  # of the equaliser, how many
CENTRES = (80.0, 7500.0)  # Hz, spread evenly in octaves
WIDTHS = (0.25, 1.5)  # octaves, one standard deviation
RIPPLES = 4  # terms of the phase


def response(tilt: Range, equaliser: float, delay: float, length: int, draw: np.random.Generator) -> Spectrum:
    """The frequency response ``[length // 2 + 1]`` of a random microphone.

    Args:
        tilt: dB an octave.
        equaliser: most dB that a band lifts or lowers.
        delay: most samples by which a frequency is late or early.
        length: of the FFT that it is for.
        draw: source of randomness.
    """
    octaves = np.log2(np.maximum(grid(), LOWEST) / PIVOT)
    gains = draw.uniform(*tilt) * octaves
    if equaliser:
        for _ in range(int(draw.integers(*BANDS))):
            centre = draw.uniform(*np.log2(np.array(CENTRES) / PIVOT))
            width = draw.uniform(*WIDTHS)
            gains = gains + draw.uniform(-equaliser, equaliser) * np.exp(-0.5 * ((octaves - centre) / width) ** 2)
    found = stretched((10 ** (gains / 20)).astype(np.float32), length).astype(np.complex64)
    if delay:
        phases = stretched(_phases(delay, draw), length)
        turn = np.empty_like(found)
        turn.real, turn.imag = np.cos(phases), np.sin(phases)
        found *= turn
    return found


def low_pass(cut: float, length: int, below: float = 0.0) -> Spectrum:
    """A response that lets frequencies between ``below`` and ``cut`` (Hz) pass, with edges a tenth wide."""
    frequencies = np.linspace(0, SAMPLE_RATE / 2, length // 2 + 1, dtype=np.float32)
    passed = np.clip((cut * 1.05 - frequencies) / (cut * 0.1), 0, 1)
    if below:
        passed *= np.clip((frequencies - below * 0.75) / (below * 0.5), 0, 1)
    return np.asarray(passed * passed * (3 - 2 * passed), np.complex64)


def _phases(delay: float, draw: np.random.Generator) -> NDArray[np.float32]:
    """Smooth phases ``[POINTS]``: a few waves over the frequencies whose slopes sum to at most ``delay``."""
    order = np.arange(1, RIPPLES + 1)
    sizes = draw.uniform(-1, 1, RIPPLES) * delay / RIPPLES / order
    turns = np.pi * np.outer(np.linspace(0, 1, POINTS), order) + draw.uniform(0, 2 * np.pi, RIPPLES)
    return (np.sin(turns) @ sizes).astype(np.float32)
