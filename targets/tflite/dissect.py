"""What the bytes of a ``.tflite`` file are for, read without a runtime and without trust."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace

from compile.errors import UserError
from targets.base import Dissection, Files, Kind, Section
from targets.sections import cover
from targets.tflite.attached import attached
from targets.tflite.batch import of_one
from targets.tflite.beside import unknown, variables
from targets.tflite.constants import PARAMETERS, constants
from targets.tflite.flatbuffer import FlatBuffer, Record, References, Vector
from targets.tflite.lifetimes import ALIGNMENT, lifetimes, unfolded
from targets.tflite.network import Graph, Network
from targets.tflite.tables import IDENTIFIER

_MAX_TEXT = 1 << 16  # bytes of a metadata entry worth showing


def dissect(files: Files) -> Dissection:
    """Label every byte of the one file, and read how long its activations live.

    Activations are those of the main subgraph, one step an operator. As in LiteRT, an input is never overwritten.
    What kernels take as scratch memory is theirs and not in the file.

    Raises:
        UserError: the file is not a well-formed TFLite model.
    """
    name, data = next(iter(files.items()))
    if data[4:8] != IDENTIFIER:
        raise UserError("not a TFLite file: its identifier is missing", where=name, fix="the file is of another format")
    network = Network(FlatBuffer(data, name))
    single = of_one(network)
    known, unsized = lifetimes(single or network.graphs[0])
    stored, unsaid = variables(network)
    return Dissection(
        sizes={name: len(data)},
        sections=cover(name, data, _Labels(network).spans()),
        lifetimes=(*known, *stored),
        metadata=_metadata(network),
        unknown=(*unsized, *unsaid, *unknown(network)),
        constants=tuple(constants(network)),
        steps=tuple(node.layer for node in network.graphs[0].nodes),
        alignment=ALIGNMENT,
        notes=(*_BATCH[: bool(single)], *_notes(single or network.graphs[0])),
    )


class _Labels:
    """A labelled span for each thing that the format knows; what is shared comes more than once."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.where = network.flatbuffer.where
        self.labels: dict[Record, tuple[str, str]] = {}  # layer and operator of the tables of tensors and operators
        for graph in reversed(network.graphs):  # the main subgraph's names win where tables are shared
            self.labels.update({node.record: (node.layer, node.operator) for node in graph.nodes})
            self.labels.update({tensor.record: (tensor.layer, tensor.operator) for tensor in graph.tensors})
        self.done: set[Record] = set()
        self.tails: list[Section] = []

    def spans(self) -> Iterator[Section]:
        """Everything in the file."""
        firm = [
            Section(self.where, 0, 8, Kind.GRAPH),
            *attached(self.where, self.network.flatbuffer.data),
            *self.buffers(),
            *self.structure(self.network.root, Kind.GRAPH, ("", "")),
        ]
        yield from firm
        # Where a table's last field ends is not always known, and what its vtable says may be another table's length.
        starts = sorted(span.start for span in firm)
        for tail in self.tails:
            following = bisect_left(starts, tail.start)
            free = starts[following] if following < len(starts) else tail.end
            yield replace(tail, end=max(tail.start, min(tail.end, free)))

    def buffers(self) -> Iterator[Section]:
        """The contents of buffers, named after what uses them."""
        network = self.network
        labels = {buffer: (Kind.METADATA, name, "", "") for buffer, name in network.notes().items()}
        for graph in network.graphs:
            for tensor in graph.tensors:
                kind = Kind.QUANTIZATION if tensor.parameter else Kind.WEIGHTS
                labels.setdefault(tensor.buffer, (kind, tensor.layer, tensor.dtype, tensor.operator))
        for index, buffer in enumerate(network.buffers):
            kind, layer, dtype, operator = labels.get(buffer, (Kind.WEIGHTS, f"buffer {index} (unused)", "", ""))
            for start, end in network.contents(buffer):
                yield Section(self.where, start, end, kind, layer, dtype, operator=operator)

    def structure(self, record: Record, kind: Kind, label: tuple[str, str]) -> Iterator[Section]:
        """Tables, vtables, strings and vectors under ``record``."""
        if record in self.done:
            return
        self.done.add(record)
        layer, operator = label = self.labels.get(record, label)
        yield Section(self.where, *record.vtable, Kind.GRAPH)
        whole = Section(self.where, record.start, record.stated, kind, layer, operator=operator)
        yield replace(whole, end=record.end)
        self.tails.append(replace(whole, start=record.end))
        for field, value in record.fields.items():
            inner = Kind.METADATA if (record.table, field) in _METADATA else kind
            if isinstance(value, Record):
                yield from self.structure(value, inner, label)
            elif isinstance(value, References):
                yield Section(self.where, value.start, value.end, inner, layer, operator=operator)
                for child in value.records:
                    yield from self.structure(child, inner, label)
            elif isinstance(value, Vector):
                yield from self.vector(record.table, field, value, inner, label)
        offset = record.integer("large_custom_options_offset") if record.table == "Operator" else 0
        if offset > 1:
            end = offset + record.integer("large_custom_options_size")
            yield Section(self.where, offset, end, kind, layer, operator=operator)

    def vector(self, table: str, field: str, vector: Vector, kind: Kind, label: tuple[str, str]) -> Iterator[Section]:
        """A vector: its length in front belongs to the structure, also where its elements are something else."""
        layer, operator = label
        dtype = ""
        if table == "QuantizationParameters":
            kind, dtype = Kind.QUANTIZATION, PARAMETERS[field]
        elif table in _SPARSE:
            kind, dtype = Kind.WEIGHTS, _SPARSE[table]
        elif table != "Buffer":
            yield Section(self.where, vector.start, vector.end, kind, layer, operator=operator)
            return
        yield Section(self.where, vector.start, vector.data, Kind.GRAPH, layer, operator=operator)
        if table != "Buffer":  # whose elements buffers() labels
            yield Section(self.where, vector.data, vector.end, kind, layer, dtype, operator=operator)


# Which elements of a sparse constant its buffer holds: as much a part of it as the elements.
_SPARSE = {"SparsityParameters": "int32", "Int32Vector": "int32", "Uint16Vector": "uint16", "Uint8Vector": "uint8"}
_BATCH = ("activations are those of a batch of 1, whose size the file leaves open",)
_METADATA = {("Model", "description"), ("Model", "metadata"), ("Model", "metadata_buffer")}


def _notes(graph: Graph) -> Iterator[str]:
    """What LiteRT may take beyond the activations."""
    layer, most = max(unfolded(graph), key=lambda entry: entry[1], default=("", 0))
    if most:
        yield f"without XNNPACK, '{layer}' takes {most:,} bytes of scratch memory more, which are not counted"


def _metadata(network: Network) -> dict[str, str]:
    """Metadata entries that are text, by name, and the description; phiz's own entry as its ``phiz.*`` keys."""
    found = {"description": network.text(network.root, "description")[:_MAX_TEXT]}
    left = len(network.flatbuffer.data)  # entries may share a buffer
    for entry in network.root.records("metadata"):
        for start, end in network.contents(network.buffer(entry)):
            if end - start <= min(_MAX_TEXT, left):
                left -= end - start
                found[network.text(entry, "name")] = _as_text(network.flatbuffer.data[start:end])
    found.update(_entries(found.pop("phiz", "")))
    return {name: text for name, text in sorted(found.items()) if text}


def _entries(text: str) -> dict[str, str]:
    """The strings of a JSON object; none where the text is no such object."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return {key: value for key, value in data.items() if isinstance(value, str)} if isinstance(data, dict) else {}


def _as_text(raw: bytes) -> str:
    """UTF-8 with trailing zeros removed; empty when it is something else."""
    try:
        text = raw.decode("utf-8").rstrip("\0")
    except UnicodeDecodeError:
        return ""
    return "" if "\0" in text else text
