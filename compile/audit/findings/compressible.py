"""Weights that compress away: bytes that say little."""

from __future__ import annotations

import zlib
from collections import defaultdict
from dataclasses import dataclass

from compile.audit.findings.channels import zeros
from compile.audit.findings.evidence import Evidence, plain, stored
from compile.audit.findings.finding import Case, Finding, finding
from compile.units import short_size

_LIMIT = 0.5  # of their bytes; trained weights deflate to between 0.85 and 0.96, int8, float16 and float32 alike
_PIECES, _PIECE = 8, 512  # that a first guess is made from


@dataclass(frozen=True)
class _Cause:
    """Why bytes compress, and what to do about it."""

    text: str
    fix: str


_ALIKE = _Cause("all its elements are alike", "store one element, and broadcast it in the graph")
_ZEROS = _Cause("most of it is zero", "store it sparsely or in a smaller dtype, or compute it in the graph")
_REPEATS = _Cause(
    "it repeats itself", "store what repeats once, or in fewer bits an element, or compute it in the graph"
)


def compressible(evidence: Evidence) -> tuple[Finding, ...]:
    """Weights that deflate to less than half, by cause; those with zero channels have a finding of their own."""
    cases: dict[_Cause, list[Case]] = defaultdict(list)
    for constant in filter(plain, evidence.weights):
        data = evidence.content(constant)
        if compresses(data) and not zeros(constant, data)[0]:
            left = _deflated(data, 6)
            cause = _cause(data)
            text = f"'{constant.name}' of {short_size(stored(constant))} deflates to {short_size(left)}: {cause.text}"
            cases[cause].append(Case(text, len(data) - left, constant.name))
    return tuple(
        found for cause, of_it in cases.items() for found in finding("compressible", of_it, cause.fix, evidence.worth)
    )


def compresses(data: bytes) -> bool:
    """It deflates to less than half: a guess from pieces of it first, for deflating all that is large takes long."""
    step = len(data) // _PIECES
    pieces = b"".join(data[start : start + _PIECE] for start in range(0, len(data), step)) if step > _PIECE else data
    return _deflated(pieces, 1) < _LIMIT * len(pieces) and _deflated(data, 6) < _LIMIT * len(data)


def _deflated(data: bytes, level: int) -> int:
    return len(zlib.compress(data, level))


def _cause(data: bytes) -> _Cause:
    for width in (1, 2, 4, 8):
        if len(data) % width == 0 and data == data[:width] * (len(data) // width):
            return _ALIKE
    return _ZEROS if data.count(0) > _LIMIT * len(data) else _REPEATS
