"""From real scales to the whole numbers that kernels multiply and shift by; ``docs/c.md`` has the arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from targets.kernels import Quantization

MOST = 512.0  # a step of the sum moves the output beyond its 256 numbers: what is larger gives the same
_SUM = 20  # bits of the factors of a sum, so that 32 hold it


@dataclass(frozen=True)
class Narrowing:
    """``round(sum * multiplier / 2 ** shift)``, half a step upwards; arrays of int32 and uint8 ``[channels]``."""

    multiplier: NDArray[np.int32]
    shift: NDArray[np.uint8]


def narrowing(factors: NDArray[np.float64]) -> Narrowing:
    """The multiplier of 31 bits and the shift that come nearest to each real factor, none of which is negative."""
    bounded = np.minimum(factors, MOST)
    fraction, exponent = np.frexp(bounded)  # factor = fraction * 2 ** exponent, the fraction within [0.5, 1)
    multiplier = np.rint(fraction * 2.0**31).astype(np.int64)
    shift = 31 - exponent.astype(np.int64)
    over = multiplier == 1 << 31
    multiplier, shift = np.where(over, 1 << 30, multiplier), np.where(over, shift - 1, shift)
    tiny = shift > 62  # not half a step in 31 bits of sum
    multiplier, shift = np.where(tiny, 0, multiplier), np.where(tiny, 31, shift)
    return Narrowing(multiplier.astype(np.int32), shift.astype(np.uint8))


def shared_shift(factors: NDArray[np.float64]) -> tuple[NDArray[np.int32], int]:
    """Multipliers of factors that differ little, and the one shift that all of them have."""
    one = narrowing(np.array([factors.max()]))
    shift = int(one.shift[0])
    return np.rint(np.minimum(factors, MOST) * 2.0**shift).clip(0, 2**31 - 1).astype(np.int32), shift


@dataclass(frozen=True)
class Sum:
    """``(x * a + z * b + c) >> shift``, rounded: a sum of int8 values with parameters of their own."""

    a: int
    b: int
    c: int
    shift: int


def addition(x: Quantization, z: Quantization, y: Quantization) -> Sum:
    """The factors that bring two int8 values to the scale of their sum, each at most ``MOST``."""
    ratios = [scale_of(side) / scale_of(y) for side in (x, z)]
    _, exponent = np.frexp(max(ratios))
    shift = int(np.clip(_SUM - exponent, 1, _SUM))
    a, b = (round(ratio * 2.0**shift) for ratio in ratios)
    c = (zero_of(y) << shift) + (1 << (shift - 1)) - zero_of(x) * a - zero_of(z) * b
    return Sum(a, b, c, shift)


def scale_of(parameters: Quantization) -> float:
    """The one scale of a tensor."""
    return float(parameters.scale[0])


def zero_of(parameters: Quantization) -> int:
    """The one zero point of a tensor."""
    return int(parameters.zero_point[0])


def look_up(
    function: Callable[[NDArray[np.float32]], NDArray[np.float32]], x: Quantization, y: Quantization
) -> NDArray[np.int8]:
    """What a function makes of each of the 256 int8 values, from -128 on, as float32 between a DQ and a Q."""
    integers = np.arange(-128, 128)
    given = (integers - zero_of(x)).astype(np.float32) * x.scale[0]
    wanted = np.rint(function(given).astype(np.float32) / y.scale[0]) + np.float32(zero_of(y))
    return np.asarray(wanted.clip(-128, 127), np.int8)
