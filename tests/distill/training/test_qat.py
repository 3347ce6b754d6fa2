"""Fake quantisation is what integers do; fine-tuning under it learns, repeats itself and leaves a plain student."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compile.errors import UserError
from distill.augment.presets import Augmentation
from distill.labels.cache import Labels
from distill.students import folder as students
from distill.training import qat

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from distill.training.quantised import Quantised, rounded, rounded_at_run_time, rounded_weight  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = students.architecture("tiny")
STEADY = Augmentation(noise=1.0, noise_db=(25.0, 60.0), gain_db=(-6.0, 0.0))
QUICK = qat.Recipe(steps=6, batch=2, frames=20, warm_up=2, checkpoint_every=2)
COARSE = (*[qat.LayerPlan(weights="int8", left=qat.Affine(0.2, -128))] * 10, *[qat.LayerPlan(weights="int8")] * 2)


@pytest.fixture
def init(tmp_path: Path) -> Path:
    """A student whose batch norms have something to fold."""
    torch.manual_seed(0)
    student = students.build(TINY)
    for layer in student.modules():
        if isinstance(layer, torch.nn.BatchNorm1d):
            layer.running_mean.uniform_(-0.3, 0.3)
            layer.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(layer.weight, 0.5, 2)
            torch.nn.init.uniform_(layer.bias, -0.5, 0.5)
    students.save(student, tmp_path / "init")
    return tmp_path / "init"


def onnx_says(nodes: list[onnx.NodeProto], **inputs: np.ndarray) -> np.ndarray:
    ports = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for name, a in inputs.items()
    ]
    graph = helper.make_graph(nodes, "g", ports, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    (y,) = ReferenceEvaluator(helper.make_model(graph)).run(None, inputs)
    return y


def test_rounding_is_onnx_quantisation() -> None:
    x = np.random.default_rng(0).normal(0, 2, 4000).astype(np.float32)
    x[:4] = [0, 0.15, 0.25, -0.35]  # 0, and ties: half to even
    theirs = onnx_says(
        [
            helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
        ],
        x=x,
        s=np.array(0.02, np.float32),
        z=np.array(-17, np.int8),
    )
    ours = rounded(torch.from_numpy(x), qat.Affine(float(np.float32(0.02)), -17)).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-6)  # a step is 0.02; float32 sums of numbers around 5
    assert torch.equal(rounded(torch.from_numpy(x), None), torch.from_numpy(x))


def test_rounding_at_run_time_is_onnx_s() -> None:
    x = np.random.default_rng(1).normal(0.5, 1, (5, 300)).astype(np.float32)
    ours = rounded_at_run_time(torch.from_numpy(x)).numpy()
    for row, mine in zip(x, ours, strict=True):
        theirs = onnx_says(
            [
                helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
                helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
            ],
            x=row,
        )
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


@pytest.mark.parametrize(("kind", "bits"), [("int8", 127), ("float16", None), ("float32", None)])
def test_weights_are_stored_as_they_will_be(kind: str, bits: int | None) -> None:
    weight = np.random.default_rng(2).normal(0, 1, (6, 3, 5)).astype(np.float32)
    weight[2] = 0
    ours = rounded_weight(torch.from_numpy(weight), kind).numpy()
    if bits:
        steps = np.abs(weight).max(axis=(1, 2), keepdims=True) / bits
        expected = np.where(steps > 0, np.rint(weight / np.where(steps > 0, steps, 1)) * steps, 0)
        np.testing.assert_allclose(ours, expected, atol=1e-6)
    else:
        np.testing.assert_array_equal(ours, weight.astype(np.float16 if kind == "float16" else np.float32))


def test_gradients_pass_through_and_stop_at_the_ends() -> None:
    x = torch.tensor([-10.0, -1.0, 0.3, 1.0, 10.0], requires_grad=True)
    rounded(x, qat.Affine(0.01, 0)).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0, 1, 1, 1, 0]


def test_without_a_plan_nothing_changes(init: Path) -> None:
    student = students.load(init)[0]
    audio = 0.1 * torch.randn(2, 8192 + 320 * 4)
    with torch.no_grad():
        expected = student.sequence(audio)
        network = Quantised(student, (qat.LayerPlan(),) * 12)
        # float32 with batch norms folded into weights: other products, sums of up to 400
        torch.testing.assert_close(network.sequence(audio), expected, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(network.write_back().sequence(audio), expected, rtol=1e-3, atol=1e-4)
    for layer in student.modules():
        if isinstance(layer, torch.nn.BatchNorm1d):
            assert torch.allclose(torch.sqrt(layer.running_var + layer.eps), torch.ones(1), atol=1e-7)
            assert not layer.running_mean.any()


def test_the_plan_s_own_weights_and_rounding_are_where_it_begins(init: Path) -> None:
    student = students.load(init)[0]
    plain = (qat.LayerPlan(),) * 12
    weights = [parameter.detach().numpy() for parameter in Quantised(student, plain).weights]
    biases = [parameter.detach().numpy() for parameter in Quantised(student, plain).biases]
    detour = np.zeros(weights[0].shape, np.int8)
    detour[3, 0, 5] = -1
    changed = qat.LayerPlan(qat.Start(2 * weights[0], biases[0] + 1, detour), "int8")
    network = Quantised(student, (changed, *plain[1:]))
    assert np.array_equal(network.weights[0].detach(), 2 * weights[0])
    assert np.array_equal(network.biases[0].detach(), biases[0] + 1)
    ours = rounded_weight(network.weights[0], "int8", network.detours[0]).detach().numpy()
    nearest = rounded_weight(network.weights[0], "int8").detach().numpy()
    step = 2 * np.abs(weights[0][3]).max() / 127
    assert nearest[3, 0, 5] - ours[3, 0, 5] == pytest.approx(step, rel=1e-4)
    assert np.count_nonzero(ours != nearest) == 1
    assert qat.digest((changed,)) != qat.digest(plain[:1])
    assert qat.digest((changed,)) != qat.digest((replace(changed, start=qat.Start(weights[0], biases[0], detour)),))


def test_the_loss_falls_and_only_folded_weights_learn(labelled: Labels, init: Path, tmp_path: Path) -> None:
    recipe = replace(QUICK, steps=40, learning_rate=3e-4, augmentation=STEADY)
    told: list[float] = []
    tuned = qat.tune(labelled, init, COARSE, recipe, tmp_path / "out", lambda step: told.append(step.loss))
    assert told[-1] < 0.8 * told[0]  # the last is the mean of all
    again, _, _ = students.load(tmp_path / "out")
    audio = torch.randn(1, 8192)
    with torch.no_grad():
        torch.testing.assert_close(again.sequence(audio), tuned.sequence(audio))


def test_it_repeats_itself_and_resumes_bit_for_bit(labelled: Labels, init: Path, tmp_path: Path) -> None:
    def weights(name: str) -> bytes:
        return (tmp_path / name / "student.safetensors").read_bytes()

    def interrupt(step: object) -> None:
        seen.append(step)
        if len(seen) == 3:
            raise KeyboardInterrupt

    seen: list[object] = []
    qat.tune(labelled, init, COARSE, QUICK, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        qat.tune(labelled, init, COARSE, QUICK, tmp_path / "halves", interrupt)
    with pytest.raises(UserError, match="another run"):
        qat.tune(labelled, init, COARSE[::-1], QUICK, tmp_path / "halves")
    torch.manual_seed(99)
    qat.tune(labelled, init, COARSE, QUICK, tmp_path / "halves", interrupt)
    assert len(seen) == 3 + 4  # the checkpoint was at step 2
    assert weights("halves") == weights("whole")
    qat.tune(labelled, init, COARSE, QUICK, tmp_path / "whole", interrupt)  # finished: nothing is done
    assert len(seen) == 7


def test_other_controls_are_refused(labelled: Labels, init: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="other controls"):
        qat.tune(replace(labelled, controls=labelled.controls[::-1]), init, COARSE, QUICK, tmp_path / "out")


def test_log_mels_are_refused(labelled: Labels, tmp_path: Path) -> None:
    students.save(students.build(students.architecture("tiny-mel")), tmp_path / "mel")
    with pytest.raises(UserError, match=r"mel: fine-tuning for int8 does not know log-mels"):
        qat.tune(labelled, tmp_path / "mel", COARSE, QUICK, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_look_aheads_are_fine_tuned(labelled: Labels, tmp_path: Path) -> None:
    shape = students.architecture("tiny-low-latency", 32)
    students.save(students.build(shape), tmp_path / "init")
    qat.tune(labelled, tmp_path / "init", COARSE, replace(QUICK, steps=1), tmp_path / "out")
    assert students.load(tmp_path / "out")[0].architecture == shape
