"""Bytes that nothing which the format knows refers to."""

from __future__ import annotations

from compile.audit.findings.evidence import Evidence
from compile.audit.findings.finding import Finding
from compile.units import counted, short_size
from targets.base import Kind


def unexplained_bytes(evidence: Evidence) -> tuple[Finding, ...]:
    """What is ``[unmapped]``: a tail that somebody appended, files that a package does not mention, unknown fields."""
    sections = [section for section in evidence.dissection.sections if section.kind is Kind.UNMAPPED]
    saves = sum(section.end - section.start for section in sections)
    if not sections or saves < evidence.worth:
        return ()
    largest = max(sections, key=lambda section: section.end - section.start)
    where = f"the longest at byte {largest.start:,} of {largest.file}"
    what = f"nothing refers to {short_size(saves)} in {counted(len(sections), 'run')}, {where}"
    fix = "write the file anew, unless a reader of your own wants them"
    return (Finding("unexplained-bytes", what, fix, saves),)
