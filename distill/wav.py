"""16-bit WAV with what Python brings: so that core phiz hears without PyAV, which reads everything else."""

from __future__ import annotations

import math
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CROSSINGS = 24  # of the sinc on each side
PASSED = 0.92  # of the lower half rate
STEEPNESS = 8.0  # of the Kaiser window: 80 dB
_BLOCK = 65_536  # frames


def read(path: Path) -> tuple[NDArray[np.float32], int] | None:
    """Mono float32 samples ``[time]``, the mean of all channels, in [-1, 1), and their rate; None if not 16-bit WAV.

    A file that ends early gives what is there.
    """
    pieces = []
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            if width != 2 or rate < 1:
                return None
            while data := file.readframes(_BLOCK):
                whole = len(data) // (2 * channels) * channels
                frames = np.frombuffer(data, "<i2", whole).reshape(-1, channels)
                pieces.append(frames.astype(np.float32).mean(axis=1) / 32768)
    except (wave.Error, EOFError, OSError):
        return None
    return np.concatenate(pieces or [np.zeros(0, np.float32)]).astype(np.float32), rate


def resample(samples: NDArray[np.float32], before: int, after: int) -> NDArray[np.float32]:
    """``samples`` [time] at ``before`` Hz as ``ceil(time * after / before)`` at ``after`` Hz, by a windowed sinc.

    What the new rate cannot hold is filtered out. Source: Smith, "Digital Audio Resampling", 1984; polyphase.
    """
    if before == after:
        return samples
    common = math.gcd(before, after)
    up, down = after // common, before // common
    cut = PASSED * min(1.0, up / down)  # of the half rate before
    half = math.ceil(CROSSINGS / cut)
    padded = np.pad(samples, (half, half + down + 1))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half)
    result = np.empty(-(-len(samples) * up // down), np.float32)
    for phase in range(min(up, len(result))):  # outputs of a phase lie alike between inputs
        first, share = divmod(phase * down, up)
        offset = np.arange(1 - half, 1 + half) - share / up
        taps = np.sinc(cut * offset) * np.i0(STEEPNESS * np.sqrt(np.clip(1 - (offset / half) ** 2, 0, None)))
        places = result[phase::up]
        places[:] = windows[first + 1 :: down][: len(places)] @ (taps / taps.sum()).astype(np.float32)
    return result
