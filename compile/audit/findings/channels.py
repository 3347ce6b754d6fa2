"""Channels of a weight that are zero: bytes and computation for a constant."""

from __future__ import annotations

from collections.abc import Iterator

from compile.audit.findings.evidence import BITS, Evidence, matrix, plain, stored
from compile.audit.findings.finding import Case, Finding, finding
from targets.base import Constant

_SHARE = 1 / 8  # of the channels, at least; fewer may be structure, as the sine of frequency 0 is
_ROWS = 8  # that tell which columns are worth a look
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
    zero = (bytes(width), bytes(width - 1) + b"\x80") if "float" in constant.dtype else (bytes(width),)  # -0.0, too
    found = ((_zero_rows(data, first, zero), 0, first), (_zero_columns(data, last, zero), -1, last))
    count, axis, channels = max(found, key=lambda entry: entry[0] / entry[2])
    return (count, axis) if _SHARE * channels <= count < channels else (0, 0)


def _zero_rows(data: bytes, rows: int, zero: tuple[bytes, ...]) -> int:
    size = len(data) // rows
    starts = (start for start in range(0, len(data), size) if data.startswith(zero, start))
    return sum(_is_zero(data, slice(start, start + size, len(zero[0])), zero) for start in starts)


def _zero_columns(data: bytes, columns: int, zero: tuple[bytes, ...]) -> int:
    """Of trained weights the first rows leave few columns that can be zero."""
    width = len(zero[0])
    row = columns * width
    left = list(range(0, row, width))
    for start in range(0, min(len(data), _ROWS * row), row):
        left = [column for column in left if data.startswith(zero, start + column)]
    return sum(_is_zero(data, slice(column, len(data), row), zero) for column in left)


def _is_zero(data: bytes, where: slice, zero: tuple[bytes, ...]) -> bool:
    """Every element that begins at ``where`` is one of ``zero``: byte by byte, which is fast however many are."""
    return not any(
        data[where.start + byte : where.stop : where.step].strip(bytes({word[byte] for word in zero}))
        for byte in range(len(zero[0]))
    )
