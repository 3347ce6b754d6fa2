"""Sizes: literal cases, and the round trip that rounding must not break."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compile.errors import UserError
from compile.units import UNITS, counted, format_size, parse_size, short_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("3.4 MB", 3_400_000),
        ("3.4MB", 3_400_000),
        (" 900 kB ", 900_000),
        ("1 MiB", 1_048_576),
        ("1.5 KiB", 1_536),
        ("2GB", 2_000_000_000),
        ("1GiB", 1_073_741_824),
        ("0 B", 0),
        ("123456789012345678 GB", 123456789012345678 * 10**9),
    ],
)
def test_a_size_is_exact(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["3.4", "3.4 mb", "3.4 KB", "3.4 Mb", "-1 MB", "1e3 MB", "", "MB", "nan MB", "٣ MB", "1 M B", "1,5 MB"]
)
def test_what_is_no_size_is_refused_with_the_units(text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_size(text, where="--cap")
    assert all(unit in caught.value.fix for unit in UNITS)
    assert caught.value.where == "--cap"


def test_part_of_a_byte_is_refused() -> None:
    with pytest.raises(UserError, match="whole number of bytes"):
        parse_size("0.0001 kB")


@given(st.decimals(min_value=0, max_value=10**9, places=6), st.sampled_from(sorted(UNITS)))
def test_parsing_agrees_with_decimal_arithmetic(number: Decimal, unit: str) -> None:
    with localcontext() as context:
        context.prec = 60
        expected = number * UNITS[unit]
    text = f"{number:f} {unit}"
    if expected == expected.to_integral_value():
        assert parse_size(text) == int(expected)
    else:
        with pytest.raises(UserError):
            parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.00 kB"),
        (9_995, "10.0 kB"),
        (99_950, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.00 MB"),
        (3_430_695, "3.43 MB"),
        (10**12, "1000 GB"),
        (-5_000, "-5.00 kB"),
    ],
)
def test_a_size_for_people_has_three_digits(size: int, text: str) -> None:
    assert short_size(size) == text


@given(st.integers(0, 10**15))
def test_the_exact_bytes_stand_beside(size: int) -> None:
    assert int(format_size(size).split("(")[-1].split(" byte")[0].replace(",", "")) == size


@given(st.integers(0, 999_000_000_000))
def test_rounding_stays_within_half_a_digit(size: int) -> None:
    number, unit = short_size(size).split(" ")
    # Three digits: at most half a unit in the third, 0.5 % of the value; float formatting adds far less than 1e-9.
    assert abs(Decimal(number) * UNITS[unit] - size) <= Decimal(size) * Decimal("0.005000001")


@pytest.mark.parametrize(("number", "text"), [(0, "0 nodes"), (1, "1 node"), (2, "2 nodes"), (1234, "1,234 nodes")])
def test_one_is_singular(number: int, text: str) -> None:
    assert counted(number, "node") == text
