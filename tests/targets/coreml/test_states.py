"""States that Core ML keeps: what coremltools writes of them, what is in them, and that they are counted."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx_ir as ir
import pytest

from compile.errors import UserError
from compile.model import PEAK, Model
from compile.streaming.stream import stream
from targets.coreml import run
from targets.coreml.dissect import dissect
from targets.coreml.lower import lower
from targets.onnx.run import AS_WRITTEN, Session
from targets.stream import State, Stream
from targets.streamed import Streamed

HOP, KEPT = 32, 64
# A convolution of kernel 65 and stride 32 that keeps 64 samples, as coremltools converts it, and what torch says.
MAKE = f"""
import sys
from pathlib import Path
import coremltools as ct, numpy as np, torch

class Ring(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv1d(1, 4, {KEPT + 1}, {HOP})
        self.register_buffer("state_0", torch.zeros(1, {KEPT}))

    def forward(self, x):
        joined = torch.cat([self.state_0.reshape(1, 1, {KEPT}), x], 2)
        self.state_0.mul_(0).add_(joined[:, 0, {HOP}:])
        return torch.relu(self.layer(joined))

torch.manual_seed(0)
torch.set_num_threads(1)
net, out = Ring().eval(), Path(sys.argv[1])
ct.convert(
    torch.jit.trace(net, torch.zeros(1, 1, {HOP})),
    inputs=[ct.TensorType(name="in0", shape=(1, 1, {HOP}), dtype=np.float32)],
    outputs=[ct.TensorType(name="y", dtype=np.float32)],
    states=[ct.StateType(ct.TensorType(shape=(1, {KEPT}), dtype=np.float16), name="state_0")],
    minimum_deployment_target=ct.target.iOS18,
).save(str(out / "ring.mlpackage"))
net.state_0.zero_()
hops = torch.randn(8, 1, 1, {HOP})
with torch.no_grad():
    np.savez(out / "said.npz", hops=hops, said=torch.stack([net(hop) for hop in hops]))
"""


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """The folder with coremltools' own package, and what it should say."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("theirs")
    subprocess.run([sys.executable, "-W", "ignore", "-c", MAKE, str(folder)], capture_output=True, check=True)
    return folder


@pytest.fixture
def ring(hub, quantize):
    """The same network here, as a graph of windows: ``ring(scheme, peak)``."""

    def make(scheme, peak=None):
        net = hub(3)
        x = net.conv(net.input(1, 1, KEPT + HOP), 4, 1, (KEPT + 1,), strides=[HOP])
        model = Model(ir.from_proto(quantize(net.model(net.op("Relu", x)), scheme, net.feeds())))
        if peak:
            model.ir.graph.inputs[0].meta[PEAK] = peak
        return model

    return make


def spec_of(path):
    from coremltools.proto import Model_pb2

    return Model_pb2.Model.FromString((path / "Data/com.apple.CoreML/model.mlmodel").read_bytes())


def pushed(runner, audio):
    """What a runner says to each hop, and what its states then are."""
    states = {name: np.zeros(shape, np.float16) for name, shape in runner.inputs.items() if name != "in0"}
    for start in range(0, audio.shape[2], HOP):
        said = runner.run({"in0": np.ascontiguousarray(audio[..., start : start + HOP]), **states})
        states = {name: said.pop(name) for name in states}
        yield next(iter(said.values())), states


def noise(hops, gain=1.0):
    return (np.random.default_rng(5).normal(0, gain, (1, 1, hops * HOP))).astype(np.float32)


def test_states_are_written_as_coremltools_writes_them(theirs, ring, saved):
    """Field by field: its description of the state, the function's input, and what reads and writes it."""
    pytest.importorskip("coremltools")
    found = spec_of(saved(lower(stream(ring("w8")), "ios18").files))
    wanted = spec_of(theirs / "ring.mlpackage")
    assert found.specificationVersion == wanted.specificationVersion == 9
    assert [state.name for state in found.description.state] == ["state_0"]
    assert found.description.state == wanted.description.state
    assert found.description.input == wanted.description.input
    ours, its = (spec.mlProgram.functions["main"] for spec in (found, wanted))
    assert ours.opset == its.opset == "CoreML8"
    assert ours.inputs == its.inputs
    for kind in ("read_state", "write_state"):
        (one, other) = (bare(first(function, kind)) for function in (ours, its))
        assert one == other


def first(function, kind):
    (block,) = function.block_specializations.values()
    return next(operation for operation in block.operations if operation.type == kind)


def bare(operation):
    """Without the names of what is computed, and without attributes: the message that coremltools adds is its name."""
    assert set(operation.attributes) <= {"name"}
    operation.attributes.clear()
    for value in operation.outputs:
        value.name = ""
    for binding in operation.inputs["data"].arguments if "data" in operation.inputs else ():
        binding.name = ""
    return operation


@pytest.mark.parametrize("scheme", ["w8", "float", "w8a8"])
def test_coremltools_reads_them(scheme, ring, saved):
    """Its model, and its reader of programs, which infers every type anew and knows states by their type."""
    coremltools = pytest.importorskip("coremltools")
    from coremltools.converters.mil.frontend.milproto.load import load as load_program
    from coremltools.converters.mil.mil import types

    path = saved(lower(stream(ring(scheme)), "ios18").files)
    spec = coremltools.models.MLModel(str(path), skip_model_load=True).get_spec()
    program = load_program(spec, 9, str(path / "Data/com.apple.CoreML/weights"))
    function = program.functions["main"]
    assert [name for name, var in function.inputs.items() if types.is_state(var.sym_type)] == ["state_0"]
    assert [op.op_type for op in function.operations if "state" in op.op_type] == ["read_state", "coreml_update_state"]
    assert [var.shape for var in function.outputs] == [(1, 4, 1)]


def test_its_states_are_run_as_torch_runs_them(theirs):
    """It writes and reads its state twice in a run, so the order counts. float16: 2^-11 of each product."""
    runner = run.load(theirs / "ring.mlpackage")
    with np.load(theirs / "said.npz") as known:
        audio = known["hops"].reshape(1, 1, -1)
        found = list(pushed(runner, audio))
        for (said, _), wanted in zip(found, known["said"], strict=True):
            np.testing.assert_allclose(said, wanted, atol=4e-3)
        states = found[-1][1]
    np.testing.assert_array_equal(states["state_0"], audio[:, 0, -KEPT:].astype(np.float16))


def test_float16_is_kept_as_it_is(ring, saved):
    made = lower(stream(ring("w8")), "ios18")
    audio = noise(4)
    *_, (_, states) = pushed(run.load(saved(made.files)), audio)
    np.testing.assert_array_equal(states["state_0"], audio[:, 0, -KEPT:].astype(np.float16))
    assert Stream.from_metadata(dissect(made.files).metadata, "").states == (State("state_0", "state_0", "float16"),)


def test_float32_is_kept_in_two_rows(ring, saved):
    audio = noise(4)
    *_, (_, states) = pushed(run.load(saved(lower(stream(ring("float")), "ios18").files)), audio)
    high, low = states["state_0"].astype(np.float64)
    newest = audio[0, 0, -KEPT:]
    np.testing.assert_array_equal(high, newest.astype(np.float16))
    error = np.abs(high + low / 2048 - newest)
    assert (error <= np.spacing(np.abs(newest))).all()


def test_sixteen_bits_of_audio_are_kept_exactly(ring, saved):
    samples = np.random.default_rng(1).integers(-32768, 32767, (1, 1, 4 * HOP)) / np.float32(32768)
    *_, (_, states) = pushed(run.load(saved(lower(stream(ring("float")), "ios18").files)), samples.astype(np.float32))
    high, low = states["state_0"].astype(np.float32)
    np.testing.assert_array_equal(high + low / 2048, samples[0, 0, -KEPT:])


def test_integers_are_kept_less_their_zero_point(ring, saved):
    """onnxruntime keeps the same integers, as integers."""
    made = stream(ring("w8a8"))
    facts = Stream.from_metadata(made.metadata, "")
    zero = facts.states[0].reset
    assert zero != 0
    audio = noise(6)
    session = Session(made.to_bytes(), "the graph", AS_WRITTEN)
    integers = {"state_0": np.full((1, 1, KEPT), zero, np.int8)}
    for start, (_, states) in zip(
        range(0, 6 * HOP, HOP), pushed(run.load(saved(lower(made, "ios18").files)), audio), strict=True
    ):
        outputs = session.run({"in0": audio[..., start : start + HOP], **integers})
        integers = {"state_0": outputs["state_0_next"]}
        np.testing.assert_array_equal(states["state_0"][0], integers["state_0"].reshape(-1).astype(np.int16) - zero)


@pytest.mark.parametrize("peak", [None, 2e6])
def test_beyond_float16(ring, saved, peak):
    """What calibration saw is kept as precisely as any other; without that, it is clipped and does no more harm."""
    model = ring("float", peak)
    audio = noise(8, 5e5)
    audio[..., 4 * HOP :] /= 1e5
    window = Session(model.to_bytes(), "the window", AS_WRITTEN)
    runner = run.load(saved(lower(stream(model), "ios18").files))
    errors = []
    for hop, (said, states) in enumerate(pushed(runner, audio)):
        assert np.isfinite(states["state_0"]).all()
        if hop > 1:
            (wanted,) = window.run({"in0": audio[..., (hop - 2) * HOP : (hop + 1) * HOP]}).values()
            errors.append(np.abs(said - wanted).max() / np.abs(wanted).max())
    assert max(errors if peak else errors[-2:]) < 1e-5  # sums in another order, relative to the largest
    assert peak or max(errors) > 0.1


@pytest.mark.parametrize("loudest", [1e-12, 1e-6, 0.01, 1.0, 3e4, 1e12])
def test_numbers_of_any_size(ring, saved, loudest):
    """Precise to float32, or to 2^-32 of the loudest: -190 dB."""
    audio = noise(4)
    audio[..., ::2] *= 1e-6
    audio *= np.float32(loudest / np.abs(audio).max())
    *_, (_, states) = pushed(run.load(saved(lower(stream(ring("float", loudest)), "ios18").files)), audio)
    high, low = states["state_0"].astype(np.float64)
    newest = audio[0, 0, -KEPT:].astype(np.float64)
    (unit,) = {2.0 ** np.round(np.log2(number / row)) for number, row in zip(newest[1::2], high[1::2], strict=True)}
    error = np.abs((high + low / 2048) * unit - newest)
    assert (error <= np.maximum(2.0**-22 * np.abs(newest), 2.0**-32 * loudest)).all()


@pytest.mark.parametrize("scheme", ["w8", "float", "w8a8"])
def test_rows_are_whole(scheme, hub, quantize, saved):
    """4 channels of 6 steps are 24 numbers of a row of 32; what fills it up stays 0."""
    net = hub()
    x = net.op("Relu", net.conv(net.input(1, 2, 40), 4, 2, (3,)))
    model = Model(ir.from_proto(quantize(net.model(net.conv(x, 3, 4, (7,))), scheme, net.feeds())))
    made = stream(model)
    runner = run.load(saved(lower(made, "ios18").files))
    assert {shape[1] for name, shape in runner.inputs.items() if name != "in0"} == {32}
    assert runner.inputs["state_1"] == (2 if scheme == "float" else 1, 32)
    states = {name: np.ones(shape, np.float16) for name, shape in runner.inputs.items() if name != "in0"}
    outputs = runner.run({"in0": np.ones((1, 2, 1), np.float32), **states})
    assert (outputs["state_1"][:, 24:] == 0).all()


def test_a_reset_forgets(ring, saved):
    made = lower(stream(ring("w8")), "ios18")
    streamed = Streamed(run.load(saved(made.files)), Stream.from_metadata(dissect(made.files).metadata, made.name))
    hops = np.split(noise(4), 4, axis=2)

    def said():
        return np.stack([next(iter(streamed.run({"in0": np.ascontiguousarray(hop)}).values())) for hop in hops])

    first, later = said(), said()
    streamed.reset()
    assert not np.array_equal(first, later)
    np.testing.assert_array_equal(first, said())


def test_the_same_bytes(ring):
    assert lower(stream(ring("float")), "ios18").files == lower(stream(ring("float")), "ios18").files


@pytest.mark.parametrize(("scheme", "size"), [("w8", 2), ("float", 4), ("w8a8", 2)])
def test_states_are_counted(scheme, size, ring):
    """As long as the run, like the ports of an earlier form; but there is no port that the next one leaves by."""
    made = stream(ring(scheme))
    ours, theirs = (dissect(lower(made, form).files) for form in ("ios18", ""))
    (kept,) = [life for life in ours.lifetimes if life.tensor == "state_0"]
    assert (kept.size, kept.first, kept.last) == (KEPT * size, 0, len(ours.steps) - 1)
    (given,) = [life for life in theirs.lifetimes if life.tensor == "state_0"]
    assert (given.size, given.first, given.last) == (KEPT * 4, 0, len(theirs.steps) - 1)
    assert f"states: Core ML keeps {KEPT * size} bytes from one prediction to the next" in ours.notes[1]
    assert not any("states" in note for note in theirs.notes)
    assert not any(life.tensor == "state_0_next" for life in ours.lifetimes)


def test_a_window_has_no_states(ring, saved):
    spec = spec_of(saved(lower(ring("w8"), "ios18").files))
    assert not spec.description.state
    assert "phiz.stream" not in spec.description.metadata.userDefined


HOSTILE = {
    "a tensor is written": ("write_state", "input", "in0", "takes a state for a tensor, or a tensor for a state"),
    "a tensor is read": ("read_state", "input", "in0", "takes a state for a tensor, or a tensor for a state"),
    "a state is computed with": ("conv", "x", "state_0", "takes a state for a tensor, or a tensor for a state"),
    "of another shape": ("write_state", "data", "in0", r"keeps float16 \[1, 64\], and is given something else"),
    "nothing is written": ("write_state", "data", None, r"keeps float16 \[1, 64\], and is given something else"),
    "nowhere": ("write_state", "input", None, "takes a state for a tensor, or a tensor for a state"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_programs(case, ring, saved):
    kind, parameter, name, words = HOSTILE[case]
    path = saved(lower(stream(ring("w8")), "ios18").files)
    spec = spec_of(path)
    given = first(spec.mlProgram.functions["main"], kind).inputs
    if name is None:
        del given[parameter]
    else:
        given[parameter].arguments[0].name = name
    (path / "Data/com.apple.CoreML/model.mlmodel").write_bytes(spec.SerializeToString())
    with pytest.raises(UserError, match=words):
        next(pushed(run.load(path), noise(1)))
