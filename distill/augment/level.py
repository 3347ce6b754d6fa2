"""Another level, another polarity, an input that is too loud, and one that is off zero."""

from __future__ import annotations

import numpy as np

from distill.audio import HOP
from distill.augment.spectrum import Range, Samples

ACTIVE = 0.03  # of the power of the loudest tenth: hops above it are speech
SILENT = 1e-3  # full scale: nothing below -60 dBFS is taken for speech


def active_level(samples: Samples) -> float:
    """Root mean square of the hops in which somebody speaks; full scale is 1.

    Speech is what comes within 15 dB of the loudest tenth: pauses do not count, so a slow speaker is no quieter (the
    idea of ITU-T P.56).
    """
    count = len(samples) // HOP
    if not count:
        return max(float(np.sqrt(np.mean(samples**2))) if len(samples) else 0.0, SILENT)
    powers = np.square(samples[: count * HOP].reshape(count, HOP)).mean(1)
    loud = np.sort(powers)[-max(count // 10, 1) :].mean()
    return max(float(np.sqrt(powers[powers >= ACTIVE * loud].mean())), SILENT)


def clipped(samples: Samples, share: Range, draw: np.random.Generator) -> Samples:
    """Everything above a share of the peak is cut off, or, every other time, squashed."""
    limit = np.float32(draw.uniform(*share) * float(np.abs(samples).max(initial=0.0)))
    if not limit:
        return samples
    if draw.random() < 0.5:
        return np.clip(samples, -limit, limit)
    return np.asarray(limit * np.tanh(samples / limit), np.float32)
