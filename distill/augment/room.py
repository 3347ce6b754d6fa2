"""A room around the speaker: a synthetic impulse response of direct sound, early reflections and a decaying tail.

The direct sound comes first, at once and loudest, so onsets stay where they are. High frequencies die sooner.
"""

from __future__ import annotations

import numpy as np

from distill.audio import SAMPLE_RATE
from distill.augment.spectrum import Range, Samples, decibels

REFLECTIONS = (4, 14)  # how many early ones
EARLY = (0.0015, 0.04)  # seconds after the direct sound
TAIL = 0.012  # seconds until the tail begins to build up
LONGEST = 0.5  # seconds
LOUDEST = 0.5  # of a reflection, relative to the direct sound


def impulse(reverberation: Range, direct: Range, draw: np.random.Generator) -> Samples:
    """An impulse response ``[samples]`` of at most half a second, beginning with 1.

    Args:
        reverberation: seconds in which the tail falls by 60 dB.
        direct: the direct sound's power over that of all the rest, in dB.
        draw: source of randomness.
    """
    seconds = draw.uniform(*reverberation)
    times = np.arange(int(min(seconds, LONGEST) * SAMPLE_RATE) + 2, dtype=np.float32) / SAMPLE_RATE
    noise = draw.standard_normal(len(times), np.float32)
    dull = 0.5 * noise
    dull[1:] += 0.5 * noise[:-1]
    fall = np.exp(np.float32(-6.9078 / seconds) * times)  # 60 dB
    rest = (dull + 0.5 * noise * fall) * fall * np.minimum(times / TAIL, 1)
    count = int(draw.integers(*REFLECTIONS))
    places = (draw.uniform(*EARLY, count) * SAMPLE_RATE).astype(int)
    early = draw.uniform(-1, 1, count).astype(np.float32) * np.exp(-places / (0.02 * SAMPLE_RATE))
    within = places < len(rest)
    rest[places[within]] += 3 * early[within]
    rest[0] = 0
    rest *= decibels(-draw.uniform(*direct)) / np.sqrt(np.dot(rest, rest) + 1e-12)
    response = np.clip(rest, -LOUDEST, LOUDEST)
    response[0] = 1
    return np.asarray(response, np.float32)
