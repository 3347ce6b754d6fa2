"""Whole numbers in place of real factors, against exact fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from targets.c.fixed import MOST, addition, look_up, narrowing, shared_shift
from targets.kernels import Quantization

FACTORS = st.floats(1e-12, 1e4)
SCALES = st.floats(2.0**-20, 1024, width=32)
ZEROS = st.integers(-128, 127)


def parameters(scale: float, zero: int) -> Quantization:
    return Quantization(np.float32([scale]), np.array([zero], np.int64), None)


@given(st.lists(FACTORS, min_size=1, max_size=5))
def test_a_factor_is_a_multiplier_of_31_bits(factors: list[float]) -> None:
    made = narrowing(np.array(factors))
    for factor, multiplier, shift in zip(factors, made.multiplier.tolist(), made.shift.tolist(), strict=True):
        exact = min(Fraction(factor), Fraction(512))
        if multiplier == 0:
            assert exact * 2**31 < Fraction(1, 2)  # no sum of 31 bits comes to half a step
        else:
            assert 2**30 <= multiplier < 2**31
            assert 21 <= shift <= 62
            assert abs(Fraction(multiplier, 2**shift) - exact) <= exact / 2**31


@given(st.floats(1e-6, 1), st.integers(1, 50))
def test_factors_of_one_shift(factor: float, count: int) -> None:
    counts = np.arange(1, count + 1)
    multipliers, shift = shared_shift(factor / counts)
    for number, multiplier in zip(counts.tolist(), multipliers.tolist(), strict=True):
        assert abs(Fraction(multiplier, 2**shift) - Fraction(factor) / number) * 128 * number < Fraction(1, 1000)


@given(SCALES, SCALES, SCALES, ZEROS, ZEROS, ZEROS, ZEROS, ZEROS)
def test_a_sum_fits_into_32_bits(sx: float, sz: float, sy: float, zx: int, zz: int, zy: int, x: int, z: int) -> None:
    assume(max(sx, sz) / sy <= MOST)
    made = addition(parameters(sx, zx), parameters(sz, zz), parameters(sy, zy))
    total = x * made.a + z * made.b + made.c
    assert abs(total) < 2**30
    exact = (x - zx) * Fraction(sx) / Fraction(sy) + (z - zz) * Fraction(sz) / Fraction(sy) + zy
    wanted = min(max(exact, Fraction(-128)), Fraction(127))
    found = min(max(total >> made.shift, -128), 127)
    # Two factors off by half of their last bit, times at most 255 each: a quarter of a step where they are largest.
    assert abs(found - wanted) <= Fraction(1, 2) + Fraction(255, 2**made.shift)
    assert made.shift >= min(20 - np.frexp(max(sx, sz) / sy)[1], 20)


def test_a_table_of_a_function() -> None:
    table = look_up(lambda values: values * np.float32(2), parameters(0.5, 3), parameters(0.25, -4))
    wanted = [min(max((value - 3) * 4 - 4, -128), 127) for value in range(-128, 128)]
    assert table.tolist() == wanted
