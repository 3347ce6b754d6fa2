"""Channels of a weight that are zero: bytes and computation for a constant."""

from __future__ import annotations

from collections.abc import Iterator

from compile.audit.findings.evidence import BITS, Evidence, matrix, plain, stored
from compile.audit.findings.finding import Case, Finding, finding
from targets.base import Constant

_SHARE = 1 / 8  # of the channels, at least; fewer may be structure, as the sine of frequency 0 is
_FIX = "leave them out: what a zero output channel gives is constant, and a zero input channel changes nothing"
_SIGNED = ("int8", "int16", "float16", "bfloat16", "float32", "float64")  # of others 0 may stand for something else


def zero_channels(evidence: Evidence) -> tuple[Finding, ...]:
    """Weights of which many whole channels, along their first or last axis, are zero."""
    return finding("zero-channels", _cases(evidence), _FIX, evidence.worth)


def _cases(evidence: Evidence) -> Iterator[Case]:
    for constant in evidence.weights:
        zero, axis = zeros(constant, evidence.content(constant))
        if zero:
            channels = constant.shape[axis]
            end = "last" if axis else "first"
            text = f"{zero:,} of the {channels:,} channels of '{constant.name}' along its {end} axis are zero"
            yield Case(text, stored(constant) // channels * zero, constant.name)


def zeros(constant: Constant, data: bytes) -> tuple[int, int]:
    """How many channels of a weight with the bytes ``data`` are zero, and along which axis: 0 or -1.

    (0, 0) where they are fewer than an eighth, and where they are all: that is no weight.
    """
    if not plain(constant) or not matrix(constant) or constant.dtype not in _SIGNED:
        return 0, 0
    first, last, width = constant.shape[0], constant.shape[-1], BITS[constant.dtype] // 8
    if "float" in constant.dtype:
        data = _without_signs_of_zero(data, width)
    found = ((_zero_rows(data, first), 0, first), (_zero_columns(data, last, width), -1, last))
    zero, axis, channels = max(found, key=lambda entry: entry[0] / entry[2])
    return (zero, axis) if _SHARE * channels <= zero < channels else (0, 0)


def _without_signs_of_zero(data: bytes, width: int) -> bytes:
    """-0.0 has the highest bit alone; other floats stay other than zero without it."""
    plain = bytearray(data)
    plain[width - 1 :: width] = data[width - 1 :: width].replace(b"\x80", b"\0")
    return bytes(plain)


def _zero_rows(data: bytes, rows: int) -> int:
    size = len(data) // rows
    empty = bytes(size)
    return sum(data.startswith(empty, start) for start in range(0, len(data), size))


def _zero_columns(data: bytes, columns: int, width: int) -> int:
    """Row by row, the columns that were zero so far; few rows of trained weights leave none."""
    empty, left = bytes(width), list(range(0, columns * width, width))
    for start in range(0, len(data), columns * width):
        left = [column for column in left if data.startswith(empty, start + column)]
        if not left:
            break
    return len(left)
