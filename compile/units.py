"""Sizes and counts as people write them: ``3.4 MB`` is 3,400,000 bytes, ``3.4 MiB`` is not a whole number of them."""

from __future__ import annotations

import re

from compile.errors import UserError

UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SIZE = re.compile(r"\s*([0-9]{1,18}(?:\.[0-9]{1,18})?)\s*([A-Za-z]*)\s*")
_SHARE = re.compile(r"\s*([0-9]{1,6}(?:\.[0-9]{1,9})?)\s*%\s*")


def parse_size(text: str, where: str = "") -> int:
    """The exact bytes of a size such as ``"3.4 MB"`` or ``"512KiB"``.

    Args:
        text: a non-negative decimal number and a unit of :data:`UNITS`, with or without a space between.
        where: the flag or configuration key that it came from, for the message.

    Raises:
        UserError: it is no size, the unit is absent or unknown, or the size is not a whole number of bytes.
    """
    fix = f"write a number and a unit, for example 3.4 MB; the units are {', '.join(UNITS)}"
    match = _SIZE.fullmatch(text)
    if match is None:
        raise UserError(f"'{text}' is not a size", where=where, fix=fix)
    number, unit = match.groups()
    if not unit:
        raise UserError(f"the size '{text}' has no unit", where=where, fix=fix)
    if unit not in UNITS:
        raise UserError(f"the size '{text}' has the unknown unit '{unit}'", where=where, fix=fix)
    whole, _, fraction = number.partition(".")
    one = int("1" + "0" * len(fraction))
    size, rest = divmod(int(whole + fraction) * UNITS[unit], one)
    if rest:
        raise UserError(
            f"the size '{text}' is not a whole number of bytes", where=where, fix="round it, or write it in B"
        )
    return size


def parse_share(text: str, where: str = "") -> float:
    """``"2 %"`` as 0.02.

    Raises:
        UserError: not a number of per cent.
    """
    match = _SHARE.fullmatch(text)
    if match is None:
        raise UserError(f"'{text}' is not a share", where=where, fix="write for example: 2 %")
    from decimal import Decimal  # so that a share is the float nearest to what was written

    return float(Decimal(match.group(1)) / 100)


def format_share(share: float) -> str:
    """``0.02`` as ``2 %``, in as many digits as it has."""
    from decimal import Decimal

    text = f"{Decimal(str(share)) * 100:f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def counted(number: int, noun: str) -> str:
    """``1 node``, ``2 nodes``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def short_size(size: int) -> str:
    """``size`` bytes to three digits in a decimal unit: ``205 kB``, ``3.43 MB``; bytes below 1 kB are exact."""
    if abs(size) < 1000:
        return f"{size} B"
    number, unit = float(size), "B"
    for name in ("kB", "MB", "GB"):
        number, unit = size / UNITS[name], name
        if abs(number) < 999.5:  # rounds to three digits; anything more belongs to the next unit
            break
    digits = 2 if abs(number) < 9.995 else 1 if abs(number) < 99.95 else 0
    return f"{number:.{digits}f} {unit}"


def format_size(size: int) -> str:
    """``size`` bytes for people, with the exact bytes beside: ``3.43 MB (3,430,695 bytes)``."""
    return counted(size, "byte") if abs(size) < 1000 else f"{short_size(size)} ({size:,} bytes)"
