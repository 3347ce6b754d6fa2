"""What the bytes of a ``.tflite`` file are for, read without a runtime and without trust."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from compile.errors import UserError
from targets.base import Dissection, Files, Kind, Lifetime, Section
from targets.sections import cover
from targets.tflite.flatbuffer import FlatBuffer, Record, References, Vector
from targets.tflite.tables import IDENTIFIER, OPERATORS, TYPES
from targets.wire import malformed

_MAX_RANK = 32  # far above any runtime's; what claims more is corrupt
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
    model = _Model(FlatBuffer(data, name))
    lifetimes, unknown = model.lifetimes()
    return Dissection(
        sizes={name: len(data)},
        sections=cover(name, data, model.spans()),
        lifetimes=tuple(lifetimes),
        metadata=model.metadata(),
        unknown=(*unknown, *model.elsewhere()),
    )


@dataclass(frozen=True)
class _Operand:
    """A tensor as the rest of the file sees it; ``size`` is None when its shape or type has no fixed size."""

    layer: str
    dtype: str
    size: int | None
    constant: bool
    variable: bool


class _Model:
    """A parsed file, with its tensors named."""

    def __init__(self, flatbuffer: FlatBuffer) -> None:
        self.flatbuffer = flatbuffer
        self.root = flatbuffer.root("Model")
        self.buffers = self.root.records("buffers")
        self.subgraphs = self.root.records("subgraphs")
        self.visits = 0
        if not self.subgraphs:
            raise UserError("it has no subgraph", where=flatbuffer.where, fix="the file is empty or corrupt")
        self.layers: dict[Record, str] = {}  # of tensors and operators
        for index in reversed(range(len(self.subgraphs))):  # the main subgraph's names win where tables are shared
            self.name_layers(index, self.subgraphs[index])

    def name_layers(self, index: int, subgraph: Record) -> None:
        """Tensors by their names, or by the operator that makes or else reads them."""
        prefix = f"subgraph {index} " if index else ""
        tensors = subgraph.records("tensors")
        users: dict[int, str] = {}
        steps = tuple(enumerate(subgraph.records("operators")))
        self.visit(len(tensors) + len(steps), subgraph)
        for number, operator in steps:
            label = f"{prefix}op {number} {self.code(operator)}"
            self.layers[operator] = label
            for tensor in self.operand_indices(operator, "outputs"):
                users.setdefault(tensor, label)
        for _, operator in steps:
            for tensor in self.operand_indices(operator, "inputs"):
                users.setdefault(tensor, self.layers[operator])
        for number, record in enumerate(tensors):
            name = self.flatbuffer.text(record.vector("name"))
            self.layers[record] = name or users.get(number, f"{prefix}tensor {number}")

    def code(self, operator: Record) -> str:
        """The operator's name; a custom operator's own."""
        codes = self.root.records("operator_codes")
        index = operator.integer("opcode_index")
        if index >= len(codes):
            raise malformed(self.flatbuffer.where, operator.start)
        custom = self.flatbuffer.text(codes[index].vector("custom_code"))
        number = max(codes[index].integer("builtin_code"), codes[index].integer("deprecated_builtin_code"))
        return custom or (OPERATORS[number] if 0 <= number < len(OPERATORS) else f"builtin {number}")

    def operand_indices(self, record: Record, field: str) -> tuple[int, ...]:
        """Tensor indices, without the -1 of absent optional operands."""
        vector = record.vector(field)
        self.visit(vector.count if vector else 0, record)
        return tuple(index for index in self.flatbuffer.values(vector) if index != -1)

    def visit(self, count: int, record: Record) -> None:
        """Each tensor, operator and operand takes four bytes, and we look at it few times: more is a repetition."""
        self.visits += count
        if self.visits > 4 * len(self.flatbuffer.data):
            raise malformed(self.flatbuffer.where, record.start)

    def operand(self, tensor: Record) -> _Operand:
        shape = tensor.vector("shape")
        signature = tensor.vector("shape_signature")
        if max(vector.count if vector else 0 for vector in (shape, signature)) > _MAX_RANK:
            raise malformed(self.flatbuffer.where, tensor.start)
        sizes = self.flatbuffer.values(shape)
        dtype, bits = TYPES.get(tensor.integer("type"), ("", 0))
        fixed = bits and min((*sizes, *self.flatbuffer.values(signature)), default=0) >= 0
        buffer = self.buffer(tensor.integer("buffer"), tensor)
        return _Operand(
            layer=self.layers[tensor],
            dtype=dtype,
            size=(prod(sizes) * bits + 7) // 8 if fixed else None,
            constant=_holds_data(buffer) or tensor.integer("external_buffer") != 0,
            variable=tensor.integer("is_variable") != 0,
        )

    def buffer(self, index: int, user: Record) -> Record:
        if index >= len(self.buffers):
            raise malformed(self.flatbuffer.where, user.start)
        return self.buffers[index]

    def spans(self) -> Iterator[Section]:
        """A labelled span for each thing that the format knows; what is shared comes more than once."""
        where = self.flatbuffer.where
        yield Section(where, 0, 8, Kind.GRAPH)
        done: set[Record] = set()
        yield from self.constants()
        yield from self.structure(self.root, Kind.GRAPH, "", done)

    def constants(self) -> Iterator[Section]:
        """The contents of buffers, named after what uses them."""
        labels: dict[Record, tuple[Kind, str, str]] = {}
        for entry in self.root.records("metadata"):
            buffer = self.buffer(entry.integer("buffer"), entry)
            labels[buffer] = (Kind.METADATA, self.flatbuffer.text(entry.vector("name")), "")
        for subgraph in self.subgraphs:
            for tensor in subgraph.records("tensors"):
                operand = self.operand(tensor)
                buffer = self.buffer(tensor.integer("buffer"), tensor)
                labels.setdefault(buffer, (Kind.WEIGHTS, operand.layer, operand.dtype))
        for index, buffer in enumerate(self.buffers):
            kind, layer, dtype = labels.get(buffer, (Kind.WEIGHTS, f"buffer {index} (unused)", ""))
            for start, end in self.contents(buffer):
                yield Section(self.flatbuffer.where, start, end, kind, layer, dtype)

    def contents(self, buffer: Record) -> Iterator[tuple[int, int]]:
        """Where a buffer's bytes lie: inside the flatbuffer, or behind it by absolute offset."""
        data = buffer.vector("data")
        if data is not None and data.count:
            yield data.data, data.data_end
        if buffer.integer("offset") > 1:  # 0 and 1 say that the buffer is inside
            yield buffer.integer("offset"), buffer.integer("offset") + buffer.integer("size")

    def structure(self, record: Record, kind: Kind, layer: str, done: set[Record]) -> Iterator[Section]:
        """Tables, vtables, strings and vectors under ``record``."""
        if record in done:
            return
        done.add(record)
        where = self.flatbuffer.where
        layer = self.layers.get(record, layer)
        yield Section(where, *record.vtable, Kind.GRAPH)
        yield Section(where, record.start, record.end, kind, layer)
        for field, value in record.fields.items():
            inner = Kind.METADATA if (record.table, field) in _METADATA else kind
            if isinstance(value, Record):
                yield from self.structure(value, inner, layer, done)
            elif isinstance(value, References):
                yield Section(where, value.start, value.end, inner, layer)
                for child in value.records:
                    yield from self.structure(child, inner, layer, done)
            elif isinstance(value, Vector):
                yield from self.vector(record.table, value, inner, layer)
        offset = record.integer("large_custom_options_offset") if record.table == "Operator" else 0
        if offset > 1:
            yield Section(where, offset, offset + record.integer("large_custom_options_size"), kind, layer)

    def vector(self, table: str, vector: Vector, kind: Kind, layer: str) -> Iterator[Section]:
        """A vector: its length in front belongs to the structure, also where its elements are something else."""
        where = self.flatbuffer.where
        if table == "QuantizationParameters":
            dtype = {"f32": "float32", "i64": "int64"}[vector.element]
            yield Section(where, vector.start, vector.data, Kind.GRAPH, layer)
            yield Section(where, vector.data, vector.end, Kind.QUANTIZATION, layer, dtype)
        elif table in _SPARSE:
            yield Section(where, vector.start, vector.data, Kind.GRAPH, layer)
            yield Section(where, vector.data, vector.end, Kind.WEIGHTS, layer, _SPARSE[table])
        elif table == "Buffer":  # its elements are labelled by constants()
            yield Section(where, vector.start, vector.data, Kind.GRAPH, layer)
        else:
            yield Section(where, vector.start, vector.end, kind, layer)

    def lifetimes(self) -> tuple[list[Lifetime], list[str]]:
        """Lifetimes of the main subgraph's activations, and the names of those whose size is unknown."""
        subgraph = self.subgraphs[0]
        tensors = [self.operand(tensor) for tensor in subgraph.records("tensors")]
        operators = subgraph.records("operators")
        final = max(len(operators) - 1, 0)
        alive: dict[int, tuple[int, int]] = {}

        def touch(record: Record, field: str, first: int, last: int) -> None:
            for index in self.operand_indices(record, field):
                if not 0 <= index < len(tensors):
                    raise malformed(self.flatbuffer.where, record.start)
                before = alive.get(index, (first, last))
                alive[index] = (min(before[0], first), max(before[1], last))

        touch(subgraph, "inputs", 0, final)
        for step, operator in enumerate(operators):
            for field in ("inputs", "outputs", "intermediates"):
                touch(operator, field, step, step)
            # LiteRT dequantises a constant once and keeps the result for as long as the model is loaded.
            if self.code(operator) == "DEQUANTIZE":
                constant = all(tensors[index].constant for index in self.operand_indices(operator, "inputs"))
                touch(operator, "outputs", *((0, final) if constant else (step, step)))
        touch(subgraph, "outputs", final, final)
        lifetimes, unknown = [], []
        for index, (first, last) in sorted(alive.items()):
            tensor = tensors[index]
            if tensor.constant:
                continue
            if tensor.size is None:
                unknown.append(f"the size of activation '{tensor.layer}'")
            else:
                span = (0, final) if tensor.variable else (first, last)
                lifetimes.append(Lifetime(tensor.layer, tensor.size, *span))
        return lifetimes, unknown

    def elsewhere(self) -> Iterator[str]:
        """What this file uses but does not hold, or runs beside its main subgraph."""
        for index, subgraph in enumerate(self.subgraphs):
            if index:
                yield f"the activations of subgraph {index} '{self.flatbuffer.text(subgraph.vector('name'))}'"
        for group in self.root.records("external_buffer_groups"):
            yield f"the weights in '{self.flatbuffer.text(group.vector('name'))}'"

    def metadata(self) -> dict[str, str]:
        """Metadata entries that are text, by name, and the description; phiz's own entry as its ``phiz.*`` keys."""
        found = {"description": self.flatbuffer.text(self.root.vector("description"))[:_MAX_TEXT]}
        for entry in self.root.records("metadata"):
            for start, end in self.contents(self.buffer(entry.integer("buffer"), entry)):
                if end - start <= _MAX_TEXT:
                    name = self.flatbuffer.text(entry.vector("name"))
                    found[name] = _as_text(self.flatbuffer.data[start:end])
        found.update(_entries(found.pop("phiz", "")))
        return {name: text for name, text in sorted(found.items()) if text}


# Which elements of a sparse constant its buffer holds: as much a part of it as the elements.
_SPARSE = {"SparsityParameters": "int32", "Int32Vector": "int32", "Uint16Vector": "uint16", "Uint8Vector": "uint8"}
_METADATA = {("Model", "description"), ("Model", "metadata"), ("Model", "metadata_buffer")}


def _entries(text: str) -> dict[str, str]:
    """The strings of a JSON object; none where the text is no such object."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return {key: value for key, value in data.items() if isinstance(value, str)} if isinstance(data, dict) else {}


def _holds_data(buffer: Record) -> bool:
    data = buffer.vector("data")
    return bool(data and data.count) or buffer.integer("offset") > 1


def _as_text(raw: bytes) -> str:
    """UTF-8 with trailing zeros removed; empty when it is something else."""
    try:
        text = raw.decode("utf-8").rstrip("\0")
    except UnicodeDecodeError:
        return ""
    return "" if "\0" in text else text
