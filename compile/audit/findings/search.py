"""Every rule in turn, as one visible tuple."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from compile.audit.findings.channels import zero_channels
from compile.audit.findings.compressible import compressible
from compile.audit.findings.dtype import wrong_dtype
from compile.audit.findings.duplicates import duplicate_tensors
from compile.audit.findings.evidence import Evidence
from compile.audit.findings.finding import Finding
from compile.audit.findings.metadata import metadata_share
from compile.audit.findings.names import long_names
from compile.audit.findings.padding import padding
from compile.audit.findings.precisions import same_weight_two_dtypes
from compile.audit.findings.storage import wasteful_storage
from compile.audit.findings.transposes import transposed_copies
from compile.audit.findings.unexplained import unexplained_bytes
from compile.audit.findings.unused import unused_tensors
from targets.base import Dissection, Files

RULES: tuple[Callable[[Evidence], Iterable[Finding]], ...] = (
    unused_tensors,
    duplicate_tensors,
    transposed_copies,
    same_weight_two_dtypes,
    wrong_dtype,
    wasteful_storage,
    zero_channels,
    compressible,
    metadata_share,
    long_names,
    padding,
    unexplained_bytes,
)


def search(dissection: Dissection, files: Files, asked: str = "") -> tuple[Finding, ...]:
    """What there is to say about a dissected artefact, most bytes first.

    Each finding says what its own fix wins; two that are about the same bytes do not add up.

    Args:
        dissection: of the artefact.
        files: its bytes.
        asked: the dtype that its weights should have (``int8``); empty for any.
    """
    evidence = Evidence(dissection, files, asked)
    found = [finding for rule in RULES for finding in rule(evidence)]
    return tuple(sorted(found, key=lambda finding: -finding.saves))
