"""A ``.tflite`` file as tensors and operators with names; every index is checked.

How the bytes are laid out is ``flatbuffer.py``'s business, and what they are for ``dissect.py``'s. This is the network
that both speak of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

from compile.errors import UserError
from targets.tflite.flatbuffer import FlatBuffer, Record, Vector
from targets.tflite.tables import OPERATORS, RESOURCE, TYPES
from targets.wire import malformed

ABSENT = -1  # the index of an optional operand that is not there
OUTPUT = "(output)"
_MAX_RANK = 32  # far above any runtime's; what claims more is corrupt
_MAX_BYTES = 1 << 47  # of one tensor: no process can address more


@dataclass(frozen=True)
class Tensor:
    """A tensor of a subgraph.

    Attributes:
        record: its table.
        buffer: the table of what holds its elements, if anything does.
        layer: its name, or the layer that makes or else reads it.
        operator: type of the operator that makes or else first reads it; empty without one.
        dtype: numpy name of its elements; empty where they have no fixed size.
        shape: in elements; -1 for a dimension that is not fixed.
        stated: the same, with what the file states in its place.
        size: bytes; None when its shape or type has no fixed size.
        nominal: bytes in the shape that is stated; None when its type has no fixed size.
        constant: this file, or another that it names, holds its elements.
        variable: it keeps its elements from one run to the next.
        handle: it stands for a variable or a table whose memory is elsewhere.
        parameter: it holds the scales or zero points of another tensor, and is read with it.
        readers: the layers that read it, in order; ``OUTPUT`` is last where it is a result of the graph.
    """

    record: Record
    buffer: Record
    layer: str
    operator: str
    dtype: str
    shape: tuple[int, ...]
    stated: tuple[int, ...]
    size: int | None
    nominal: int | None
    constant: bool
    variable: bool
    handle: bool
    parameter: bool
    readers: tuple[str, ...]


@dataclass(frozen=True)
class Node:
    """An operator of a subgraph: its operands are indices of tensors, or ABSENT."""

    record: Record
    layer: str
    operator: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    intermediates: tuple[int, ...]


@dataclass(frozen=True)
class Graph:
    """A subgraph, its nodes in the order of execution."""

    name: str
    tensors: tuple[Tensor, ...]
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class Network:
    """A parsed file."""

    def __init__(self, flatbuffer: FlatBuffer) -> None:
        self.flatbuffer = flatbuffer
        self.root = flatbuffer.root("Model")
        self.buffers = self.root.records("buffers")
        self.codes = self.root.records("operator_codes")
        self.visits = 0
        subgraphs = self.root.records("subgraphs")
        if not subgraphs:
            raise UserError("it has no subgraph", where=flatbuffer.where, fix="the file is empty or corrupt")
        self.graphs = tuple(self._graph(index, subgraph) for index, subgraph in enumerate(subgraphs))

    def contents(self, buffer: Record) -> Iterator[tuple[int, int]]:
        """Where a buffer's bytes lie: inside the flatbuffer, or behind it by absolute offset."""
        data = buffer.vector("data")
        if data is not None and data.count:
            yield data.data, data.data_end
        if buffer.integer("offset") > 1:  # 0 and 1 say that the buffer is inside
            yield buffer.integer("offset"), buffer.integer("offset") + buffer.integer("size")

    def buffer(self, user: Record) -> Record:
        """The buffer that a tensor or an entry of the metadata refers to."""
        index = user.integer("buffer")
        if index >= len(self.buffers):
            raise malformed(self.flatbuffer.where, user.start)
        return self.buffers[index]

    def notes(self) -> dict[Record, str]:
        """Buffers that hold metadata, by its name; what older converters wrote has none."""
        listed = self.flatbuffer.values(self.root.vector("metadata_buffer"))
        found = {self.buffers[index]: "metadata" for index in listed if 0 <= index < len(self.buffers)}
        return found | {self.buffer(entry): self.text(entry, "name") for entry in self.root.records("metadata")}

    def text(self, record: Record, field: str) -> str:
        """A string of a table; empty when absent."""
        return self.flatbuffer.text(record.vector(field))

    def _graph(self, index: int, subgraph: Record) -> Graph:
        prefix = f"subgraph {index} " if index else ""
        tensors = subgraph.records("tensors")
        self._visit(len(tensors), subgraph)
        nodes = tuple(
            self._node(operator, f"{prefix}op {number}", len(tensors))
            for number, operator in enumerate(subgraph.records("operators"))
        )
        makers: dict[int, Node] = {}
        readers: dict[int, list[Node]] = {}
        for node in nodes:
            for operand in node.outputs:
                makers.setdefault(operand, node)
            for operand in dict.fromkeys(node.inputs):
                readers.setdefault(operand, []).append(node)
        inputs, outputs = (self._indices(subgraph, field, len(tensors)) for field in ("inputs", "outputs"))
        owners = {part: number for number, record in enumerate(tensors) for part in _parameters(record)}
        results = set(outputs)
        made: list[Tensor] = []
        for number, record in enumerate(tensors):
            users = readers.get(owners.get(number, number), [])
            tensor = self._tensor(record, f"{prefix}tensor {number}", makers.get(number), users)
            last = (OUTPUT,) if number in results else ()
            made.append(replace(tensor, parameter=number in owners, readers=(*tensor.readers, *last)))
        return Graph(self.text(subgraph, "name"), tuple(made), nodes, inputs, outputs)

    def _node(self, record: Record, label: str, tensors: int) -> Node:
        self._visit(1, record)
        operator = self._code(record)
        operands = (self._indices(record, field, tensors) for field in ("inputs", "outputs", "intermediates"))
        return Node(record, f"{label} {operator}", operator, *operands)

    def _code(self, operator: Record) -> str:
        """The operator's name; a custom operator's own."""
        index = operator.integer("opcode_index")
        if index >= len(self.codes):
            raise malformed(self.flatbuffer.where, operator.start)
        code = self.codes[index]
        number = max(code.integer("builtin_code"), code.integer("deprecated_builtin_code"))
        builtin = OPERATORS[number] if 0 <= number < len(OPERATORS) else f"builtin {number}"
        return self.text(code, "custom_code") or builtin

    def _tensor(self, record: Record, label: str, maker: Node | None, readers: list[Node]) -> Tensor:
        sizes, signature = (self._shape(record, field) for field in ("shape", "shape_signature"))
        dtype, bits = TYPES.get(record.integer("type"), ("", 0))
        shape = tuple(-1 if -1 in pair else pair[0] for pair in zip(sizes, signature or sizes, strict=False))
        nominal = (prod(sizes) * bits + 7) // 8 if bits and min(sizes, default=0) >= 0 else None
        name = self.text(record, "name")
        if nominal is not None and nominal > _MAX_BYTES:
            raise UserError(
                f"tensor '{name or label}' would take {nominal:,} bytes",
                where=self.flatbuffer.where,
                fix="the file is corrupt: no machine can hold it",
            )
        user = maker or next(iter(readers), None)
        buffer = self.buffer(record)
        return Tensor(
            record=record,
            buffer=buffer,
            layer=name or (user.layer if user else label),
            operator=user.operator if user else "",
            dtype=dtype,
            shape=shape if len(shape) == len(sizes) else sizes,
            stated=sizes,
            size=nominal if min(signature, default=0) >= 0 else None,
            nominal=nominal,
            constant=any(True for _ in self.contents(buffer)) or record.integer("external_buffer") != 0,
            variable=record.integer("is_variable") != 0,
            handle=record.integer("type") == RESOURCE,
            parameter=False,
            readers=tuple(node.layer for node in readers),
        )

    def _shape(self, tensor: Record, field: str) -> tuple[int, ...]:
        vector = tensor.vector(field)
        if vector is not None and vector.count > _MAX_RANK:
            raise malformed(self.flatbuffer.where, tensor.start)
        return self.flatbuffer.values(vector)

    def _indices(self, record: Record, field: str, tensors: int) -> tuple[int, ...]:
        """Operands: indices of tensors, or ABSENT."""
        vector: Vector | None = record.vector(field)
        self._visit(vector.count if vector else 0, record)
        indices = self.flatbuffer.values(vector)
        if indices and not ABSENT <= min(indices) <= max(indices) < tensors:
            raise malformed(self.flatbuffer.where, record.start)
        return indices

    def _visit(self, count: int, record: Record) -> None:
        """Each tensor, operator and operand takes four bytes, and we look at it few times: more is a repetition."""
        self.visits += count
        if self.visits > len(self.flatbuffer.data):
            raise malformed(self.flatbuffer.where, record.start)


def _parameters(tensor: Record) -> Iterator[int]:
    """The tensors that hold the scales and zero points of a tensor quantised by blocks."""
    record = tensor.fields.get("quantization")
    details = record.fields.get("details") if isinstance(record, Record) else None
    if isinstance(details, Record):
        yield from (details.integer(field) for field in ("scales", "zero_points") if field in details.fields)
