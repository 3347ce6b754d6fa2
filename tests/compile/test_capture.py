"""What capture takes, and what it refuses before any work is done."""

from __future__ import annotations

import io
import os
import pickle
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest

from compile import capture
from compile.errors import UserError
from compile.model import source_of

torch = pytest.importorskip("torch")


class Small(torch.nn.Module):
    """Conv, BatchNorm with statistics that are not trivial, Linear."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolution = torch.nn.Conv1d(1, 4, 8, 4)
        self.norm = torch.nn.BatchNorm1d(4)
        self.norm.running_mean.uniform_(-1, 1)
        self.norm.running_var.uniform_(0.5, 2)
        self.head = torch.nn.Linear(4 * 15, 3)

    def forward(self, x):
        return self.head(torch.relu(self.norm(self.convolution(x.unsqueeze(1)))).flatten(1))


def run(model, array):
    import onnxruntime

    session = onnxruntime.InferenceSession(model.to_bytes())
    return session.run(None, {model.inputs[0].name: array})[0]


# float32: sums of at most 60 products of size ~1, in another order
TOLERANCE = {"rtol": 0, "atol": 1e-5}


def test_module_keeps_function_names_and_metadata():
    module = Small()
    x = torch.randn(1, 64)
    model = capture.from_module(module, (x,), {"phiz.window": "64"})
    np.testing.assert_allclose(run(model, x.numpy()), module.eval()(x).detach().numpy(), **TOLERANCE)
    assert model.metadata == {"phiz.window": "64"}
    sources = {node.metadata_props.get("phiz.source") for node in model.ir.graph}
    assert "head" in sources
    assert not any("/" in text for node in model.ir.graph for text in node.metadata_props.values())


def test_pt2(tmp_path):
    module = Small().eval()
    x = torch.randn(1, 64)
    torch.export.save(torch.export.export(module, (x,)), tmp_path / "small.pt2")
    model = capture.from_pt2(tmp_path / "small.pt2")
    np.testing.assert_allclose(run(model, x.numpy()), module(x).detach().numpy(), **TOLERANCE)


class Trap:
    """Unpickling it makes a folder: what a hostile archive would do, made visible."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_pt2_never_unpickles(tmp_path):
    good = tmp_path / "small.pt2"
    torch.export.save(torch.export.export(Small().eval(), (torch.randn(1, 64),)), good)
    bad = tmp_path / "bad.pt2"
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(bad, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("sample_inputs/model.pt"):
                payload = io.BytesIO()
                torch.save(Trap(tmp_path / "sprung"), payload, pickle_module=pickle)
                data = payload.getvalue()
            target.writestr(name, data)
    with pytest.raises(UserError, match=r"not a safe \.pt2"):
        capture.from_pt2(bad)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("text", [b"", b"no zip at all", b"PK\x05\x06" + b"\0" * 18])
def test_pt2_garbage(tmp_path, text):
    (tmp_path / "x.pt2").write_bytes(text)
    with pytest.raises(UserError, match=r"x\.pt2"):
        capture.from_pt2(tmp_path / "x.pt2")


def test_nan_parameter_is_named():
    module = Small()
    with torch.no_grad():
        module.head.weight[1, 2] = float("nan")
    with pytest.raises(UserError, match=r"tensor 'head\.weight'.*NaN or Inf"):
        capture.from_module(module, (torch.randn(1, 64),))


def test_untraceable_module():
    class Branching(torch.nn.Module):
        def forward(self, x):
            return x if float(x.sum()) > 0 else -x

    with pytest.raises(UserError, match="torch cannot export"):
        capture.from_module(Branching(), (torch.randn(2),))


def test_an_interruption_is_not_the_module_s_fault(monkeypatch):
    def export(*_, **__):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise RuntimeError("it went wrong") from error  # as torch does with whatever reaches its own code

    monkeypatch.setattr(torch.onnx, "export", export)
    with pytest.raises(KeyboardInterrupt):
        capture.from_module(torch.nn.Linear(2, 2), (torch.randn(1, 2),))


FACTORY = """
import torch
def good(): return torch.nn.Linear(3, 2), (torch.randn(1, 3),)
def wrong(): return "a module"
def broken(): raise RuntimeError("no disk")
"""


@pytest.fixture
def factories(tmp_path, monkeypatch):
    (tmp_path / "some_factories.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    yield
    sys.modules.pop("some_factories", None)


def test_factory(factories):
    assert capture.from_factory("some_factories:good").inputs[0].shape == (1, 3)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("some_factories:missing", "has no 'missing'"),
        ("some_factories:wrong", "a factory returns"),
        ("some_factories:broken", "RuntimeError: no disk"),
        ("no_such_package.module:f", "no Python module 'no_such_package'"),
    ],
)
def test_bad_factory(factories, reference, message):
    with pytest.raises(UserError, match=message):
        capture.from_factory(reference)


def test_onnx(tiny, tiny_path):
    model = capture.from_onnx(tiny_path)
    assert [(port.name, port.shape, port.dtype) for port in model.inputs] == [("x", (1, 512), "float32")]


@pytest.mark.parametrize("data", [b"", b"garbage", b"\x08\x07"])
def test_not_onnx(tmp_path, data):
    (tmp_path / "x.onnx").write_bytes(data)
    with pytest.raises(UserError, match=r"x\.onnx"):
        capture.from_onnx(tmp_path / "x.onnx")


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match="cannot read"):
        capture.from_onnx(tmp_path / "none.onnx")


def test_nan_weight_is_named(tiny, tmp_path):
    weight = np.ones((8, 8, 3), np.float32)
    weight[0, 0, 0] = np.inf
    with pytest.raises(UserError, match=r"tensor 'w2'.*NaN or Inf"):
        capture.from_onnx(tiny.replace("w2", weight).save(tmp_path / "x.onnx"))


def test_dynamic_axis_says_which_and_how_to_fix_it(tiny, tmp_path):
    tiny.inputs = [("x", ["batch", 512])]
    tiny.outputs = [("y", ["batch", 4])]
    path = tiny.save(tmp_path / "x.onnx")
    with pytest.raises(UserError, match=r"input 'x': axis 0 is dynamic \('batch'\).*--shape x=1x512"):
        capture.from_onnx(path)
    assert capture.from_onnx(path, {"x": (1, 512)}).inputs[0].shape == (1, 512)
    with pytest.raises(UserError, match="no input 'z'"):
        capture.from_onnx(path, {"z": (1, 512)})


@pytest.mark.parametrize("opset", [0, 7, 9999])
def test_opset(tiny, tmp_path, opset):
    proto = tiny.proto()
    proto.opset_import[0].version = opset
    (tmp_path / "x.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(UserError, match=r"opset|not a valid ONNX model"):
        capture.from_onnx(tmp_path / "x.onnx")


def externalise(proto, location, length=None):
    tensor = next(tensor for tensor in proto.graph.initializer if tensor.name == "w2")
    data = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "0", "length": str(length or len(data))}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return data


def test_external_data_beside_the_model(tiny, tmp_path):
    proto = tiny.proto()
    (tmp_path / "w.bin").write_bytes(externalise(proto, "w.bin"))
    (tmp_path / "x.onnx").write_bytes(proto.SerializeToString())
    reference = capture.from_onnx(tiny.save(tmp_path / "whole.onnx"))
    x = np.random.default_rng(0).normal(size=(1, 512)).astype(np.float32)
    np.testing.assert_array_equal(run(capture.from_onnx(tmp_path / "x.onnx"), x), run(reference, x))


@pytest.mark.parametrize("location", ["../w.bin", "/etc/passwd", "", "sub/../../w.bin", "link.bin"])
def test_external_data_outside_the_folder(tiny, tmp_path, location):
    inside = tmp_path / "model"
    inside.mkdir()
    proto = tiny.proto()
    (tmp_path / "w.bin").write_bytes(externalise(proto, location))
    (inside / "link.bin").symlink_to(tmp_path / "w.bin")
    (inside / "x.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(UserError, match=r"tensor 'w2'.*outside the model's folder"):
        capture.from_onnx(inside / "x.onnx")


def test_external_data_too_short(tiny, tmp_path):
    proto = tiny.proto()
    (tmp_path / "w.bin").write_bytes(externalise(proto, "w.bin", length=10**9))
    (tmp_path / "x.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(UserError, match="beyond the file"):
        capture.from_onnx(tmp_path / "x.onnx")


def test_integer_input_is_refused(tiny, tmp_path):
    proto = tiny.proto()
    proto.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    (tmp_path / "x.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(UserError, match=r"input 'x'.*float32"):
        capture.from_onnx(tmp_path / "x.onnx")


def test_an_initializer_that_is_listed_as_an_input_is_a_constant(tiny, tiny_path, tmp_path):
    """As ONNX had it before IR version 4, and as some exporters still write: it must not become a port."""
    tiny.inputs.append(("w1", [8, 1, 16]))
    listed = capture.from_onnx(tiny.save(tmp_path / "listed.onnx"))
    assert listed.to_bytes() == capture.from_onnx(tiny_path).to_bytes()


def test_a_scalar_input_is_refused(tiny, tmp_path):
    tiny.inputs.append(("gain", []))
    with pytest.raises(UserError, match=r"'gain': it is a scalar.*\[1\]"):
        capture.from_onnx(tiny.save(tmp_path / "scalar.onnx"))


def test_a_node_of_an_onnx_file_comes_from_where_the_file_says(tiny_path):
    found = [source_of(node) for node in capture.from_onnx(tiny_path).ir.graph]
    assert found[1] == "first"
    assert found[2] == "r1"  # unnamed: what it computes


def test_what_exporters_note_about_their_machine_is_forgotten(tiny, tmp_path):
    """Every field of ONNX that takes free text and says nothing about the computation."""
    proto, place = tiny.proto(), "/home/someone/model.py"
    graph = proto.graph
    for noted in (proto, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        noted.doc_string = place
        entry = noted.metadata_props.add()
        entry.key, entry.value = "pkg.torch.onnx.stack_trace", place
    proto.producer_name = proto.producer_version = proto.domain = graph.name = place
    onnx.save(proto, tmp_path / "noted.onnx")
    assert proto.SerializeToString().count(place.encode()) == 2 * 23 + 4
    assert place.encode() not in capture.from_onnx(tmp_path / "noted.onnx").to_bytes()
