"""What else is heard: noise from white to brown, hum and tones, and other people."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from distill.audio import SAMPLE_RATE
from distill.augment.spectrum import Samples, backward, fast_length, power

FALL = (0.0, 2.0)  # power falls with frequency to this power: 0 is white, 1 pink, 2 brown
RUMBLE = 30.0  # Hz: below it, noise does not grow
MAINS = (50.0, 60.0)  # Hz
HARMONICS = 8
TONES = (200.0, 4000.0)  # Hz
VOICES = (1, 6)  # in a babble


def noise(samples: int, hum: bool, draw: np.random.Generator) -> Samples:
    """Noise ``[samples]`` of power 1: of random colour, or the hum of the mains or of a machine under it."""
    length = fast_length(samples)
    bins = length // 2 + 1
    frequencies = np.arange(bins, dtype=np.float32) * np.float32(SAMPLE_RATE / length)
    sizes = np.maximum(frequencies, RUMBLE) ** np.float32(-draw.uniform(*FALL) / 2)
    sizes[0] = 0
    sizes /= np.sqrt(4 * np.dot(sizes, sizes))  # both halves of the spectrum, real and imaginary parts
    spectrum = draw.standard_normal(2 * bins, np.float32).view(np.complex64) * sizes
    if hum:
        ground = draw.choice(MAINS) if draw.random() < 0.5 else draw.uniform(*TONES)
        places = np.arange(1, HARMONICS + 1) * ground * length / SAMPLE_RATE
        places = places[places < bins - 1].astype(int)
        tones = draw.exponential(1, len(places)) * np.exp(2j * np.pi * draw.random(len(places)))
        tones *= np.sqrt(draw.uniform(0.2, 0.9) / 2 / max(float(np.sum(np.abs(tones) ** 2)), 1e-9))
        spectrum *= np.sqrt(1 - 2 * float(np.sum(np.abs(tones) ** 2)))
        spectrum[places] += tones
    return backward(spectrum.astype(np.complex64), length)[:samples]


def babble(others: Sequence[Callable[[], Samples]], draw: np.random.Generator) -> Samples | None:
    """A few of the ``others`` talking at once, power 1; None where there are none, or they say nothing."""
    if not others:
        return None
    count = min(int(draw.integers(*VOICES)), len(others))
    chosen = draw.choice(len(others), count, replace=False)
    heard = np.stack([others[index]() for index in chosen]).sum(0)
    loudness = power(heard)
    return np.asarray(heard / np.sqrt(loudness), np.float32) if loudness > 1e-9 else None
