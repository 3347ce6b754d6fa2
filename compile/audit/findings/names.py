"""Names that no runtime needs: values may be called anything, nodes nothing."""

from __future__ import annotations

from collections.abc import Iterable

from compile.audit.findings.evidence import Evidence
from compile.audit.findings.finding import Finding
from compile.units import counted, short_size
from targets.base import Kind
from targets.onnx.proto import Message, parse

_SHARE = 0.01  # of the artefact that is to be won, at least
_SHORT = 2  # letters that name 2,756 values


def long_names(evidence: Evidence) -> tuple[Finding, ...]:
    """Names in an ONNX graph that are 1 % of the file; those of inputs and outputs must stay."""
    sections = (s for s in evidence.dissection.sections if s.kind is Kind.GRAPH)
    if evidence.suffix != ".onnx" or sum(s.end - s.start for s in sections) < _SHARE * evidence.size:
        return ()
    name = next(name for name in evidence.files if name.endswith(".onnx"))
    count = saves = 0
    for graph in parse(evidence.files[name], name).messages("graph"):
        public = {value.text("name") for field in ("input", "output") for value in graph.messages(field)}
        for text, least in _texts(graph):
            if text not in public and len(text.encode()) > least:
                count, saves = count + 1, saves + len(text.encode()) - least
    if saves < max(_SHARE * evidence.size, evidence.worth):
        return ()
    what = f"{counted(count, 'name')} of nodes and values inside the graph take {short_size(saves)} more than they need"
    fix = "leave nodes without names, and name values inside the graph with a letter or two"
    return (Finding("long-names", what, fix, saves),)


def _texts(graph: Message) -> Iterable[tuple[str, int]]:
    """Each mention of a name, and the bytes that it needs."""
    for tensor in graph.messages("initializer"):
        yield tensor.text("name"), _SHORT
    for value in graph.messages("value_info"):
        yield value.text("name"), _SHORT
    for node in graph.messages("node"):
        yield node.text("name"), 0
        yield from ((text, _SHORT) for field in ("input", "output") for text in node.texts(field))
        for attribute in node.messages("attribute"):
            for field in ("g", "graphs"):
                for body in attribute.messages(field):
                    yield from _texts(body)
