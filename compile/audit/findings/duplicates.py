"""The same bytes, stored more than once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from compile.audit.findings.evidence import Evidence, stored
from compile.audit.findings.finding import Case, Finding, finding, listed
from compile.units import short_size
from targets.base import Constant, Kind

# How constants share their bytes, by the format.
_HOW = {
    ".onnx": "let their readers name one initializer",
    ".tflite": "let tensors share one buffer, and scales and zero points one vector",
    ".mlpackage": "let operations read one constant",
    ".mlmodel": "convert it to an ML program, where operations can read one constant",
    ".safetensors": "save one of them, and tie the others to it where the file is loaded",
}


def duplicate_tensors(evidence: Evidence) -> tuple[Finding, ...]:
    """Constants of equal dtype, shape and bytes that do not share them; all copies but one are to be won.

    Weights and parameters of quantisation are a finding each. What nobody reads is another rule's.
    """
    how = _HOW.get(evidence.suffix, "store them once")
    groups = list(_groups(evidence))
    return tuple(
        found
        for kind in (Kind.WEIGHTS, Kind.QUANTIZATION)
        for found in finding(
            "duplicate-tensors", (_case(group) for group in groups if group[0].kind is kind), how, evidence.worth
        )
    )


def _groups(evidence: Evidence) -> Iterator[list[Constant]]:
    """Constants that are alike, two or more each; only what agrees in size is read."""
    alike: dict[object, list[Constant]] = defaultdict(list)
    for constant in evidence.constants:
        if evidence.is_read(constant) and not _is_attribute(evidence, constant):
            key = (constant.kind, constant.dtype, constant.shape, constant.packed, stored(constant))
            alike[key].append(constant)
    for group in alike.values():
        equal: dict[bytes, list[Constant]] = defaultdict(list)
        for constant in group if len(group) > 1 else ():
            equal[evidence.content(constant)].append(constant)
        yield from (copies for copies in equal.values() if len(copies) > 1)


def _is_attribute(evidence: Evidence, constant: Constant) -> bool:
    """A tensor inside the node that reads it, which ONNX calls by that node's name: no other node can."""
    return evidence.suffix == ".onnx" and constant.name in constant.readers


def _case(copies: list[Constant]) -> Case:
    size = stored(copies[0])
    names = [constant.name for constant in copies]
    text = f"{listed(names)} each store the same {short_size(size)} of {copies[0].dtype}"
    return Case(text, size * (len(copies) - 1), names[0])
