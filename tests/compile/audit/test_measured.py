"""Memory is measured in processes of their own, and whatever happens there is an answer."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper, numpy_helper

from compile.audit import measured, process
from compile.audit.formats import FORMATS, by_suffix
from compile.audit.measured import Measured, measure

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="memory is measured on Linux only")
MB = 1_000_000


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    """One process is enough where it is not the figure that matters."""
    monkeypatch.setattr(measured, "PROCESSES", 1)
    monkeypatch.setattr(measured, "INFERENCES", 10)


def measure_bytes(folder: Path, name: str, data: bytes, **more: float) -> Measured | str:
    (folder / name).write_bytes(data)
    return measure(folder / name, by_suffix(folder / name), **more)


def onnx_bytes(nodes, inputs, constants=(), outputs=("y",)):
    graph = helper.make_graph(
        nodes,
        "g",
        inputs,
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()


def x(kind=TensorProto.FLOAT, shape=(1,)):
    return helper.make_tensor_value_info("x", kind, shape)


def test_growth_is_at_least_the_weights(tmp_path, dense, monkeypatch):
    """Of a model whose weights are 16 MB larger, growth is larger by that, and by not much more than one more copy.

    The runtime reads the file into memory, and may keep what it read beside the weights that it made of it.
    """
    monkeypatch.setattr(measured, "PROCESSES", 3)
    small, large = (measure_bytes(tmp_path, "net.onnx", dense(rows)) for rows in (64, 64 + 32_000))
    assert isinstance(small, Measured)
    assert isinstance(large, Measured)
    assert 16 * MB < large.last - small.last < 50 * MB
    assert 0 < small.loaded <= small.first <= small.last + MB
    assert 0 < small.code < small.last
    assert abs(large.code - small.code) < 3 * MB  # pages of libraries are not those of the model
    assert small.spread < 3 * MB
    assert small.processes == 3
    assert small.runtime.startswith("onnxruntime ")


def test_litert(tmp_path, tflite):
    found = measure_bytes(tmp_path, "net.tflite", tflite)
    assert isinstance(found, Measured)
    assert found.runtime.startswith("ai-edge-litert ")
    assert 0 < found.last < 30 * MB


def test_resident_memory_is_what_the_kernel_says():
    """Against the kernel's other account of it; that one may lag by a few pages for each processor."""
    lines = Path("/proc/self/status").read_text().splitlines()
    status = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))
    everything, code = process.resident()
    assert abs(everything - status) < 8 * MB
    assert 0 < code < everything
    kept = np.ones(40 * MB, np.uint8)
    more, same = process.resident()
    assert 40 * MB <= more - everything < 48 * MB
    assert abs(same - code) < 2 * MB
    del kept


@pytest.mark.parametrize(
    ("kind", "shape", "reason"),
    [
        (TensorProto.FLOAT, ("n", 3), "input 'x' has the dynamic shape [n, 3]"),
        (TensorProto.STRING, (1,), "input 'x' is of type tensor(string)"),
        (TensorProto.FLOAT, (2**20, 2**20), "larger than 1,073,741,824 bytes"),
    ],
)
def test_inputs_that_cannot_be_made_up(tmp_path, kind, shape, reason):
    data = onnx_bytes(
        [helper.make_node("Identity", ["x"], ["z"]), helper.make_node("Constant", [], ["y"], value_float=1.0)],
        [x(kind, shape)],
    )
    assert reason in measure_bytes(tmp_path, "net.onnx", data)


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.UINT8, TensorProto.INT64, 9])
def test_dtypes(tmp_path, kind):
    data = onnx_bytes([helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)], [x(kind)])
    assert isinstance(measure_bytes(tmp_path, "net.onnx", data), Measured)


def test_a_dynamic_tflite(tmp_path, tflite):
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tflite))
    model.subgraphs[0].tensors[0].shapeSignature = [-1, 128]
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    assert "dynamic shape [?, 128]" in measure_bytes(tmp_path, "net.tflite", bytes(builder.Output()))


def test_external_data(tmp_path, dense):
    (tmp_path / "net.bin").write_bytes(bytes(64 * 512))
    assert isinstance(measure_bytes(tmp_path, "net.onnx", dense(64, external="net.bin")), Measured)


def test_a_model_that_its_runtime_refuses(tmp_path):
    said = measure_bytes(tmp_path, "net.onnx", b"\x00no model")
    assert said.startswith("its runtime failed while it was loaded: ")
    assert str(tmp_path) not in said
    assert "\n" not in said


def test_a_model_that_asks_for_more_memory_than_it_may_have(tmp_path):
    """64 GiB for the values of one operator."""
    nodes = [helper.make_node("Expand", ["x", "s"], ["e"]), helper.make_node("ReduceSum", ["e"], ["y"])]
    said = measure_bytes(
        tmp_path, "net.onnx", onnx_bytes(nodes, [x()], [numpy_helper.from_array(np.array([2**34]), "s")])
    )
    assert said.startswith("its runtime failed as it ran for the first time: ")


def test_a_model_that_never_ends(tmp_path):
    """A loop of 2^62 rounds."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Add", ["s", "s"], ["t"])],
        "body",
        [value("i", TensorProto.INT64, []), value("c", TensorProto.BOOL, []), value("s", TensorProto.FLOAT, [1])],
        [value("d", TensorProto.BOOL, []), value("t", TensorProto.FLOAT, [1])],
    )
    constants = [numpy_helper.from_array(np.array(2**62), "m"), numpy_helper.from_array(np.array(True), "b")]
    data = onnx_bytes([helper.make_node("Loop", ["m", "b", "x"], ["y"], body=body)], [x()], constants)
    said = measure_bytes(tmp_path, "net.onnx", data, seconds=3)
    assert said.startswith("the time of 3 s was over ")  # as it ran, unless the machine is too busy to come so far


def test_a_model_that_kills_its_runtime(tmp_path):
    """A conditional whose branch is the graph that it is in: LiteRT 2.3 prepares it until its stack is full."""
    model, graph, code, operator = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT(), schema.OperatorT()
    model.version, model.subgraphs, model.operatorCodes = 3, [graph], [code]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.IF
    empty, constant = schema.BufferT(), schema.BufferT()
    constant.data = np.ones(1, np.uint8)
    model.buffers = [empty, constant]
    graph.tensors = []
    kinds = schema.TensorType
    for name, kind, buffer in (("c", kinds.BOOL, 1), ("x", kinds.FLOAT32, 0), ("y", kinds.FLOAT32, 0)):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer, tensor.type = name, [1], buffer, kind
        graph.tensors.append(tensor)
    operator.inputs, operator.outputs = [0, 1], [2]
    operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.IfOptions, schema.IfOptionsT()
    graph.operators, graph.inputs, graph.outputs = [operator], [1], [2]
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    said = measure_bytes(tmp_path, "net.tflite", bytes(builder.Output()))
    assert isinstance(said, str)
    assert "while it was loaded" in said  # another LiteRT may refuse it instead


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            "its runtime died before it was loaded, by SIGSEGV",
        ),
        ("raise SystemExit(7)", "its runtime died before it was loaded, with exit code 7"),
        (
            "import os; print(repr({'step': 'imported'}).replace(chr(39), chr(34)), flush=True); os.abort()",
            "its runtime died while it was loaded, by SIGABRT",
        ),
        ("print('{\"step\": \"imp', end='')", "its runtime died before it was loaded, with exit code 0"),
    ],
)
def test_deaths(tmp_path, monkeypatch, onnx_model, code, said):
    (tmp_path / "dies.py").write_text(code)
    monkeypatch.setattr(measured, "_CHILD", "dies")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert measure_bytes(tmp_path, "net.onnx", onnx_model) == said


def test_a_folder_called_compile_is_not_imported(tmp_path, monkeypatch, onnx_model):
    """``python -m`` looks in the working folder first, and a project may have a package of our name."""
    (tmp_path / "compile").mkdir()
    (tmp_path / "compile" / "__init__.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    assert isinstance(measure_bytes(Path(), "net.onnx", onnx_model), Measured)


def test_formats_without_a_runtime(tmp_path):
    found = {known.name: measure(tmp_path, known) for known in FORMATS if known.name not in (*process.RUNTIMES, "c")}
    assert "macOS" in found["coreml"]
    assert all(isinstance(reason, str) and reason for reason in found.values())


def test_a_runtime_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "find_spec", lambda _: None)
    assert measure(tmp_path, by_suffix(Path("a.tflite"))) == (
        "its runtime is not installed; install LiteRT: pip install 'phiz[tflite]'"
    )


def test_the_process_says_nothing_else(tmp_path, onnx_model):
    """Every line is JSON, whatever the runtime prints."""
    import subprocess

    (tmp_path / "net.onnx").write_bytes(onnx_model)
    command = [sys.executable, "-m", "compile.audit.process", "onnx", str(tmp_path / "net.onnx"), "2"]
    done = subprocess.run(command, capture_output=True, check=True, cwd=Path(measured.__file__).parents[2])
    steps = [json.loads(line)["step"] for line in done.stdout.splitlines()]
    assert steps == ["before", "imported", "loaded", "first", "last"]
    assert done.stderr == b""
