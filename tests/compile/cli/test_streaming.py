"""``phiz compile --stream`` from the outside: what stands beside the windows, and what is refused."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from compile.parity import STEP_LIMITS
from targets.catalogue import USUAL, find
from targets.files import read_files
from targets.stream import Stream
from targets.streamed import Streamed

WINDOWED = {target.name for target in USUAL}


@pytest.fixture
def arrays(tmp_path, noise):
    np.savez(tmp_path / "calibration.npz", x=noise(60, 512))
    return tmp_path / "calibration.npz"


def test_a_stream_beside_every_window(phiz, tiny_path, arrays, tmp_path):
    ran = phiz("compile", tiny_path, "--calibrate", arrays, "--cap", "3.4MB", "--stream", "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert set(manifest["artifacts"]) == WINDOWED | {f"{name}+stream" for name in WINDOWED}
    for name in WINDOWED:
        assert manifest["artifacts"][f"{name}+stream"]["path"].startswith("student.stream.")
        ours, theirs = manifest["parity"][f"{name}+stream"], manifest["parity"][name]
        assert ours["status"] == "run"
        assert ours["sqnr_db"] == pytest.approx(theirs["sqnr_db"], abs=0.01)
        # The same integers; what remains is the float arithmetic of the last layer.
        assert ours["steps_from"][name] < 1e-3
    assert phiz("audit", tmp_path / "out", "--cap", "3.4MB").code == 0


def test_golden_hops(phiz, tiny_path, arrays, tmp_path):
    """An engine team fills states with their resets, gives them back with each hop, and finds what is written."""
    ran = phiz("compile", tiny_path, "-t", "onnx+stream", "--calibrate", arrays, "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    session = onnxruntime.InferenceSession(str(tmp_path / "out/student.stream.onnx"))
    facts = json.loads(session.get_modelmeta().custom_metadata_map["phiz.stream"])
    shapes = {value.name: value.shape for value in session.get_inputs()}
    names = [value.name for value in session.get_outputs()]
    states = {s["input"]: np.full(shapes[s["input"]], s["reset"], s["dtype"]) for s in facts["states"]}
    described = json.loads((tmp_path / "out/manifest.json").read_text())["streams"]
    assert described == {"onnx+stream": facts}  # no face: nobody says what a step lasts
    with np.load(tmp_path / "out/golden.npz", allow_pickle=False) as golden:
        assert golden["stream.hop"] == facts["hop"]
        assert golden["stream.warm_up"] == facts["warm_up"]
        assert golden["stream.reset.onnx+stream"].tolist() == [s["reset"] for s in facts["states"]]
        assert golden["stream.input.x"].shape[1:] == (1, facts["hop"]) == tuple(shapes["x"])
        step = float(np.ptp(golden["float.y"])) / 100  # an order of magnitude above a quantisation step
        for hop, expected in zip(golden["stream.input.x"], golden["stream.expected.y"], strict=True):
            given = dict(zip(names, session.run(None, {"x": hop, **states}), strict=True))
            states = {s["input"]: given[s["output"]] for s in facts["states"]}
            np.testing.assert_allclose(given["y"], expected, atol=step)


def test_golden_hops_of_core_ml(phiz, tiny_path, arrays, tmp_path):
    """Whether Core ML keeps the states or is given them; each form has hops of its own plan to be held against."""
    pytest.importorskip("coremltools")
    forms = [find(f"coreml{form}+stream") for form in ("", ":ios18", ":w8a8")]
    wanted = [word for target in forms for word in ("-t", target.name)]
    ran = phiz("compile", tiny_path, "-t", "onnx+stream", *wanted, "--calibrate", arrays, "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    with np.load(tmp_path / "out/golden.npz", allow_pickle=False) as golden:
        for target in forms:
            path = tmp_path / "out" / manifest["artifacts"][target.name]["path"]
            stream = Stream.from_metadata(target.dissect(read_files(path)).metadata, target.name)
            assert {state.kept for state in stream.states} == {target.form == "ios18"}
            assert asdict(stream) == manifest["streams"][target.name] | {"states": tuple(map(asdict, stream.states))}
            streamed = Streamed(target.load(path), stream)
            said = [streamed.run({"x": hop})["y"] for hop in golden["stream.input.x"]]
            own = golden["stream.expected.y" if target.form == "w8a8" else f"stream.expected.{target.name}.y"]
            step = manifest["parity"][target.name]["step_sizes"]["y"]
            np.testing.assert_allclose(said, own, atol=STEP_LIMITS["coreml"] * step)


def test_what_is_quantised_at_run_time_has_no_time(phiz, arrays, tmp_path):
    """The rule asks for one scale of all that the first layer hears, which a stream never has at once."""
    random = np.random.default_rng(5)
    sizes = {"first": (512, 6), "last": (6, 3)}
    weights = {name: random.normal(size=size).astype(np.float32) / 8 for name, size in sizes.items()}
    nodes = [
        helper.make_node("Gemm", ["x", "first"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("Gemm", ["active", "last"], ["y"]),
    ]
    ports = [helper.make_tensor_value_info(*port) for port in (("x", 1, [1, 512]), ("y", 1, [1, 3]))]
    stored = [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "two", ports[:1], ports[1:], stored)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), tmp_path / "two.onnx"
    )
    words = (tmp_path / "two.onnx", "-t", "onnx", "--scheme", "w8-dynamic", "--calibrate", arrays)
    found = {}
    for name, flags in (("streams", ["--stream"]), ("windows", [])):
        ran = phiz("compile", *words, *flags, "-o", tmp_path / name)
        assert ran.code == 0, ran.err
        chosen = json.loads((tmp_path / name / "manifest.json").read_text())["schemes"]
        found[name] = [facts["scheme"] for node, facts in chosen.items() if node.startswith("gemm")]
    assert found == {"streams": ["w8", "w8-dynamic"], "windows": ["w8-dynamic", "w8-dynamic"]}


def test_what_a_hop_of_a_face_lasts(phiz, tiny_path, arrays, tmp_path):
    """512 samples at 8 kHz, 10 ms of them ahead: by hand."""
    model = onnx.load(tiny_path)
    rate, ahead = 8000, 10
    facts = {"sample_rate": rate, "frame_rate": 50.0, "window": 512, "look_ahead_ms": ahead, "controls": '["a"]'}
    for key, value in facts.items():
        model.metadata_props.add(key=f"phiz.{key}", value=str(value))
    onnx.save(model, tmp_path / "face.onnx")
    ran = phiz("compile", tmp_path / "face.onnx", "-t", "onnx+stream", "--calibrate", arrays, "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    stream = json.loads((tmp_path / "out/manifest.json").read_text())["streams"]["onnx+stream"]
    assert stream["latency_ms"] == ahead
    assert stream["hop_ms"] == stream["hop"] / 8
    assert stream["warm_up_ms"] == -(-512 // stream["hop"]) * stream["hop"] / 8


def test_in_the_configuration(phiz, tiny_path, arrays, tmp_path):
    lines = f"""
        [model]
        path = "{tiny_path}"
        [calibrate]
        audio = "{arrays}"
        [build.mobile]
        targets = ["onnx"]
        stream = true
    """
    (tmp_path / "phiz.toml").write_text(lines)
    ran = phiz("compile", "--config", tmp_path / "phiz.toml")
    assert ran.code == 0, ran.err
    names = {path.name for path in (tmp_path / "build/mobile").iterdir()}
    assert {"student.onnx", "student.stream.onnx"} <= names
    assert phiz("compile", "--config", tmp_path / "phiz.toml", "--no-stream").code == 0
    assert not (tmp_path / "build/mobile/student.stream.onnx").exists()


def test_what_looks_across_the_window_is_refused(phiz, arrays, tmp_path):
    nodes = [
        helper.make_node("Softmax", ["x"], ["shares"], axis=1, name="attention"),
        helper.make_node("Mul", ["x", "shares"], ["y"]),
    ]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 512]) for name in "xy"]
    graph = helper.make_graph(nodes, "global", ports[:1], ports[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    ran = phiz("compile", tmp_path / "m.onnx", "-t", "onnx", "--calibrate", arrays, "--stream", "-o", tmp_path / "out")
    assert ran.code == 2
    assert "not supported by streaming: it looks across the whole window" in ran.err
    assert not (tmp_path / "out").exists()


def test_an_unknown_target_names_the_streams(phiz, tiny_path, tmp_path):
    ran = phiz("compile", tiny_path, "-t", "onnx+streams", "-o", tmp_path / "out")
    assert ran.code == 2
    assert "each also with +stream behind it" in ran.err


def test_no_other_road_is_offered_to_a_stream(phiz, tmp_path, monkeypatch):
    """litert-torch makes no streams, so a network that cannot be one is refused for that reason, whatever the flags."""
    pytest.importorskip("torch")
    lines = """
        import torch

        class Padded(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = torch.nn.Conv1d(1, 4, 3, padding=1)

            def forward(self, x):
                return self.layer(x)

        def make():
            torch.manual_seed(0)
            return Padded().eval(), (torch.zeros(1, 1, 64),)
    """
    (tmp_path / "padded.py").write_text(textwrap.dedent(lines))
    monkeypatch.chdir(tmp_path)
    for flags in ((), ("--fallback", "litert-torch")):
        ran = phiz("compile", "padded:make", "-t", "tflite", "--stream", *flags, "-o", tmp_path / "out")
        assert ran.code == 2
        assert "padding=0" in ran.err
        assert "litert-torch" not in ran.err
