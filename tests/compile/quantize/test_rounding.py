"""Rounding with regard to the inputs: the same scales, the same bytes, a smaller error at the output of each layer."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from compile import capture
from compile.quantize import rounding
from compile.quantize.apply import apply
from compile.quantize.calibrate import batches
from compile.quantize.decide import decide
from compile.quantize.measure import collect, sqnr
from compile.quantize.recipe import PROFILES, parse
from compile.quantize.rounding import _inputs, _rows, roundings, with_roundings
from compile.simplify.pipeline import simplify
from targets.onnx.run import Session

RANDOM = np.random.default_rng(11)


def network(tmp_path, node, shape, output, **constants):
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, output)],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), tmp_path / "g.onnx")
    return simplify(capture.from_onnx(tmp_path / "g.onnx")).model


CASES = {
    "1-D": ([1, 4, 40], (6, 4, 5), {"strides": [2], "pads": [2, 1]}),
    "dilated": ([1, 4, 40], (6, 4, 3), {"dilations": [3], "pads": [0, 4]}),
    "grouped": ([1, 4, 40], (6, 2, 5), {"group": 2, "pads": [2, 2]}),
    "depthwise": ([1, 6, 40], (6, 1, 5), {"group": 6, "pads": [0, 4]}),
    "2-D": ([1, 3, 12, 14], (5, 3, 3, 4), {"strides": [2, 1], "pads": [1, 0, 2, 3], "dilations": [1, 2]}),
}


@pytest.mark.parametrize("case", CASES)
def test_rows_times_weights_are_the_convolution(tmp_path, case):
    torch = pytest.importorskip("torch")
    shape, weights, attributes = CASES[case]
    x, w = RANDOM.normal(size=shape).astype(np.float32), RANDOM.normal(size=weights).astype(np.float32)
    rank, given = len(shape) - 2, dict(attributes)
    pads = given.pop("pads")
    padded = torch.nn.functional.pad(
        torch.from_numpy(x), [n for axis in reversed(range(rank)) for n in (pads[axis], pads[axis + rank])]
    )
    names = {"strides": "stride", "dilations": "dilation", "group": "groups"}
    convolve = (torch.nn.functional.conv1d, torch.nn.functional.conv2d)[rank - 1]
    want = convolve(padded, torch.from_numpy(w), **{names[name]: value for name, value in given.items()}).numpy()
    node = helper.make_node("Conv", ["x", "w"], ["y"], **attributes)
    model = network(tmp_path, node, shape, list(want.shape), w=w)
    node = next(n for n in model.ir.graph if n.op_type == "Conv")
    rows = _rows(node, x, want[0, 0].size)
    groups = attributes.get("group", 1)
    products = np.einsum("grk,gok->gor", rows, w.reshape(groups, -1, rows.shape[2]))
    np.testing.assert_allclose(products.reshape(want.shape), want, atol=1e-4)  # float32 sums of some 40 terms
    np.testing.assert_array_equal(_rows(node, x, 10), rows[:, :: -(-rows.shape[1] // 10)])


@pytest.mark.parametrize("case", CASES)
def test_every_form_rounds_to_a_neighbourhood(tmp_path, case):
    """A weight may leave its nearest integer, but the compensation stays moderate: damping sees to that."""
    shape, weights, attributes = CASES[case]
    w = RANDOM.normal(size=weights).astype(np.float32)
    x = {"x": RANDOM.normal(size=(24, *shape[1:])).astype(np.float32)}
    probe = {"1-D": [1, 6, 20], "dilated": [1, 6, 38], "grouped": [1, 6, 40], "depthwise": [1, 6, 40]}
    node = helper.make_node("Conv", ["x", "w"], ["y"], **attributes)
    output = probe.get(case, [1, 5, 7, 11])
    model = network(tmp_path, node, shape, output, w=w)
    (found,) = roundings(model, x).values()
    real = w / found.scale.reshape(-1, *[1] * (w.ndim - 1))
    assert found.integers.shape == w.shape
    assert np.abs(found.integers - real).max() < 2
    assert np.abs(found.integers).max() <= 127


@pytest.mark.parametrize("size", [1e-22, 1e22])
def test_the_size_of_the_inputs_does_not_matter(tmp_path, size):
    """Their squares are beyond float32, whose rounding may turn a tie: no more than one weight in fifty differs."""
    w = RANDOM.normal(size=(16, 24)).astype(np.float32)
    model = network(tmp_path, helper.make_node("Gemm", ["x", "w"], ["y"], transB=1), [1, 24], [1, 16], w=w)
    x = correlated(200, 24)
    (usual,), (other,) = (roundings(model, {"x": (x * factor).astype(np.float32)}).values() for factor in (1, size))
    assert np.mean(usual.integers != other.integers) < 0.02


def correlated(count, width):
    """Samples whose neighbouring elements are alike, as those of a waveform are."""
    noise = RANDOM.normal(size=(count, width + 8))
    return np.stack([noise[:, at : at + width] for at in range(8)]).mean(axis=0).astype(np.float32)


def test_correlated_inputs_gain_most(tmp_path):
    w = RANDOM.normal(size=(16, 64)).astype(np.float32)
    model = network(tmp_path, helper.make_node("Gemm", ["x", "w"], ["y"], transB=1), [1, 64], [1, 16], w=w)
    x, other = correlated(512, 64), correlated(64, 64)
    (rounding,) = roundings(model, {"x": x}).values()
    scale = rounding.scale[:, None]
    ours, nearest = (
        np.sum((other @ (integers * scale - w).T) ** 2) for integers in (rounding.integers, np.rint(w / scale))
    )
    assert ours < nearest / 4  # 6 dB, on samples it has not seen


@pytest.mark.parametrize("sign", [1, -1])
def test_a_channel_of_one_sign_keeps_it(tmp_path, sign):
    """As a filterbank's, whose sums of powers a logarithm reads; without that rule some of these cross zero."""
    w = (sign * RANDOM.uniform(size=(128, 64)) * (np.arange(64) % 4 < 2)).astype(np.float32)
    model = network(tmp_path, helper.make_node("Gemm", ["x", "w"], ["y"], transB=1), [1, 64], [1, 128], w=w)
    x = np.square(RANDOM.normal(size=(512, 64))) * np.geomspace(1, 0.1, 64)  # loud first, as speech is
    (rounding,) = roundings(model, {"x": x.astype(np.float32)}).values()
    assert (sign * rounding.integers >= 0).all()


def test_a_network_gets_better_and_no_larger(model, ranges, samples):
    plan = decide(model, ranges, PROFILES["w8"].recipe)
    better = with_roundings(plan, roundings(model, samples))
    assert set(better.integers) == set(plan.weights)
    feeds = batches(model, samples)
    reference, *outputs = (
        collect(Session(m.to_bytes(), "test"), feeds) for m in (model, apply(model, plan), apply(model, better))
    )
    nearest, ours = (sqnr(reference, found) for found in outputs)
    assert ours > nearest + 1
    assert len(apply(model, better).to_bytes()) == len(apply(model, plan).to_bytes())


def test_other_scales_have_other_integers(model, ranges, samples):
    """A plan that widened a scale for a large bias rounds to nearest."""
    found = roundings(model, samples)
    plan = decide(model, ranges, (*PROFILES["w8"].recipe, parse("float on Gemm")))
    name = next(iter(plan.weights))
    wider = type(plan)(plan.decisions, plan.activations, {**plan.weights, name: plan.weights[name] * 2}, {}, {})
    assert name not in with_roundings(wider, found).integers
    assert set(with_roundings(plan, found).integers) == set(plan.weights)


def test_silence_teaches_nothing_and_breaks_nothing(model, samples):
    found = roundings(model, {"x": np.zeros_like(samples["x"])})
    assert all(np.isfinite(rounding.scale).all() for rounding in found.values())


def test_layers_are_learnt_a_few_at_a_time(model, samples, monkeypatch):
    usual = roundings(model, samples)
    passes = []

    def inputs(model, nodes, samples):
        passes.append(len(nodes))
        return _inputs(model, nodes, samples)

    monkeypatch.setattr(rounding, "_inputs", inputs)
    monkeypatch.setattr(rounding, "TOGETHER", 1)
    found = roundings(model, samples)
    assert set(passes) == {1}
    assert {name: one.integers.tobytes() for name, one in found.items()} == {
        name: one.integers.tobytes() for name, one in usual.items()
    }
