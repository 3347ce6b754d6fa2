"""A gain that brings voices to the level that students learnt at, from what was heard so far and nothing else.

An automatic gain control with a gate: the level of speech is followed quickly upwards and slowly downwards, and not at
all while nothing stands out of the background, so that pauses are not pulled up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
WANTED = -24.0  # dB of full scale, a hop's mean power while somebody speaks
GATE = 12.0  # dB above the background, from which on somebody does
QUIETEST = -65.0  # dB; below nobody ever does
MOST, LEAST = 30.0, -20.0  # dB of gain
RISE, FALL = 0.1, 2.0  # seconds in which the level follows, up and down
BACKGROUND = 4.0  # seconds in which the background follows upwards; downwards it does at once


class Gain:
    """The state of one gain.

    Args:
        hop: samples that are heard at once.
        rate: of them, Hz.
    """

    def __init__(self, hop: int, rate: int) -> None:
        seconds = hop / rate
        self._rise, self._fall = (1 - np.exp(-seconds / time) for time in (RISE, FALL))
        self._creep = 6.0 * seconds / BACKGROUND
        self.reset()

    def reset(self) -> None:
        """Forget every voice: a gain of 1."""
        self._level, self._background, self._gain = WANTED, QUIETEST, 1.0

    def apply(self, hop: Array) -> Array:
        """``hop`` at the level wanted; the gain glides within it."""
        power = 10 * float(np.log10(np.mean(np.square(hop, dtype=np.float64)) + 1e-12))
        self._background = min(power, self._background + self._creep) if power > QUIETEST else QUIETEST
        if power > max(self._background + GATE, QUIETEST):
            share = self._rise if power > self._level else self._fall
            self._level += share * (power - self._level)
        before, self._gain = self._gain, 10 ** (float(np.clip(WANTED - self._level, LEAST, MOST)) / 20)
        return hop * np.linspace(before, self._gain, len(hop), dtype=np.float32)
