"""Every rule in turn."""

from __future__ import annotations

from compile.audit.findings.finding import Finding
from targets.base import Dissection, Files


def search(dissection: Dissection, files: Files, asked: str = "") -> tuple[Finding, ...]:
    """What there is to say about a dissected artefact, most bytes first.

    Args:
        dissection: of the artefact.
        files: its bytes.
        asked: the dtype that its weights should have (``int8``); empty for any.
    """
    del dissection, files, asked
    return ()
