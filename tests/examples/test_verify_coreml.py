"""The script for Macs, with numpy's evaluation in place of Core ML."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

PATH = Path(__file__).parents[2] / "examples" / "verify_coreml.py"
STEP = 0.125


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("verify_coreml", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules["verify_coreml"] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def build(tmp_path):
    """A build of y = 2x, of which the quantised graph is half a step off, and int8 activations a whole step."""
    x = np.random.default_rng(0).normal(size=(4, 1, 8)).astype(np.float32)
    parity = {"sqnr_db": 30.0, "step_sizes": {"y": STEP}}
    targets = {"onnx": "s.onnx", "coreml": "s.mlpackage", "coreml:w8a8": "s.w8a8.mlpackage"}
    manifest = {
        "artifacts": {name: {"path": path} for name, path in targets.items()},
        "parity": dict.fromkeys(targets, parity),
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    expected = {"expected.y": 2 * x + STEP / 2, "expected.coreml:w8a8.y": 2 * x + STEP}
    np.savez(tmp_path / "golden.npz", allow_pickle=False, **{"input.x": x, "float.y": 2 * x, **expected})
    return tmp_path


def core_ml(offset, seen=None):
    """Core ML as the script opens it, off by so many steps."""

    def load(path, unit):
        if seen is not None:
            seen.append((path.name, unit))
        return lambda inputs: {"y": 2 * inputs["x"].reshape(8) + np.float32(offset * STEP)}

    return load


def test_every_package_runs_on_every_unit(script, build, capsys):
    seen = []
    assert script.run(build, script.UNITS, script.Limits(1.0, 99.0), core_ml(0.0, seen)) == 0
    assert seen == [(name, unit) for name in ("s.mlpackage", "s.w8a8.mlpackage") for unit in script.UNITS]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[:2]] == [["coreml", "CPU_ONLY"], ["coreml", "CPU_AND_GPU"]]
    assert lines[0].split()[2:] == ["y", "inf", "dB", "0.500", "steps", "pass"]  # equal to the float model
    assert lines[4].split()[5:] == ["1.000", "steps", "pass"]  # a form has expectations of its own
    assert lines[-1] == "Core ML agrees with the build"


@pytest.mark.parametrize(("offset", "code"), [(2.49, 0), (2.51, 1), (-1.49, 0), (-1.51, 1), (float("nan"), 1)])
def test_steps_are_counted_from_the_quantised_graph(script, build, offset, code, capsys):
    package = script.packages(build)[0]
    (found,) = script.verify(package, "ALL", core_ml(offset)(package.path, "ALL"), script.Limits(2.0, 99.0))
    assert bool(found.problem) == bool(code)
    assert np.isnan(found.steps) or found.steps == pytest.approx(abs(offset - 0.5), abs=1e-5)


def test_noise_is_counted_against_the_float_model(script, build):
    package = script.packages(build)[0]
    signal = float((package.reference["y"] ** 2).mean())
    (found,) = script.verify(package, "ALL", core_ml(1.0)(package.path, "ALL"), script.Limits(9.0, 3.0))
    assert found.sqnr == pytest.approx(10 * np.log10(signal / STEP**2), abs=1e-3)  # 24.0 dB: 6 less than evaluated
    assert found.problem == "more than 3 dB below the 30.0 dB of numpy's evaluation"


def test_a_package_that_core_ml_refuses_is_a_failure(script, build, capsys):
    def refuse(path, unit):
        raise RuntimeError("unknown opset")

    assert script.run(build, ["ALL"], script.Limits(3.0, 3.0), refuse) == 1
    assert "FAIL  RuntimeError: unknown opset" in capsys.readouterr().out


def test_elsewhere_nothing_is_verified(script, build, monkeypatch, capsys):
    monkeypatch.setattr("platform.system", lambda: "Linux")
    assert script.main([str(build)]) == 2
    assert capsys.readouterr().err == "not run: needs macOS\n"


@pytest.mark.parametrize("damage", ["manifest.json", "golden.npz", "coreml"])
def test_what_is_no_build_is_said(script, build, damage, monkeypatch, capsys):
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    if damage == "coreml":
        manifest = json.loads((build / "manifest.json").read_text())
        manifest["artifacts"] = {"onnx": {"path": "s.onnx"}}
        (build / "manifest.json").write_text(json.dumps(manifest))
    else:
        (build / damage).write_bytes(b"{}")
    assert script.main([str(build)]) == 2
    assert capsys.readouterr().err.startswith("not run: ")


def test_it_reads_what_phiz_writes(script, build, tmp_path):
    """A real package behind the same door: numpy evaluates it, under the model's own names."""
    pytest.importorskip("coremltools")
    onnx = pytest.importorskip("onnx")
    import onnx_ir as ir

    from compile.model import Model
    from targets.coreml import run
    from targets.coreml.lower import lower

    ports = [onnx.helper.make_tensor_value_info(name, 1, [1, 8]) for name in ("x", "y")]
    node = onnx.helper.make_node("Add", ["x", "x"], ["y"], name="n")
    graph = onnx.helper.make_graph([node], "s", ports[:1], ports[1:])
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)])
    for name, data in lower(Model(ir.from_proto(proto))).files.items():
        (build / name).parent.mkdir(parents=True, exist_ok=True)
        (build / name).write_bytes(data)
    package = script.packages(build)[0]
    (found,) = script.verify(package, "ALL", run.load(package.path).run, script.Limits(0.6, 3.0))
    assert (found.problem, found.sqnr) == ("", float("inf"))


HOPS = 6


@pytest.fixture
def streams(build):
    """The same build with streams: each hop adds to what was heard so far, and the sum is said."""
    x = np.random.default_rng(1).normal(size=(HOPS, 1, 1)).astype(np.float32)
    said = x.cumsum(axis=0, dtype=np.float32)
    manifest = json.loads((build / "manifest.json").read_text())
    manifest["artifacts"] = {f"coreml{form}+stream": {"path": f"s{form}"} for form in ("", ":ios18")}
    manifest["parity"] = {name: {"sqnr_db": 99.0, "step_sizes": {"y": STEP}} for name in manifest["artifacts"]}
    (build / "manifest.json").write_text(json.dumps(manifest))
    with np.load(build / "golden.npz") as golden:
        arrays = dict(golden)
    arrays |= {"stream.input.x": x, "stream.expected.y": said + 9, "stream.expected.coreml:ios18+stream.y": said}
    arrays |= {"stream.expected.coreml+stream.y": said, "stream.hop": np.array(1)}
    np.savez(build / "golden.npz", allow_pickle=False, **arrays)
    return build


class Sum:
    """Core ML's model of such a stream, as coremltools has it; what is none of its features is an error."""

    def __init__(self, path, compute_units):
        self.unit = compute_units
        self.kept = path.endswith(":ios18")
        ends = ("s", "s") if self.kept else ("s", "s_next")
        state = dict(zip(("input", "output"), ends, strict=True)) | {"dtype": "float32", "reset": 0}
        self.user_defined_metadata = {"phiz.stream": json.dumps({"hop": 1, "warm_up": 1, "states": [state]})}
        self.user_defined_metadata["phiz.names"] = json.dumps({"x_": "x"})

    def get_spec(self):
        names = ["x_"] if self.kept else ["x_", "s"]
        features = [
            SimpleNamespace(name=name, type=SimpleNamespace(multiArrayType=SimpleNamespace(shape=[1, 1])))
            for name in names
        ]
        return SimpleNamespace(description=SimpleNamespace(input=features))

    def make_state(self):
        assert self.kept
        return {"s": np.zeros((1, 1), np.float16)}

    def predict(self, data, state=None):
        assert (set(data), state is None) == (({"x_"}, False) if self.kept else ({"x_", "s"}, True))
        total = (state if self.kept else data)["s"] + data["x_"]
        if self.kept:
            state["s"] = total
        return {"y": total} if self.kept else {"y": total, "s_next": total}


class Forgetful(Sum):
    def make_state(self):
        return {"s": np.ones((1, 1), np.float16)}


@pytest.fixture
def core_ml_of(monkeypatch):
    """Puts a class where the script finds Core ML."""

    def put(model):
        units = dict.fromkeys(("CPU_ONLY", "CPU_AND_GPU", "CPU_AND_NE", "ALL"))
        fake = SimpleNamespace(models=SimpleNamespace(MLModel=model), ComputeUnit=units)
        monkeypatch.setitem(sys.modules, "coremltools", fake)

    return put


def test_streams_are_given_their_hops(script, streams, core_ml_of, capsys):
    """From the reset on, anew on every unit; states are given back, or kept by Core ML."""
    core_ml_of(Sum)
    assert script.run(streams, script.UNITS, script.Limits(0.01, 3.0), script.load) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[:-1]] == [
        [target, unit] for target in ("coreml+stream", "coreml:ios18+stream") for unit in script.UNITS
    ]
    assert all(line.endswith("pass") for line in lines[:-1])


def test_a_state_that_does_not_begin_at_zero_is_found(script, streams, core_ml_of, capsys):
    core_ml_of(Forgetful)
    assert script.run(streams, ["ALL"], script.Limits(3.0, 3.0), script.load) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("pass")  # that which is given its states
    assert lines[1].endswith("FAIL  more than 3 steps from the quantised graph")


def test_a_build_without_hops_is_said(script, streams):
    with np.load(streams / "golden.npz") as golden:
        arrays = {name: array for name, array in golden.items() if not name.startswith("stream.")}
    np.savez(streams / "golden.npz", allow_pickle=False, **arrays)
    with pytest.raises(script.Unverified, match="no folder that phiz compile wrote"):
        script.packages(streams)
