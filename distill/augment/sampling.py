"""Reading a recording at another speed, and sampling it badly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from distill.audio import SAMPLE_RATE
from distill.augment.spectrum import Range, Samples


def read(values: NDArray[np.float32], speed: float, count: int, first: float = 0.0) -> NDArray[np.float32]:
    """``values`` [time, ...] at the ``count`` places ``first + speed * k``, along cubics (Catmull and Rom, 1974).

    At speed 1 from a whole place this is a slice. Beyond its ends, what is read goes on as it ends.
    """
    if speed == 1 and first == int(first) and 0 <= first <= len(values) - count:
        return values[int(first) : int(first) + count]
    places = first + speed * np.arange(count)
    floor = np.floor(places)
    share = (places - floor).astype(np.float32).reshape(-1, *[1] * (values.ndim - 1))
    index = floor.astype(np.intp)
    a, b, c, d = (values.take(index + shift, axis=0, mode="clip") for shift in (-1, 0, 1, 2))
    bent = 2 * a - 5 * b + 4 * c - d + share * (3 * (b - c) + d - a)
    return np.asarray(b + 0.5 * share * (c - a + share * bent), np.float32)


def aliased(samples: Samples, rate: Range, draw: np.random.Generator) -> Samples:
    """Sampled again at a lower rate (Hz) without a filter, and brought back by straight lines."""
    coarse = np.arange(0, len(samples), SAMPLE_RATE / draw.uniform(*rate))
    nearest = np.minimum(np.rint(coarse).astype(np.intp), len(samples) - 1)
    return np.asarray(np.interp(np.arange(len(samples)), coarse, samples[nearest]), np.float32)
