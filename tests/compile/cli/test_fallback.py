"""The ai-edge road to TFLite: only when asked, only where the direct road refuses, and never silently.

Whatever converts needs the extra ``litert``, which few machines have; there those tests say that they were skipped.
"""

from __future__ import annotations

import hashlib
import json
from importlib.util import find_spec

import numpy as np
import pytest

torch = pytest.importorskip("torch")

converts = pytest.mark.skipif(
    find_spec("litert_torch") is None or find_spec("ai_edge_quantizer") is None,
    reason="needs the extra litert (litert-torch, ai-edge-quantizer)",
)
FLAG = ("--fallback", "litert-torch")
NETWORKS = '''
import torch
from torch import nn


class Recurrent(nn.Module):
    """A convolution with BatchNorm, a GRU, and a running sum: the last two have no form in phiz."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv1d(1, 8, 16, 32), nn.BatchNorm1d(8)
        self.gru, self.head = nn.GRU(8, 12, batch_first=True), nn.Linear(12, 3)

    def forward(self, wave):
        hidden = torch.relu(self.norm(self.conv(wave[:, None, :])))
        hidden, _ = self.gru(hidden.transpose(1, 2))
        return self.head(torch.cumsum(hidden, 1)[:, -1])


def recurrent():
    torch.manual_seed(0)
    network = Recurrent()
    with torch.no_grad():
        network.norm.running_mean.normal_()
        network.norm.running_var.uniform_(0.3, 2)
    return network.eval(), (torch.randn(1, 256),)


def plain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3)).eval(), (torch.randn(1, 16),)
'''


@pytest.fixture
def networks(tmp_path, monkeypatch):
    """A module of factories, importable from the current folder under a name of its own."""
    name = f"networks_{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]}"
    (tmp_path / f"{name}.py").write_text(NETWORKS)
    monkeypatch.chdir(tmp_path)
    return name


@pytest.fixture
def speech(tmp_path, noise):
    np.savez(tmp_path / "arrays.npz", wave=noise(60, 256))
    return tmp_path / "arrays.npz"


def compile_recurrent(phiz, networks, speech, out, *flags):
    return phiz("compile", f"{networks}:recurrent", "-t", "tflite", "--calibrate", speech, "-o", out, *flags)


def test_without_the_flag_the_refusal_stands(phiz, networks, speech, tmp_path):
    ran = compile_recurrent(phiz, networks, speech, tmp_path / "out")
    assert ran.code == 2
    assert "operator GRU" in ran.err
    assert "; --fallback litert-torch would convert it to TFLite" in ran.err
    assert not (tmp_path / "out").exists()


def test_an_onnx_file_has_no_module(phiz, tiny_path, tmp_path):
    ran = phiz("compile", tiny_path, *FLAG, "-o", tmp_path / "out")
    assert ran.code == 2
    assert "holds no torch module" in ran.err


def test_an_unknown_road(phiz, tiny_path, tmp_path):
    ran = phiz("compile", tiny_path, "--fallback", "tensorflow", "-o", tmp_path / "out")
    assert ran.code == 2
    assert "there is one: litert-torch" in ran.err


@pytest.mark.skipif(find_spec("litert_torch") is not None, reason="the extra is there")
def test_a_missing_extra_is_named(phiz, networks, speech, tmp_path):
    ran = compile_recurrent(phiz, networks, speech, tmp_path / "out", *FLAG)
    assert ran.code == 2
    assert "pip install 'phiz[litert]'" in ran.err
    assert not (tmp_path / "out").exists()


def test_what_the_direct_road_takes_never_goes_the_other_way(phiz, networks, tmp_path):
    ran = phiz("compile", f"{networks}:plain", "-t", "tflite", *FLAG, "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert json.loads((tmp_path / "out/manifest.json").read_text())["road"] == {"name": "direct"}
    assert "litert-torch" not in ran.out


def test_rules_name_nodes_that_the_other_road_does_not_have(phiz, networks, speech, tmp_path):
    ran = compile_recurrent(phiz, networks, speech, tmp_path / "out", *FLAG, "--rule", "w8 on Gemm")
    assert ran.code == 2
    assert "rules name nodes" in ran.err


def test_a_target_that_the_other_road_does_not_reach(phiz, networks, tmp_path):
    ran = phiz("compile", f"{networks}:recurrent", "-t", "onnx", *FLAG, "-o", tmp_path / "out")
    assert ran.code == 2
    assert "operator GRU" in ran.err


# int8 in a loop that adds up its rounding; 11 bits of mantissa; float32.
@converts
@pytest.mark.parametrize(("scheme", "decibel"), [("w8a8", 20), ("w8", 25), ("float16", 50), ("float", 90)])
def test_a_recurrent_network(phiz, networks, speech, tmp_path, scheme, decibel):
    out = tmp_path / "out"
    ran = compile_recurrent(phiz, networks, speech, out, *FLAG, "-t", "onnx", "--scheme", scheme)
    assert ran.code == 0, ran.err
    assert "converted by litert-torch" in ran.out
    assert "left out: onnx" in ran.out
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["road"]["name"] == "litert-torch"
    assert "GRU" in manifest["road"]["because"]
    assert manifest["road"]["versions"]["litert-torch"]
    assert list(manifest["artifacts"]) == ["tflite"]
    assert manifest["parity"]["tflite"]["sqnr_db"] >= decibel
    assert manifest["parity"]["tflite"]["steps"] is None
    assert phiz("audit", out).code == 0

    from targets.tflite.run import load

    runner = load(out / "student.tflite")
    assert runner.inputs == {"wave": (1, 256)}
    with np.load(out / "golden.npz", allow_pickle=False) as golden:
        (name,) = [name.removeprefix("expected.") for name in golden.files if name.startswith("expected.")]
        for wave, expected in zip(golden["input.wave"], golden[f"expected.{name}"], strict=True):
            np.testing.assert_array_equal(runner.run({"wave": wave})[name], expected)
        assert np.ptp(golden[f"float.{name}"]) > 0.1  # it says something at all


@converts
def test_gates_hold_on_the_other_road_too(phiz, networks, speech, tmp_path):
    out = tmp_path / "out"
    ran = compile_recurrent(phiz, networks, speech, out, *FLAG, "--min-sqnr", "150 dB", "--cap", "10kB")
    assert ran.code == 1
    assert "below the 150 dB asked for" in ran.err
    assert "exceeds the cap" in ran.err
    assert not out.exists()


@converts
def test_ranges_are_true_ones(tmp_path):
    """One loud sample among quiet ones decides the range of the input; an average would lose it."""
    from ai_edge_litert import schema_py_generated as schema

    from compile.fallback import convert, quantise
    from compile.model import Model
    from compile.quantize.scheme import Scheme

    module = torch.nn.Linear(4, 2).eval()
    captured = _captured(module, (torch.zeros(1, 4),))
    assert isinstance(captured, Model)
    (name,) = (port.name for port in captured.inputs)
    feeds = [{name: np.full((1, 4), level, np.float32)} for level in (0.1, -0.1, 8.0, 0.1)]
    data = convert(module, captured, tuple(port.name for port in captured.outputs))
    made = schema.ModelT.InitFromPackedBuf(quantise(data, Scheme.W8A8, feeds, lambda *_: None), 0)
    scales = [t.quantization.scale[0] for t in made.subgraphs[0].tensors if t.type == schema.TensorType.INT8
              and list(t.shape) == [1, 4]]  # fmt: skip
    np.testing.assert_allclose(scales, [8.1 / 255], rtol=1e-3)


@converts
def test_adopted_files_have_phiz_names_metadata_and_alignment(phiz, networks, speech, tmp_path):
    out = tmp_path / "out"
    assert compile_recurrent(phiz, networks, speech, out, *FLAG).code == 0
    data = (out / "student.tflite").read_bytes()

    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(data)
    for index in range(model.BuffersLength()):
        buffer = model.Buffers(index)
        if buffer.DataLength():
            assert (buffer._tab.Vector(buffer._tab.Offset(4))) % 16 == 0
    graph = model.Subgraphs(0)
    named = {graph.Tensors(i).Name().decode() for i in range(graph.TensorsLength()) if graph.Tensors(i).Name()}
    assert "wave" in named
    assert len(named) == 2, "inputs and outputs, and nothing inside"


def _captured(module, inputs):
    from compile import capture

    return capture.from_module(module, inputs)
