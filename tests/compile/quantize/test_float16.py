"""The scheme ``float16``: weights of half the width where that loses nothing, and a reason where it would."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from compile import capture
from compile.quantize.apply import apply
from compile.quantize.calibrate import observe
from compile.quantize.decide import decide
from compile.quantize.recipe import PROFILES, parse
from compile.quantize.scheme import Scheme, unfit_for_float16
from compile.simplify.pipeline import simplify
from targets.capabilities import scheme_of
from targets.kernels import read
from targets.onnx.run import Session

FLOAT16 = PROFILES["float16"].recipe


def test_the_graph_holds_the_rounded_weights_and_computes_with_them(model, ranges, samples):
    """By numpy's own rounding; biases stay float32, and so does all arithmetic: a second graph with the rounded
    weights in float32 gives the same outputs, bit for bit."""
    half = apply(model, decide(model, ranges, FLOAT16))
    proto = onnx.load_from_string(half.to_bytes())
    onnx.checker.check_model(proto, full_check=True)
    weights = {name: value.const_value.numpy() for name, value in model.ir.graph.initializers.items()}
    stored = {tensor.name.removesuffix(".half"): numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    narrow = [name for name, array in stored.items() if array.dtype == np.float16]
    assert sorted(stored[name].size for name in narrow) == [8 * 16, 8 * 8 * 3, 4 * 488]
    for name in narrow:
        np.testing.assert_array_equal(stored[name], weights[name].astype(np.float16))

    rounded = onnx.load_from_string(model.to_bytes())
    for tensor in rounded.graph.initializer:
        if tensor.name in narrow:
            wide = weights[tensor.name].astype(np.float16).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))
    sessions = [Session(given.SerializeToString(), "test") for given in (proto, rounded)]
    for x in samples["x"][:4]:
        first, second = (session.run({"x": x[None]})["y"] for session in sessions)
        np.testing.assert_array_equal(first, second)


def test_kernels_read_the_scheme_off_the_graph(model, ranges):
    program = read(apply(model, decide(model, ranges, FLOAT16)))
    schemes = {kernel.node: scheme_of(kernel, program) for kernel in program.kernels if kernel.node}
    weighted = {node.name for node in model.ir.graph if node.op_type in ("Conv", "Gemm")}
    assert {name for name, scheme in schemes.items() if scheme == "float16"} == weighted
    assert set(schemes.values()) == {"float16", "float"}


def test_int8_and_float16_live_in_one_graph(model, ranges, samples):
    plan = decide(model, ranges, (*PROFILES["w8a8"].recipe, parse("float16 on Gemm")))
    program = read(apply(model, plan))
    found = {kernel.operator: scheme_of(kernel, program) for kernel in program.kernels}
    assert (found["Conv"], found["Gemm"]) == ("w8a8", "float16")
    Session(apply(model, plan).to_bytes(), "test").run({"x": samples["x"][:1]})


@pytest.mark.parametrize(
    ("scale", "reason"), [(1e6, "float16 ends at 65504"), (1e-7, "float16 rounds them away"), (1.0, ""), (1e-3, "")]
)
def test_what_float16_cannot_hold_stays_float(tiny, tmp_path, samples, scale, reason):
    weight = np.random.default_rng(0).normal(size=(4, 8 * 61)).astype(np.float32)
    model = simplify(capture.from_onnx(tiny.replace("w3", weight * np.float32(scale)).save(tmp_path / "m.onnx"))).model
    plan = decide(model, observe(model, samples), FLOAT16)
    (head,) = (plan.decisions[node.name] for node in model.ir.graph if node.op_type == "Gemm")
    assert head.scheme == (Scheme.FLOAT if reason else Scheme.FLOAT16)
    assert reason in head.because


def test_a_dead_channel_is_no_reason():
    weight = np.random.default_rng(0).normal(size=(4, 3, 5)).astype(np.float32)
    weight[2] *= 1e-9
    assert unfit_for_float16(weight) == ""
    weight[2] *= 1e4  # small, yet not negligible beside its neighbours
    assert "rounds them away" in unfit_for_float16(weight)
    assert unfit_for_float16(np.zeros((4, 3), np.float32)) == ""


def test_a_shared_weight_is_stored_once(tiny, tmp_path, samples):
    tiny.nodes[3].output[0] = "c2a"
    tiny.nodes.insert(4, onnx.helper.make_node("Conv", ["c2a", "w2"], ["c2b"], name="again", pads=[1, 1]))
    tiny.nodes.insert(5, onnx.helper.make_node("Relu", ["c2b"], ["c2"]))
    model = simplify(capture.from_onnx(tiny.save(tmp_path / "m.onnx"))).model
    for name, size in (("float16", 2), ("w8", 1), ("w8a8", 1)):
        plan = decide(model, observe(model, samples), PROFILES[name].recipe)
        stored = [v.const_value for v in apply(model, plan).ir.graph.initializers.values()]
        assert len([t for t in stored if t.numpy().shape == (8, 8, 3) and t.dtype.itemsize == size]) == 1
