"""Zeros between the parts of a file, beyond what aligns them."""

from __future__ import annotations

from compile.audit.findings.evidence import Evidence
from compile.audit.findings.finding import Finding
from compile.units import counted, short_size
from targets.base import Kind

_FINE, _COARSE = 64, 65_536  # bytes: what formats align to where a prefix hides it, and what some systems map files by


def padding(evidence: Evidence) -> tuple[Finding, ...]:
    """Runs of padding longer than it takes to reach an offset as round as the one where they end."""
    excesses = [
        section.end - section.start - (_alignment(section.end) - 1)
        for section in evidence.dissection.sections
        if section.kind is Kind.PADDING
    ]
    long = [excess for excess in excesses if excess > 0]
    if not long or sum(long) < evidence.worth:
        return ()
    what = f"{short_size(sum(long))} of zeros, in {counted(len(long), 'run')}, are more than alignment explains"
    return (Finding("padding", what, "write the file anew, without the gaps", sum(long)),)


def _alignment(offset: int) -> int:
    """The largest power of two that divides ``offset``, within reason."""
    return max(_FINE, min(offset & -offset, _COARSE))
