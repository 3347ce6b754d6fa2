"""Small artefacts and build folders, written without phiz."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data

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
def dense() -> Callable[..., bytes]:
    """Writes one float Gemm from [1, 128] to [1, rows], a model of 512 bytes a row and little else."""

    def write(rows: int = 64, name: str = "w", external: str = "") -> bytes:
        weights = numpy_helper.from_array(np.resize(WEIGHTS, (rows, 128)).astype(np.float32), name)
        if external:
            set_external_data(weights, external)
            weights.ClearField("raw_data")
        graph = helper.make_graph(
            [helper.make_node("Gemm", ["x", name], ["y"], name="dense", transB=1)],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 128))],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, rows))],
            [weights],
        )
        model: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        return bytes(model.SerializeToString())

    return write


@pytest.fixture(scope="session")
def onnx_model(dense: Callable[..., bytes]) -> bytes:
    """One float Gemm from [1, 128] to [1, 64]: 768 bytes of activations, 32,768 of weights."""
    return dense()


@dataclass(frozen=True)
class Repository:
    """A git repository, and git in it."""

    root: Path

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        command = ["git", *identity, *arguments]
        return subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, files: Mapping[str, bytes]) -> str:
        """Write ``files`` and commit everything; the name of the commit."""
        for name, data in files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_bytes(data)
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--message", "next")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """An empty repository on the branch ``main``, apart from the settings of whoever runs the tests."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    place = Repository(tmp_path / "repository")
    place.root.mkdir()
    place.git("init", "--quiet", "--initial-branch=main")
    return place


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
