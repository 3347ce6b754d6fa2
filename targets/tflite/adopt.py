"""A TFLite file of another tool's making, brought to the ways of phiz's own: its names, its metadata, its alignment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from targets.tflite.writer import ALIGNMENT, METADATA


def adopt(data: bytes, metadata: Mapping[str, str]) -> bytes:
    """The same graph, whose inputs and outputs bear the names of its signature and whose inner tensors bear none.

    Args:
        data: a ``.tflite`` file with one signature, from a converter; trusted.
        metadata: the ``phiz.*`` facts to keep in it.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(data, 0)
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            tensor.name = None
    (signature,) = model.signatureDefs
    main = model.subgraphs[signature.subgraphIndex]
    for port in (*signature.inputs, *signature.outputs):
        main.tensors[port.tensorIndex].name = port.name
    model.buffers = [_aligned(schema, _content(buffer, data)) for buffer in model.buffers]
    model.metadata, model.metadataBuffer, model.description = [], None, None  # the converter's own notes
    if metadata:
        entry = schema.MetadataT()
        entry.name, entry.buffer = METADATA, len(model.buffers)
        text = json.dumps(dict(metadata), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        model.metadata.append(entry)
        model.buffers.append(_aligned(schema, text.encode()))
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _content(buffer: Any, data: bytes) -> bytes:
    """The bytes of a buffer, which large ones keep behind the flatbuffer."""
    if buffer.offset > 1:  # 0 and 1 say that they are inside
        return data[buffer.offset : buffer.offset + buffer.size]
    return b"" if buffer.data is None else np.asarray(buffer.data, np.uint8).tobytes()


def _aligned(schema: Any, data: bytes) -> Any:
    """A buffer of the schema's object API, but aligned as the runtime expects of a mapped file."""

    class Aligned(schema.BufferT):  # type: ignore[misc]  # the schema is untyped
        def Pack(self, builder: Any) -> int:  # noqa: N802  the object API's name
            position = None
            if data:
                builder.StartVector(1, len(data), ALIGNMENT)
                builder.head -= len(data)
                builder.Bytes[builder.head : builder.head + len(data)] = data
                builder.vectorNumElems = len(data)
                position = builder.EndVector()
            schema.BufferStart(builder)
            if position is not None:
                schema.BufferAddData(builder, position)
            return int(schema.BufferEnd(builder))

    return Aligned()
