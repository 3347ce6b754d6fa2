"""Audio of any rate at the rate that a student hears, in whole blocks, so that it does not matter how it came in.

A polyphase filter: a sinc under a Kaiser window. Source: Julius O. Smith, "Digital Audio Resampling Home Page", 2002;
the window's shape by Kaiser and Schafer, 1980. Every block is computed by the same operations on the same numbers,
whatever the chunks were, so its bits are the same too. The delay is known: half the filter, about a millisecond.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError

Array = NDArray[np.float32]
LOWEST, HIGHEST = 4_000, 768_000  # Hz
ZEROS = 16  # crossings of the sinc on either side
PASSED = 0.92  # of half the lower rate: where the filter begins to fall
KEPT = 1 << 20  # coefficients on one side; at rates with more, such as 88,201 Hz, they are computed when needed
BETA = 9.0  # of the Kaiser window: what folds back is 90 dB down


class Resampler:
    """Chunks of any size at one rate become blocks of one size at another.

    Args:
        rate: of what comes in, Hz.
        wanted: of what leaves, Hz.
        block: samples that leave at once.
        first: samples that leave the first time; at most ``block``.

    Raises:
        UserError: ``rate`` is no rate of audio.
    """

    def __init__(self, rate: int, wanted: int, block: int, first: int) -> None:
        if not LOWEST <= rate <= HIGHEST:
            raise UserError(f"{rate} Hz is no sample rate of audio", fix=f"give one from {LOWEST} to {HIGHEST} Hz")
        common = math.gcd(rate, wanted)
        self._up, self._down = wanted // common, rate // common
        self._block, self._first = block, first
        self._cut = PASSED * min(1.0, self._up / self._down)  # of half the input's rate
        self._half = math.ceil(ZEROS / self._cut) if self._up != self._down else 0
        count = self._up if self._up * self._half <= KEPT else 0
        slabs = [
            np.arange(at, min(at + 512, count)) for at in range(0, max(count, 1), 512)
        ]  # what it takes stays small
        self._filters = np.concatenate([_filters(self._cut, self._half, slab / self._up) for slab in slabs])
        self.reset()

    def reset(self) -> None:
        """Forget what was heard."""
        self._kept: Array = np.zeros(max(self._half - 1, 0), np.float32)  # silence before the first sample
        self._origin = -len(self._kept)  # which sample of what came in is the first that is kept
        self._made = 0  # samples that left
        self._size = self._first  # of the next block

    @property
    def delay(self) -> int:
        """Samples of the input that a sample of the output waits for after its own time."""
        return self._half

    def push(self, samples: Array) -> list[Array]:
        """The blocks that are complete with these samples, ``[first]``, then ``[block]`` each."""
        self._kept = np.concatenate([self._kept, samples])
        blocks = []
        while (block := self._next()) is not None:
            blocks.append(block)
            self._size = self._block
        return blocks

    def _next(self) -> Array | None:
        if self._up == self._down:
            if len(self._kept) < self._size:
                return None
            block, self._kept = np.split(self._kept, [self._size])
            return block
        places = (self._made + np.arange(self._size)) * self._down
        first = places // self._up - self._half + 1 - self._origin
        if first[-1] + 2 * self._half > len(self._kept):
            return None
        heard = np.lib.stride_tricks.sliding_window_view(self._kept, 2 * self._half)[first]
        phases = places % self._up
        filters = self._filters[phases] if len(self._filters) else _filters(self._cut, self._half, phases / self._up)
        block = np.asarray(np.einsum("ij,ij->i", heard, filters), np.float32)
        self._made += self._size
        rest = self._made * self._down // self._up - self._half + 1 - self._origin
        self._kept, self._origin = self._kept[rest:], self._origin + rest
        return block


def _filters(cut: float, half: int, phases: NDArray[np.float64]) -> Array:
    """``[phases, 2 * half]``: the filter for each place of an output sample between two input samples, in [0, 1)."""
    distance = np.arange(-half + 1, half + 1) - phases[:, None]
    window = np.i0(BETA * np.sqrt(np.clip(1 - (distance / half) ** 2, 0, None))) / np.i0(BETA)
    filters = cut * np.sinc(cut * distance) * window
    return np.asarray(filters / filters.sum(axis=1, keepdims=True), np.float32)  # equal gain everywhere
