"""Arguments as the evaluator takes them, and how large a value it computes: a file may claim anything."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Arguments = Mapping[str, Any]

_MAX_ELEMENTS = 1 << 26


def limit(shape: Iterable[int]) -> None:
    """Refuse to allocate what no student needs.

    Raises:
        ValueError: an array of this shape would have more than 2^26 elements, or a negative size.
    """
    sizes = tuple(shape)
    if math.prod(sizes) > _MAX_ELEMENTS or min(sizes, default=0) < 0:
        raise ValueError(f"an intermediate value of shape {list(sizes)} would be absurd")


def integers(numbers: Any) -> tuple[int, ...]:
    """A scalar or vector as a tuple."""
    return tuple(int(number) for number in np.atleast_1d(numbers))


def padded(x: Array, pairs: Iterable[tuple[int, int]], fill: Any) -> Array:
    """``x`` with ``fill`` before and behind each axis."""
    amounts = list(pairs)
    limit(size + first + last for size, (first, last) in zip(x.shape, amounts, strict=True))
    return np.asarray(np.pad(x, amounts, constant_values=fill))
