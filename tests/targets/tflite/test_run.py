"""The runner: names in, names out; bad files and bad inputs are the user's to mend; nothing on stderr."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from compile.errors import MissingExtra, UserError
from compile.model import Model
from targets.catalogue import find
from targets.tflite import run
from targets.tflite.lower import lower
from targets.tflite.run import Delegation, delegation, load

pytest.importorskip("ai_edge_litert")


@pytest.fixture
def file(hub: Any, tmp_path: Path) -> Path:
    """Two inputs of different shapes; their sum and its leaky ReLU."""
    h = hub(1)
    total = h.op("Add", h.input(2, 3), h.input(3))
    return save(h.model(total, h.op("LeakyRelu", total, alpha=0.5)), tmp_path)


def save(model: Any, folder: Path) -> Path:
    artifact = lower(Model(ir.from_proto(model)))
    path = folder / artifact.name
    path.write_bytes(artifact.files[artifact.name])
    return path


def feeds() -> dict[str, Any]:
    return {"in1": np.float32([1, 2, 3]), "in0": np.float32([[0, 1, 2], [-9, -9, -9]])}


@pytest.mark.parametrize("delegate", [True, False])
def test_inputs_and_outputs_go_by_name(file: Path, delegate: bool) -> None:
    outputs = load(file, delegate=delegate).run(feeds())
    total = np.float32([[1, 3, 5], [-8, -7, -6]])
    assert set(outputs) == {"v_n0", "v_n1"}
    np.testing.assert_array_equal(outputs["v_n0"], total)
    np.testing.assert_array_equal(outputs["v_n1"], np.where(total < 0, total / 2, total))


def test_outputs_of_one_run_outlive_the_next(file: Path) -> None:
    runner = load(file)
    first = runner.run(feeds())["v_n0"]
    kept = first.copy()
    runner.run({**feeds(), "in1": np.float32([5, 5, 5])})
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"in0": None}, "input 'in0' is missing.*in0, in1"),
        ({"other": np.zeros(3, np.float32)}, "'other' is not an input"),
        ({"in1": np.zeros(4, np.float32)}, r"'in1' is float32 \(4,\), expected float32 \(3,\)"),
        ({"in1": np.zeros(3)}, "'in1' is float64"),
    ],
)
def test_bad_inputs_are_explained(file: Path, change: dict[str, Any], message: str) -> None:
    inputs = {name: value for name, value in {**feeds(), **change}.items() if value is not None}
    with pytest.raises(UserError, match=message):
        load(file).run(inputs)


def test_bad_files_are_explained(file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere.tflite: cannot read: No such file"):
        load(tmp_path / "nowhere.tflite")
    with pytest.raises(UserError, match="cannot read: Is a directory"):
        load(tmp_path)
    bad = tmp_path / "bad.tflite"
    whole = file.read_bytes()
    for content in (b"", b"\0" * 64, b"PK\3\4" + whole[4:7]):
        bad.write_bytes(content)
        with pytest.raises(UserError, match=r"bad.tflite: not a TFLite file"):
            load(bad)
    for length in range(8, len(whole) - 16, 40):
        bad.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"bad.tflite: LiteRT refuses it"):
            load(bad)


def test_delegation_is_counted(hub: Any, file: Path, tmp_path: Path) -> None:
    assert delegation(file) == Delegation(1, ())
    assert delegation(file).whole
    h = hub(1)
    # XNNPACK stops at six dimensions: what works on eight is left to the builtin kernels.
    x = h.op("Relu", h.conv(h.input(1, 2, 32), 2, 2, (1,)))
    split = save(h.model(h.op("Tanh", h.reshape(x, 2, 2, 2, 2, 2, 2, 1))), tmp_path)
    found = delegation(split)
    assert (found.partitions, found.outside) == (1, ("RESHAPE",))
    assert not found.whole


def test_loading_and_running_say_nothing(file: Path) -> None:
    program = (
        "import sys, numpy as np\nfrom pathlib import Path\nfrom targets.tflite.run import load\n"
        "load(Path(sys.argv[1])).run({'in0': np.zeros((2, 3), np.float32), 'in1': np.zeros(3, np.float32)})\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(file)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_an_old_runtime_refuses_what_it_would_misread(old_runtime: Any, tmp_path: Path) -> None:
    """Up to version 11 it takes the first channel's scale for all: nothing would complain, and all would be wrong."""
    if old_runtime is None:
        pytest.skip("PHIZ_TFLITE_RUNTIME names no environment with tflite-runtime")
    text = """<ir_version: 10, opset_import: ["" : 20]> net (float[1, 2] x) => (float[1, 3] y)
        <int8[3, 2] w = {1, 2, 3, 4, 5, 6}, float[3] s = {0.1, 1.0, 10.0}, int8[3] z = {0, 0, 0}> {
        xq, xs, xz = DynamicQuantizeLinear(x)
        xd = DequantizeLinear(xq, xs, xz)
        wd = DequantizeLinear<axis = 0>(w, s, z)
        [product] y = Gemm<alpha = 1.0, beta = 1.0, transA = 0, transB = 1>(xd, wd)
    }"""
    path = save(onnx.shape_inference.infer_shapes(onnx.parser.parse_model(text)), tmp_path)
    inputs = {"x": np.float32([[1, 2]])}
    np.testing.assert_allclose(load(path).run(inputs)["y"], [[0.5, 11, 170]], rtol=0.02)  # 1/255 of the largest input
    assert old_runtime.run(path, inputs) == {}


def test_either_name_of_the_runtime_will_do(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only tflite-runtime is installed, it runs the file; here ai-edge-litert's module stands in for it."""
    monkeypatch.setattr(run, "find_spec", {}.get)
    monkeypatch.setitem(sys.modules, "tflite_runtime", importlib.import_module("ai_edge_litert"))
    interpreter = importlib.import_module("ai_edge_litert.interpreter")
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", interpreter)
    assert set(load(file).run(feeds())) == {"v_n0", "v_n1"}


def test_one_of_several_packages_suffices() -> None:
    target = find("tflite")
    target.require("no_such_package numpy", "this")
    target.require("", "nothing")
    with pytest.raises(MissingExtra, match=r"this needs.*`no_such_package`.*pip install 'phiz\[tflite\]'"):
        target.require("no_such_package neither_this", "this")
