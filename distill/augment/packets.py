"""Lost packets: gaps that are silent, or filled with what came before them and faded, as receivers do."""

from __future__ import annotations

import numpy as np

from distill.audio import SAMPLE_RATE
from distill.augment.spectrum import Range, Samples

GAP = (0.01, 0.06)  # seconds
PERIOD = 0.01  # seconds of the past that concealment repeats


def dropped(samples: Samples, share: Range, draw: np.random.Generator) -> Samples:
    """``samples`` of which a share, drawn once, is lost in gaps of 10 to 60 ms."""
    found = samples.copy()
    lost = draw.uniform(*share) * len(samples)
    conceals = draw.random() < 0.5
    period = int(PERIOD * SAMPLE_RATE)
    while lost > 0:
        size = int(draw.uniform(*GAP) * SAMPLE_RATE)
        start = int(draw.integers(0, max(len(samples) - size, 1)))
        gap = found[start : start + size]
        before = found[max(start - period, 0) : start]
        if conceals and len(before) == period:
            gap[:] = np.resize(before, len(gap)) * np.linspace(1, 0, len(gap), dtype=np.float32)
        else:
            gap[:] = 0
        lost -= size
    return found
