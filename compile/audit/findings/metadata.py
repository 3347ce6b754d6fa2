"""Bytes for people and tools that travel with the model."""

from __future__ import annotations

from collections import Counter

from compile.audit.findings.evidence import Evidence
from compile.audit.findings.finding import SHOWN, Finding
from compile.units import counted, short_size
from targets.base import Kind

_SHARE = 0.02  # of the artefact; what a runtime has to know of a speech student takes a tenth of it
_LEAST = 1000  # bytes
_OURS = "phiz."
_NEEDED = "/Manifest.json"  # of a package, without which it does not load

_HOW = {
    ".onnx": "remove doc_string and metadata_props of nodes and values, where exporters keep stack traces",
    ".tflite": "remove the metadata entries that the app does not read",
    ".mlpackage": "remove the user-defined metadata that the app does not read",
    ".safetensors": "remove what nobody reads of __metadata__",
}


def metadata_share(evidence: Evidence) -> tuple[Finding, ...]:
    """Metadata above 2 % of the artefact and 1 kB, without what phiz tells whoever runs its models."""
    sizes: Counter[str] = Counter()
    for section in evidence.dissection.sections:
        if section.kind is Kind.METADATA and not section.file.endswith(_NEEDED):
            sizes[section.layer] += section.end - section.start
    facts = evidence.dissection.metadata.items()
    ours = sum(len(f"{key}{text}".encode("utf-8", "replace")) for key, text in facts if key.startswith(_OURS))
    saves = sum(sizes.values()) - ours
    if saves < _LEAST or saves < _SHARE * evidence.size:
        return ()
    own = sizes.pop("", 0)
    whole = sum(sizes.values()) + own
    parts = [f"{short_size(own)} about the model as a whole"] if own else []
    if sizes:
        parts.append(f"{short_size(whole - own)} in {counted(len(sizes), 'note')} about its parts")
    what = f"metadata is {whole / evidence.size:.0%} of the file: {' and '.join(parts)}"
    layers = tuple(layer for layer, _ in sizes.most_common(SHOWN))
    return (Finding("metadata-share", what, _HOW.get(evidence.suffix, "remove it"), saves, layers),)
