"""Names that no runtime needs: values inside a graph may be called anything, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from compile.audit.findings.evidence import Evidence
from compile.audit.findings.finding import Finding
from compile.units import counted, short_size
from targets.base import Kind

if TYPE_CHECKING:  # a format's reader is imported for its files alone
    from targets.onnx.proto import Message

_SHARE = 0.01  # of the artefact that is to be won, at least
_SHORT = 2  # letters that name 2,756 values


def long_names(evidence: Evidence) -> tuple[Finding, ...]:
    """Names in a graph that are 1 % of the file; those of the model's inputs and outputs must stay."""
    least = max(_SHARE * evidence.size, evidence.worth)
    graph = (section for section in evidence.dissection.sections if section.kind is Kind.GRAPH)
    if evidence.suffix not in _WASTED or sum(section.end - section.start for section in graph) < least:
        return ()
    name = next(name for name in evidence.dissection.sizes if name.endswith(evidence.suffix))
    wasted = list(_WASTED[evidence.suffix](evidence.files[name], name))
    if sum(wasted) < least:
        return ()
    what = f"{counted(len(wasted), 'name')} inside the graph take {short_size(sum(wasted))} more than they need"
    return (Finding("long-names", what, _HOW[evidence.suffix], sum(wasted)),)


def _in_onnx(data: bytes, where: str) -> Iterator[int]:
    """Bytes that each mention of a name takes beyond what it needs."""
    from targets.onnx.proto import parse

    for graph in parse(data, where).messages("graph"):
        public = {value.text("name") for field in ("input", "output") for value in graph.messages(field)}
        for text, least in _texts(graph):
            size = len(text.replace("\ufffd", "?").encode())  # of a byte that was no UTF-8, one
            if text not in public and size > least:
                yield size - least


def _texts(graph: Message) -> Iterator[tuple[str, int]]:
    """Each mention of a name in a graph and in those inside, and the bytes that it needs."""
    for field in ("initializer", "value_info"):
        yield from ((entry.text("name"), _SHORT) for entry in graph.messages(field))
    for node in graph.messages("node"):
        yield node.text("name"), 0
        yield from ((text, _SHORT) for field in ("input", "output") for text in node.texts(field))
        for attribute in node.messages("attribute"):
            for field in ("g", "graphs"):
                for body in attribute.messages(field):
                    yield from _texts(body)


def _in_tflite(data: bytes, where: str) -> Iterator[int]:
    """Bytes of the strings that name tensors, their lengths included; those that several tensors share count once."""
    from targets.tflite.flatbuffer import FlatBuffer
    from targets.tflite.network import Network

    main, *others = Network(FlatBuffer(data, where)).graphs
    public = {*main.inputs, *main.outputs}
    tensors = [tensor for index, tensor in enumerate(main.tensors) if index not in public]
    for graph in others:
        tensors += graph.tensors
    names = {name.start: name for name in (tensor.record.vector("name") for tensor in tensors) if name is not None}
    yield from (name.end - name.start for name in names.values())


_WASTED: Mapping[str, Callable[[bytes, str], Iterator[int]]] = {".onnx": _in_onnx, ".tflite": _in_tflite}
_HOW = {
    ".onnx": "leave nodes without names, and name values inside the graph with a letter or two",
    ".tflite": "leave tensors inside the graph without names",
}
