"""Constants that nobody reads."""

from __future__ import annotations

from compile.audit.findings.evidence import Evidence, stored
from compile.audit.findings.finding import Finding, listed
from compile.units import short_size


def unused_tensors(evidence: Evidence) -> tuple[Finding, ...]:
    """Constants without a reader, where there are kernels that could read: a file of weights alone has none."""
    unused = sorted((c for c in evidence.constants if not evidence.is_read(c)), key=stored, reverse=True)
    saves = sum(map(stored, unused))
    if not unused or saves < evidence.worth:
        return ()
    names = [constant.name for constant in unused]
    what = f"nothing reads {listed(names)}, {short_size(saves)}"
    return (Finding("unused-tensors", what, "remove what no operator reads", saves, tuple(names[:3])),)
