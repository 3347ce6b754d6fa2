"""What else is heard: noise from white to brown, hum and tones, and other people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from distill.audio import SAMPLE_RATE
from distill.augment.spectrum import Samples, Spectrum, power

FALL = (0.0, 2.0)  # power falls with frequency to this power: 0 is white, 1 pink, 2 brown
RUMBLE = 30.0  # Hz: below it, noise does not grow
MAINS = (50.0, 60.0)  # Hz
TONES = (200.0, 4000.0)  # Hz
HARMONICS = 8
SHARE = (0.2, 0.9)  # of the power that is hum, where there is any
VOICES = (1, 6)  # in a babble


def noise(length: int, hum: bool, draw: np.random.Generator) -> Spectrum:
    """Noise of random colour and power 1, as the spectrum ``[length // 2 + 1]`` of ``length`` samples.

    With ``hum``, some of it is the mains or a tone, with harmonics.
    """
    sizes = np.exp(np.float32(-draw.uniform(*FALL) / 2) * _logarithms(length))
    sizes[0] = 0
    share = draw.uniform(*SHARE) if hum else 0.0
    # Thousands of bins make every sample, so even numbers do for normal ones. Their variance is 1/12, and each bin has
    # two of them, twice: in the negative frequencies, too.
    sizes *= np.float32(np.sqrt((1 - share) * 3 / np.dot(sizes, sizes)))
    found = np.asarray((draw.random(2 * len(sizes), np.float32) - np.float32(0.5)).view(np.complex64) * sizes)
    if hum:
        ground = draw.choice(MAINS) if draw.random() < 0.5 else draw.uniform(*TONES)
        places = (np.arange(1, HARMONICS + 1) * ground * length / SAMPLE_RATE).astype(np.intp)
        tones = np.sqrt(draw.exponential(size=HARMONICS)) * np.exp(2j * np.pi * draw.random(HARMONICS))
        tones[places >= len(found) - 1] = 0
        tones *= np.sqrt(share / 2 / np.sum(np.abs(tones) ** 2))
        np.add.at(found, np.minimum(places, len(found) - 1), tones.astype(np.complex64))
    return found


def babble(others: Sequence[Callable[[], Samples]], draw: np.random.Generator) -> Samples | None:
    """A few of the ``others`` talking at once, power 1; None where there are none, or they say nothing."""
    if not others:
        return None
    count = min(int(draw.integers(*VOICES)), len(others))
    chosen = draw.choice(len(others), count, replace=False)
    heard = np.stack([others[index]() for index in chosen]).sum(0)
    loudness = power(heard)
    return np.asarray(heard / np.sqrt(loudness), np.float32) if loudness > 1e-9 else None


@lru_cache(maxsize=4)
def _logarithms(length: int) -> NDArray[np.float32]:
    """Of the bins' frequencies."""
    return np.asarray(np.log(np.maximum(np.arange(length // 2 + 1) * (SAMPLE_RATE / length), RUMBLE)), np.float32)
