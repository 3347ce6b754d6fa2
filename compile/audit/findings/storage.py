"""Elements that take more bytes than their values need, without any loss."""

from __future__ import annotations

import re
import struct

from compile.audit.findings.compressible import compresses
from compile.audit.findings.evidence import Evidence, packed, plain, stored
from compile.audit.findings.finding import Case, Finding, finding
from compile.units import short_size
from targets.base import Constant, Kind

_RULE = "wasteful-storage"
_ROUND = bytes(range(0, 256, 32))
_EXTREME = re.compile(rb"[^\x39-\x46\xb9-\xc6]")  # highest bytes of floats outside 2**-13 to 2**15


def wasteful_storage(evidence: Evidence) -> tuple[Finding, ...]:
    """Varints where raw bytes are shorter, floats that fit a narrower dtype, zero points that may be left out."""
    return (*_varints(evidence), *_halves(evidence), *_zero_points(evidence))


def _varints(evidence: Evidence) -> tuple[Finding, ...]:
    """A negative integer takes ten bytes as a varint."""
    cases = (
        Case(
            f"'{c.name}' takes {short_size(stored(c))} as varints, {short_size(packed(c))} as raw {c.dtype}",
            stored(c) - packed(c),
            c.name,
        )
        for c in evidence.constants
        if c.packed == "varint" and stored(c) > packed(c) > 0
    )
    fix = "write elements to raw_data instead of int32_data, int64_data or uint64_data"
    return finding(_RULE, cases, fix, evidence.worth)


def _halves(evidence: Evidence) -> tuple[Finding, ...]:
    """float32 of which every value is one of float16, because it was one before."""
    cases = (
        Case(
            f"'{c.name}' takes {short_size(stored(c))} as float32, but all its values fit float16 exactly",
            stored(c) // 2,
            c.name,
        )
        for c in evidence.weights
        if c.dtype == "float32" and plain(c) and _fits_half(evidence.content(c))
    )
    fix = "store them as float16 and cast them where they are read, which loses nothing"
    return finding(_RULE, cases, fix, evidence.worth)


def _fits_half(data: bytes) -> bool:
    """The last 13 bits of every float are zero, and float16 reaches it. Without numpy, which takes long to import."""
    if data[0::4].count(0) != len(data) // 4 or data[1::4].translate(None, _ROUND):
        return False
    rare = {data[4 * at : 4 * at + 4] for at in (match.start() for match in _EXTREME.finditer(data[3::4]))}
    return all(map(_is_half, rare)) and not compresses(data)  # what compresses away has a finding of its own


def _is_half(word: bytes) -> bool:
    try:
        return struct.pack("<f", *struct.unpack("<e", struct.pack("<e", *struct.unpack("<f", word)))) == word
    except OverflowError:
        return False


def _zero_points(evidence: Evidence) -> tuple[Finding, ...]:
    """ONNX takes an absent zero point for 0, and runtimes are no slower without those of int32 biases."""
    if evidence.suffix != ".onnx":
        return ()
    cases = (
        Case(f"'{c.name}' is {short_size(stored(c))} of zero points that are all 0", stored(c), c.name)
        for c in evidence.constants
        if _is_bias_zero_point(c) and not any(evidence.content(c))
    )
    return finding(_RULE, cases, "leave them out, for an absent zero point is 0", evidence.worth)


def _is_bias_zero_point(constant: Constant) -> bool:
    return constant.kind is Kind.QUANTIZATION and constant.dtype == "int32"
