"""A TFLite graph as data, and its bytes.

The schema's generated functions drive ``flatbuffers.Builder`` directly: its object API neither aligns buffers nor
shares anything, while here equal vectors (shapes, scales, zero points, operator inputs) and equal constants are
stored once. Buffers are aligned to 16 bytes, as the runtime expects of a mapped file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from targets.kernels import Quantization

ALIGNMENT = 16
SCHEMA_VERSION = 3
SIGNATURE = "serving_default"
METADATA = "phiz"


@dataclass(frozen=True)
class Spec:
    """A tensor of the file: physical shape, element type, quantisation (its axis is physical), constant data, name.

    Internal tensors have an empty name.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    quantization: Quantization | None = None
    data: NDArray[np.generic] | None = None
    name: str = ""


@dataclass(frozen=True)
class Operator:
    """An operator of the file.

    Attributes:
        code: the name of a schema ``BuiltinOperator``, e.g. ``CONV_2D``.
        version: the first operator version with these semantics, so that an older runtime refuses the file.
        inputs: tensor indices; -1 for an optional input left out.
        outputs: tensor indices.
        options: the name of the schema's options table, or empty for none.
        fields: its fields as the schema's setters spell them; a tuple is a vector of int32.
    """

    code: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """One subgraph; ``inputs`` and ``outputs`` map signature names to tensor indices, in order."""

    tensors: Sequence[Spec]
    operators: Sequence[Operator]
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]
    metadata: Mapping[str, str]


def write(graph: Graph) -> bytes:
    """The ``.tflite`` file: deterministic, aligned, nothing stored twice."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    return _Writer(graph, flatbuffers.Builder(1 << 16), schema).write()


class _Writer:
    """The state of one writing. A flatbuffer is built back to front: what is referred to comes first."""

    def __init__(self, graph: Graph, builder: Any, schema: Any) -> None:
        self.graph, self.builder, self.schema = graph, builder, schema
        self.shared: dict[tuple[Any, ...], int] = {}
        self.buffers: list[bytes] = [b""]  # buffer 0 is, by convention, the empty one of every activation
        self.buffer_of: dict[bytes, int] = {b"": 0}

    def write(self) -> bytes:
        graph = self.graph
        buffers = [self.buffer(b"" if spec.data is None else little_endian(spec.data)) for spec in graph.tensors]
        metadata = self.metadata()
        stored = [self.stored(data) for data in self.buffers]
        tensors = [self.tensor(spec, buffer) for spec, buffer in zip(graph.tensors, buffers, strict=True)]
        codes = sorted({(operator.code, operator.version) for operator in graph.operators})
        operators = [self.operator(operator, codes) for operator in graph.operators]
        subgraph = self.table(
            "SubGraph",
            Tensors=self.offsets(tensors),
            Inputs=self.vector(np.array(list(graph.inputs.values()), np.int32)),
            Outputs=self.vector(np.array(list(graph.outputs.values()), np.int32)),
            Operators=self.offsets(operators),
        )
        signature = self.table(
            "SignatureDef",
            Inputs=self.ports(graph.inputs),
            Outputs=self.ports(graph.outputs),
            SignatureKey=self.builder.CreateSharedString(SIGNATURE),
        )
        model = self.table(
            "Model",
            OperatorCodes=self.offsets([self.code(code, version) for code, version in codes]),
            Subgraphs=self.offsets([subgraph]),
            Buffers=self.offsets(stored),
            SignatureDefs=self.offsets([signature]),
            Version=SCHEMA_VERSION,
            **metadata,
        )
        self.builder.Finish(model, b"TFL3")
        return bytes(self.builder.Output())

    def table(self, kind: str, **fields: int | float | bool) -> int:
        """A table of the schema; fields with the schema's default take no space."""
        getattr(self.schema, f"{kind}Start")(self.builder)
        for name, value in fields.items():
            getattr(self.schema, f"{kind}Add{name}")(self.builder, value)
        return int(getattr(self.schema, f"{kind}End")(self.builder))

    def shared_table(self, kind: str, **fields: int | float | bool) -> int:
        key = (kind, *fields.items())
        if key not in self.shared:
            self.shared[key] = self.table(kind, **fields)
        return self.shared[key]

    def vector(self, values: NDArray[np.generic]) -> int:
        """A vector of scalars, stored once."""
        data = little_endian(values)
        key = (values.dtype.str, data)
        if key not in self.shared:
            self.builder.StartVector(values.itemsize, values.size, values.itemsize)
            self.shared[key] = self.raw(data, values.size)
        return self.shared[key]

    def raw(self, data: bytes, count: int) -> int:
        """The payload of a started vector."""
        builder = self.builder
        builder.head -= len(data)
        builder.Bytes[builder.head : builder.head + len(data)] = data
        builder.vectorNumElems = count
        return int(builder.EndVector())

    def offsets(self, items: Sequence[int]) -> int:
        self.builder.StartVector(4, len(items), 4)
        for item in reversed(items):
            self.builder.PrependUOffsetTRelative(item)
        return int(self.builder.EndVector())

    def buffer(self, data: bytes) -> int:
        """The index of the buffer that holds ``data``."""
        if data not in self.buffer_of:
            self.buffer_of[data] = len(self.buffers)
            self.buffers.append(data)
        return self.buffer_of[data]

    def stored(self, data: bytes) -> int:
        if not data:
            return self.shared_table("Buffer")
        self.builder.StartVector(1, len(data), ALIGNMENT)
        return self.table("Buffer", Data=self.raw(data, len(data)))

    def tensor(self, spec: Spec, buffer: int) -> int:
        fields = {"Shape": self.vector(np.array(spec.shape, np.int32)), "Buffer": buffer}
        if spec.quantization is not None:
            fields["Quantization"] = self.quantization(spec.quantization)
        if spec.name:
            fields["Name"] = self.builder.CreateSharedString(spec.name)
        return self.table("Tensor", **fields, Type=getattr(self.schema.TensorType, spec.dtype.name.upper()))

    def quantization(self, parameters: Quantization) -> int:
        return self.shared_table(
            "QuantizationParameters",
            Scale=self.vector(parameters.scale.astype(np.float32)),
            ZeroPoint=self.vector(parameters.zero_point.astype(np.int64)),
            QuantizedDimension=parameters.axis or 0,
        )

    def code(self, code: str, version: int) -> int:
        builtin = getattr(self.schema.BuiltinOperator, code)
        # The deprecated byte is what runtimes from before 2020 read; it holds all of our codes but the newest.
        return self.table("OperatorCode", BuiltinCode=builtin, Version=version, DeprecatedBuiltinCode=min(builtin, 127))

    def operator(self, operator: Operator, codes: Sequence[tuple[str, int]]) -> int:
        fields = {
            "Inputs": self.vector(np.array(operator.inputs, np.int32)),
            "Outputs": self.vector(np.array(operator.outputs, np.int32)),
        }
        if operator.options:
            values = {
                name: self.vector(np.array(value, np.int32)) if isinstance(value, tuple) else value
                for name, value in operator.fields.items()
            }
            fields["BuiltinOptions"] = self.shared_table(operator.options, **values)
        index = codes.index((operator.code, operator.version))
        kind = getattr(self.schema.BuiltinOptions, operator.options) if operator.options else 0
        return self.table("Operator", **fields, OpcodeIndex=index, BuiltinOptionsType=kind)

    def ports(self, ports: Mapping[str, int]) -> int:
        names = {name: self.builder.CreateSharedString(name) for name in ports}
        return self.offsets(
            [self.table("TensorMap", Name=names[name], TensorIndex=index) for name, index in ports.items()]
        )

    def metadata(self) -> dict[str, int]:
        """The model's ``phiz.*`` facts as one entry, whose buffer is compact JSON with sorted keys."""
        if not self.graph.metadata:
            return {}
        text = json.dumps(dict(self.graph.metadata), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        buffer = self.buffer(text.encode())
        entry = self.table("Metadata", Name=self.builder.CreateSharedString(METADATA), Buffer=buffer)
        return {"Metadata": self.offsets([entry])}


def little_endian(values: NDArray[np.generic]) -> bytes:
    """The bytes of an array as the file holds them: little endian, row-major."""
    return values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
