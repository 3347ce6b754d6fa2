"""The ONNX messages as data, and a walker that keeps every field's place in the file.

Source: ``onnx.proto``, IR version 13. A field is ``name`` or ``name:Message``; numbers that are absent here are
fields that we cannot explain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from compile.errors import UserError
from targets.wire import BYTES, VARINT, Field, fields, malformed, signed, varint

_NAMED = {1: "name", 2: "type:TypeProto", 3: "doc_string", 4: "metadata_props:Entry"}
MAX_FIELDS = 500_000  # of a file; each takes memory many times its size, and a network of 10,000 nodes has fewer
_RANK, _MOST = 64, 1 << 48  # axes and elements of a tensor; no memory holds more
_MAX_DEPTH = 64  # of messages in messages; onnx's own reader stops at 100

MESSAGES: Mapping[str, Mapping[int, str]] = {
    "ModelProto": {
        1: "ir_version",
        2: "producer_name",
        3: "producer_version",
        4: "domain",
        5: "model_version",
        6: "doc_string",
        7: "graph:GraphProto",
        8: "opset_import:OperatorSetId",
        14: "metadata_props:Entry",
        20: "training_info:TrainingInfoProto",
        25: "functions:FunctionProto",
        26: "configuration:DeviceConfiguration",
    },
    "GraphProto": {
        1: "node:NodeProto",
        2: "name",
        5: "initializer:TensorProto",
        10: "doc_string",
        11: "input:ValueInfoProto",
        12: "output:ValueInfoProto",
        13: "value_info:ValueInfoProto",
        14: "quantization_annotation:TensorAnnotation",
        15: "sparse_initializer:SparseTensorProto",
        16: "metadata_props:Entry",
    },
    "NodeProto": {
        1: "input",
        2: "output",
        3: "name",
        4: "op_type",
        5: "attribute:AttributeProto",
        6: "doc_string",
        7: "domain",
        8: "overload",
        9: "metadata_props:Entry",
        10: "device_configurations",
    },
    "AttributeProto": {
        1: "name",
        2: "f",
        3: "i",
        4: "s",
        5: "t:TensorProto",
        6: "g:GraphProto",
        7: "floats",
        8: "ints",
        9: "strings",
        10: "tensors:TensorProto",
        11: "graphs:GraphProto",
        13: "doc_string",
        14: "tp:TypeProto",
        15: "type_protos:TypeProto",
        20: "type",
        21: "ref_attr_name",
        22: "sparse_tensor:SparseTensorProto",
        23: "sparse_tensors:SparseTensorProto",
    },
    "TensorProto": {
        1: "dims",
        2: "data_type",
        3: "segment",
        4: "float_data",
        5: "int32_data",
        6: "string_data",
        7: "int64_data",
        8: "name",
        9: "raw_data",
        10: "double_data",
        11: "uint64_data",
        12: "doc_string",
        13: "external_data:Entry",
        14: "data_location",
        16: "metadata_props:Entry",
    },
    "SparseTensorProto": {1: "values:TensorProto", 2: "indices:TensorProto", 3: "dims"},
    "ValueInfoProto": _NAMED,
    "TypeProto": {
        1: "tensor_type:TensorType",
        4: "sequence_type",
        5: "map_type",
        6: "denotation",
        7: "opaque_type",
        8: "sparse_tensor_type",
        9: "optional_type",
    },
    "TensorType": {1: "elem_type", 2: "shape:TensorShapeProto"},
    "TensorShapeProto": {1: "dim:Dimension"},
    "Dimension": {1: "dim_value", 2: "dim_param", 3: "denotation"},
    "Entry": {1: "key", 2: "value"},
    "OperatorSetId": {1: "domain", 2: "version"},
    "TensorAnnotation": {1: "tensor_name", 2: "quant_parameter_tensor_names:Entry"},
    "TrainingInfoProto": {
        1: "initialization:GraphProto",
        2: "algorithm:GraphProto",
        3: "initialization_binding:Entry",
        4: "update_binding:Entry",
    },
    "FunctionProto": {
        1: "name",
        4: "input",
        5: "output",
        6: "attribute",
        7: "node:NodeProto",
        8: "doc_string",
        9: "opset_import:OperatorSetId",
        10: "domain",
        11: "attribute_proto:AttributeProto",
        12: "value_info:ValueInfoProto",
        13: "overload",
        14: "metadata_props:Entry",
    },
    "DeviceConfiguration": {1: "name", 2: "num_devices", 3: "device"},
}

# Notes to people and tools, which no runtime needs; a doc_string or metadata_props of any message is one too.
MODEL_NOTES = ("producer_name", "producer_version", "domain", "model_version")
NOTES = ("doc_string", "metadata_props")

# TensorProto.DataType -> element type and its bits; strings, and what comes after this table, have none.
TYPES: Mapping[int, tuple[str, int]] = {
    1: ("float32", 32),
    2: ("uint8", 8),
    3: ("int8", 8),
    4: ("uint16", 16),
    5: ("int16", 16),
    6: ("int32", 32),
    7: ("int64", 64),
    9: ("bool", 8),
    10: ("float16", 16),
    11: ("float64", 64),
    12: ("uint32", 32),
    13: ("uint64", 64),
    14: ("complex64", 64),
    15: ("complex128", 128),
    16: ("bfloat16", 16),
    17: ("float8e4m3fn", 8),
    18: ("float8e4m3fnuz", 8),
    19: ("float8e5m2", 8),
    20: ("float8e5m2fnuz", 8),
    21: ("uint4", 4),
    22: ("int4", 4),
    23: ("float4e2m1", 4),
    24: ("float8e8m0", 8),
    25: ("uint2", 2),
    26: ("int2", 2),
}


class Item(NamedTuple):
    """One field of a message: its name (empty when unknown), its place, and the message inside if it holds one."""

    name: str
    field: Field
    message: Message | None


@dataclass(frozen=True, eq=False, slots=True)
class Message:
    """A parsed message of type ``kind``; ``data`` is the whole file."""

    kind: str
    data: bytes
    where: str
    items: tuple[Item, ...]

    def messages(self, name: str) -> Iterator[Message]:
        """The messages in the field ``name``, in order."""
        return (item.message for item in self.items if item.name == name and item.message is not None)

    def texts(self, name: str) -> tuple[str, ...]:
        """The strings in the field ``name``, with a replacement character where they are not UTF-8."""
        found = [item.field for item in self.items if item.name == name]
        return tuple([self.data[f.value : f.end].decode("utf-8", "replace") for f in found if f.wire == BYTES])

    def text(self, name: str) -> str:
        """The last string in the field ``name``, as protobuf has it; empty when absent."""
        return (self.texts(name) or ("",))[-1]

    def integers(self, name: str) -> tuple[int, ...]:
        """The int64 numbers in the field ``name``, packed or not."""
        found: list[int] = []
        for field in (item.field for item in self.items if item.name == name):
            if field.wire == VARINT:
                found.append(signed(field.integer))
            position = field.value if field.wire == BYTES else field.end
            while position < field.end:
                integer, position = varint(self.data, position, field.end, self.where)
                found.append(signed(integer))
        return tuple(found)

    def integer(self, name: str) -> int:
        """The last number in the field ``name``; 0 when absent."""
        return (self.integers(name) or (0,))[-1]


def parse(data: bytes, where: str) -> Message:
    """A whole ``.onnx`` file.

    Raises:
        UserError: it is not well-formed, nests too deeply, or has more than ``MAX_FIELDS`` fields.
    """
    return _Parser(data, where).message("ModelProto", 0, len(data), 0)


class _Parser:
    """The state of one parse: how many fields were met."""

    def __init__(self, data: bytes, where: str) -> None:
        self.data, self.where, self.count = data, where, 0

    def message(self, kind: str, start: int, end: int, depth: int) -> Message:
        """The message of type ``kind`` in ``data[start:end]``."""
        if depth > _MAX_DEPTH:
            raise malformed(self.where, start)
        items = []
        for field in fields(self.data, start, end, self.where):
            self.count += 1
            if self.count > MAX_FIELDS:
                raise UserError(f"it has more than {MAX_FIELDS:,} fields", where=self.where, fix="pack its elements")
            name, _, inner = MESSAGES[kind].get(field.number, "").partition(":")
            if inner and field.wire != BYTES:
                raise malformed(self.where, field.start)
            message = self.message(inner, field.value, field.end, depth + 1) if inner else None
            items.append(Item(name, field, message))
        return Message(kind, self.data, self.where, tuple(items))


def possible(shape: tuple[int, ...]) -> bool:
    """Whether a tensor may have this shape at all."""
    return len(shape) <= _RANK and all(0 <= size <= _MOST for size in shape) and prod(filter(None, shape)) <= _MOST
