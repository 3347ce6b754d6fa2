"""Nobody speaks: for a whole sequence or for a while, over noise or digitally silent, and the face rests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distill.audio import HOP, SAMPLE_RATE
from distill.augment.spectrum import Samples

MUTED = (0.2, 1.5)  # seconds
EASE = 4  # frames in which a face that is cut off comes to rest
DIGITAL = 0.5  # share of silences without any noise


@dataclass(frozen=True)
class Cut:
    """Speech is cut off from sample ``start`` to ``end``; ``digital``: nothing else is heard either."""

    start: int
    end: int
    digital: bool


def cut(samples: int, quiet: float, mute: float, draw: np.random.Generator) -> Cut | None:
    """Draw where nobody speaks: everywhere with probability ``quiet``, for a while with ``mute``, else nowhere."""
    fate, digital = draw.random(), bool(draw.random() < DIGITAL)
    if fate < quiet:
        return Cut(0, samples, digital)
    if fate < quiet + mute:
        start = int(draw.integers(0, samples))
        return Cut(start, min(start + int(draw.uniform(*MUTED) * SAMPLE_RATE), samples), digital)
    return None


def silent(audio: Samples, where: Cut) -> Samples:
    """``audio`` with nothing there."""
    found = audio.copy()
    found[where.start : where.end] = 0
    return found


def resting(curves: NDArray[np.float32], rest: NDArray[np.float32], where: Cut, past: int) -> NDArray[np.float32]:
    """``curves`` [frames, controls] with the face ``rest`` there, eased into within a few frames.

    ``past`` is the number of samples before the first frame's time.
    """
    first, last = (max(-(-(sample - past) // HOP), 0) for sample in (where.start, where.end))
    found = curves.copy()
    found[first:last] = rest
    if first > 0:
        ease(found[first:last], curves[min(first, len(curves)) - 1])
    return found


def ease(resting: NDArray[np.float32], before: NDArray[np.float32]) -> None:
    """Let the first few of the ``resting`` frames, in place, come from the face ``before``."""
    part = resting[:EASE]
    part += np.linspace(1, 0, EASE + 2, dtype=np.float32)[1 : len(part) + 1, None] * (before - part)
