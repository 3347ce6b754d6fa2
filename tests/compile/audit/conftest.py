"""Small artefacts and build folders, written without phiz."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper, numpy_helper

WEIGHTS = np.random.default_rng(1).integers(-127, 128, (64, 128), np.int8)  # 8,192 bytes
Build = Callable[..., Path]


@pytest.fixture(scope="session")
def tflite() -> bytes:
    """One FULLY_CONNECTED from int8 [1, 128] to [1, 64]: 192 bytes of activations, 8,192 of weights, a scale each."""
    model, graph, code, operator = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT(), schema.OperatorT()
    model.version, model.subgraphs, model.operatorCodes = 3, [graph], [code]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    empty, constant = schema.BufferT(), schema.BufferT()
    constant.data = WEIGHTS.view(np.uint8).ravel()
    model.buffers = [empty, constant]
    graph.tensors = []
    for name, shape, buffer in (("x", (1, 128), 0), ("w", (64, 128), 1), ("y", (1, 64), 0)):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer, tensor.type = name, list(shape), buffer, schema.TensorType.INT8
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [0.5], [0]
        graph.tensors.append(tensor)
    operator.inputs, operator.outputs = [0, 1, -1], [2]
    operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = schema.FullyConnectedOptionsT()
    graph.operators, graph.inputs, graph.outputs = [operator], [0], [2]
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.fixture(scope="session")
def onnx_model() -> bytes:
    """One float Gemm from [1, 128] to [1, 64]: 768 bytes of activations, 32,768 of weights."""
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w"], ["y"], name="dense", transB=1)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 128))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 64))],
        [numpy_helper.from_array(WEIGHTS.astype(np.float32), "w")],
    )
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    return bytes(model.SerializeToString())


@pytest.fixture
def build(tmp_path: Path, tflite: bytes, onnx_model: bytes) -> Build:
    """Writes a build folder; ``change`` is applied to the manifest's data."""

    def write(change: Callable[[dict[str, Any]], object] = lambda _: None, **budget: int) -> Path:
        folder = tmp_path / "build"
        folder.mkdir()
        files: Mapping[str, tuple[str, bytes]] = {
            "tflite": ("student.tflite", tflite),
            "onnx": ("student.onnx", onnx_model),
        }
        manifest: dict[str, Any] = {
            "name": "student",
            "artifacts": {
                target: {
                    "path": name,
                    "minimum_bytes": 8_196,
                    "files": {name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}},
                }
                for target, (name, data) in files.items()
            },
            "parity": {
                "tflite": {"status": "run", "sqnr_db": 36.25, "steps": 1.0},
                "onnx": {"status": "not run: no runtime", "sqnr_db": None, "steps": None},
            },
            "budget": {"footprint": None, "file": None, **budget},
        }
        change(manifest)
        for name, data in files.values():
            (folder / name).write_bytes(data)
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return folder

    return write
