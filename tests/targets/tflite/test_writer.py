"""The bytes, read back with the schema's own classes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from compile.model import Model
from targets.tflite.lower import lower

schema = pytest.importorskip("ai_edge_litert.schema_py_generated")

METADATA = {"phiz.window": "8192", "phiz.controls": '["jawOpen","é"]'}


@pytest.fixture
def data(hub: Any, quantize: Any) -> bytes:
    """A quantised network with equal convolutions, a depthwise one, a product, and metadata."""
    h = hub(1)
    x = h.input(1, 8, 40)
    weight = h.noise(8, 8, 3, scale=0.2)
    same = {"kernel_shape": [3], "strides": [1], "dilations": [1], "pads": [0, 0], "group": 1}
    twin = h.constant(h.array(weight))
    x = h.op("Add", h.op("Conv", x, weight, h.noise(8), **same), h.op("Conv", x, twin, h.noise(8), **same))
    x = h.op("Relu", h.conv(x, 8, 1, (3,), group=8))
    model = h.model(h.gemm(h.reshape(x, 1, 288), 5, 288), metadata={**METADATA, "other": "not ours"})
    artifact = lower(Model(ir.from_proto(quantize(model, "w8a8", h.feeds()))))
    return artifact.files[artifact.name]


@pytest.fixture
def model(data: bytes) -> Any:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))


def test_it_is_a_tflite_file_of_schema_3(data: bytes, model: Any) -> None:
    assert data[4:8] == b"TFL3"
    assert (model.version, len(model.subgraphs)) == (3, 1)


def test_every_buffer_is_aligned_to_16_bytes(data: bytes) -> None:
    for start, buffer in places(data):
        assert start % 16 == 0, f"a buffer of {len(buffer)} bytes begins at {start}"


def test_equal_constants_are_stored_once(model: Any) -> None:
    contents = [bytes(buffer.data) for buffer in model.buffers if buffer.data is not None]
    assert len(contents) == len(set(contents))
    filters = [tensor.buffer for tensor in model.subgraphs[0].tensors if tensor.shape.tolist() == [8, 1, 3, 8]]
    assert len(set(filters)) == 1


def test_internal_tensors_are_nameless_and_share_the_empty_buffer(model: Any) -> None:
    graph = model.subgraphs[0]
    ports = {*graph.inputs.tolist(), *graph.outputs.tolist()}
    constant = {at for at, tensor in enumerate(graph.tensors) if tensor.buffer}
    for at, tensor in enumerate(graph.tensors):
        assert bool(tensor.name) == (at in ports)
        assert bool(model.buffers[tensor.buffer].data is not None) == (at in constant)


def test_quantisation_is_written_as_the_kernels_check_it(model: Any) -> None:
    graph = model.subgraphs[0]
    axes = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    seen = set()
    for operator in graph.operators:
        name = names[model.operatorCodes[operator.opcodeIndex].builtinCode]
        if name not in axes:
            continue
        seen.add(name)
        source, weight, bias = (graph.tensors[at].quantization for at in operator.inputs)
        assert weight.quantizedDimension == axes[name]
        for parameters in (source, weight, bias):
            assert len(parameters.zeroPoint) == len(parameters.scale)
        assert not weight.zeroPoint.any()
        assert not bias.zeroPoint.any()
        np.testing.assert_array_equal(bias.scale, source.scale * weight.scale)
        assert bias.scale.dtype == np.float32
    assert seen == set(axes)


def test_operator_versions_are_those_of_int8(model: Any) -> None:
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    versions = {names[code.builtinCode]: code.version for code in model.operatorCodes}
    assert versions == {
        "QUANTIZE": 1,
        "DEQUANTIZE": 2,
        "RESHAPE": 1,
        "TRANSPOSE": 2,
        "CONV_2D": 3,
        "DEPTHWISE_CONV_2D": 3,
        "FULLY_CONNECTED": 4,
        "ADD": 2,
    }
    assert all(code.deprecatedBuiltinCode == code.builtinCode for code in model.operatorCodes)


def test_metadata_is_one_entry_of_sorted_compact_json(model: Any) -> None:
    (entry,) = model.metadata
    assert entry.name == b"phiz"
    text = bytes(model.buffers[entry.buffer].data).decode()
    assert json.loads(text) == METADATA
    assert text == json.dumps(METADATA, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def test_the_signature_names_the_ports(model: Any) -> None:
    (signature,) = model.signatureDefs
    assert signature.signatureKey == b"serving_default"
    graph = model.subgraphs[0]
    assert [(port.name, port.tensorIndex) for port in signature.inputs] == [(b"in0", graph.inputs[0])]
    assert [port.tensorIndex for port in signature.outputs] == graph.outputs.tolist()


def places(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Where each buffer's bytes begin."""
    root = schema.Model.GetRootAsModel(data, 0)
    for at in range(root.BuffersLength()):
        table = root.Buffers(at)._tab
        slot = table.Offset(4)
        if slot:
            yield table.Vector(slot), root.Buffers(at).DataAsNumpy().tobytes()
