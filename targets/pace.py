"""Frames at the student's own rate become frames at any rate, with the three taps of the ensemble.

A frame between two of the student's is their linear mixture: lips move slower than 50 frames a second can show. The
ensemble (arXiv 2507.18352) is the mean of the face a sixtieth of a second before, at, and after the frame's time.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError

Array = NDArray[np.float32]
TAP = Fraction(1, 60)  # seconds
FASTEST = 1_000  # frames a second


class Pace:
    """Frames at times ``0, 1 / rate, 2 / rate …`` of those that come at ``native`` frames a second.

    Args:
        native: rate of the frames that come in.
        rate: of those that leave.
        ensemble: whether to average three taps.

    Raises:
        UserError: ``rate`` is none.
    """

    def __init__(self, native: Fraction, rate: Fraction, *, ensemble: bool) -> None:
        if not 0 < rate <= FASTEST:
            raise UserError(f"{float(rate):g} is no frame rate", fix=f"choose 1 to {FASTEST}, usually 24 to 120")
        self._native, self._rate = native, rate
        self._taps = (-TAP, Fraction(0), TAP) if ensemble else (Fraction(0),)
        self.reset()

    def reset(self) -> None:
        """Begin again at time 0."""
        self._frames: list[Array] = []
        self._first = self.first  # place of the first frame that is kept
        self._given = 0

    @property
    def first(self) -> int:
        """Place of the first frame that matters, on the grid of the student's own rate: none or a few before 0."""
        return math.floor(self._taps[0] * self._native)

    @property
    def delay(self) -> Fraction:
        """Seconds after a frame's time that the latest frame lies which it is made of, at most."""
        if self._taps[-1] == 0 and self._native % self._rate == 0:
            return Fraction(0)
        return self._taps[-1] + 1 / self._native

    def push(self, frame: Array) -> list[tuple[Fraction, Array]]:
        """The next frame of the student's; (time in seconds, frame) of all that can be said now."""
        self._frames.append(frame)
        out = []
        while self._knows((time := self._given / self._rate) + self._taps[-1]):
            taps = np.stack([self._at(time + tap) for tap in self._taps])
            out.append((time, np.asarray(taps.mean(axis=0), np.float32)))
            self._given += 1
        unneeded = math.floor((self._given / self._rate + self._taps[0]) * self._native) - self._first
        unneeded = min(max(unneeded, 0), len(self._frames))
        del self._frames[:unneeded]
        self._first += unneeded
        return out

    def _knows(self, time: Fraction) -> bool:
        return math.ceil(time * self._native) - self._first < len(self._frames)

    def _at(self, time: Fraction) -> Array:
        place = time * self._native
        before = math.floor(place)
        share = np.float32(place - before)
        earlier = self._frames[before - self._first]
        if share == 0:
            return earlier
        return earlier + share * (self._frames[before + 1 - self._first] - earlier)
