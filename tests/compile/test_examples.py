"""Examples are exact, few, loud, and what onnxruntime says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from compile import capture
from compile.examples import NUMBERS, examples, replayed, within
from compile.parity import HUB, Parity
from compile.simplify.pipeline import simplify
from compile.streaming.stream import stream
from targets.base import Examples

WINDOW, HOP = 1600, 40
STEPS = {"y": 0.02}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two convolutions that see a whole window."""
    random = np.random.default_rng(3)
    weights = [("a", (4, 1, HOP)), ("b", (3, 4, WINDOW // HOP))]
    constants = [
        numpy_helper.from_array(random.normal(0, 0.1, size).astype(np.float32), name) for name, size in weights
    ]
    nodes = [
        helper.make_node("Conv", ["x", "a"], ["v"], strides=[HOP]),
        helper.make_node("Tanh", ["v"], ["w"]),
        helper.make_node("Conv", ["w", "b"], ["y"]),
    ]
    ports = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
        for name, shape in (("x", [1, 1, WINDOW]), ("y", [1, 3, 1]))
    ]
    graph = helper.make_graph(nodes, "student", *ports, constants)
    path = tmp_path_factory.mktemp("network") / "student.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def samples(count: int, scale: float = 0.3) -> list[dict[str, NDArray[np.float32]]]:
    random = np.random.default_rng(1)
    gains = random.uniform(0.1, 1, count)
    return [{"x": random.normal(0, scale * gain, (1, 1, WINDOW)).astype(np.float32)} for gain in gains]


def windows(path: Path, given: Any) -> Examples:
    return examples(simplify(capture.from_onnx(path)).model, given, STEPS)


def heard(made: Examples) -> NDArray[np.float32]:
    return (made.inputs["x"] * made.units["x"]).astype(np.float32)


def reference(path: Path, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.stack([session.run(["y"], {"x": each})[0] for each in inputs])


@pytest.mark.parametrize("scale", [1e-3, 0.3, 100.0])
def test_inputs_are_exact_and_close_to_the_samples(network: Path, scale: float) -> None:
    """Half a unit off, and a unit is at most 2 / 32767 of the largest: float64 says so of what float32 holds."""
    given = samples(40, scale)
    made = windows(network, given)
    unit = made.units["x"]
    assert np.log2(unit) == round(np.log2(unit))
    assert (heard(made).astype(np.float64) == made.inputs["x"].astype(np.float64) * unit).all()
    assert 16383 <= np.abs(made.inputs["x"].astype(int)).max() <= 32767
    for each in heard(made):
        assert min(float(np.abs(each - sample["x"]).max()) for sample in given) <= unit / 2


def test_answers_are_the_references(network: Path) -> None:
    made = windows(network, samples(40))
    np.testing.assert_allclose(made.outputs["y"], reference(network, heard(made)), atol=1e-5)  # float32 sums
    assert made.allowed == {"y": pytest.approx(0.02, rel=0.002)}


def test_few_and_loud(network: Path) -> None:
    given = samples(40)
    made = windows(network, given)
    assert made.count == len(made.inputs["x"]) == NUMBERS // (WINDOW + 3)
    power = np.array([float(np.square(sample["x"]).sum()) for sample in given])
    assert np.square(heard(made)).sum(axis=(1, 2, 3)).mean() > power.mean()
    assert np.square(heard(made)).sum(axis=(1, 2, 3)).max() == pytest.approx(power.max(), rel=1e-3)
    assert windows(network, given[:2]).count == 2


def test_a_stream_from_its_reset_on(network: Path) -> None:
    """Hops that follow each other: what they say is what windows say that end with them."""
    flowing = stream(simplify(capture.from_onnx(network)).model)
    made = examples(flowing, samples(40), STEPS)
    hops = heard(made)
    size = hops.shape[-1]
    assert made.count == max(WINDOW // size + 1, NUMBERS // (size + 3))
    audio = hops.reshape(-1)
    ends = range(WINDOW, len(audio) + 1, size)
    whole = np.stack([audio[end - WINDOW : end].reshape(1, 1, WINDOW) for end in ends])
    np.testing.assert_allclose(made.outputs["y"][-len(whole) :], reference(network, whole), atol=1e-5)
    assert len(whole) > made.count / 2
    assert examples(flowing, samples(1), STEPS).count == WINDOW // size


def test_silence_and_what_is_no_number(network: Path) -> None:
    for value in (0.0, np.nan):
        made = windows(network, [{"x": np.full((1, 1, WINDOW), value, np.float32)}])
        assert not made.inputs["x"].any()
        assert made.units["x"] == 1.0
    for value in (np.inf, 3.4e38, 1e-42):
        made = windows(network, [{"x": np.full((1, 1, WINDOW), value, np.float32)}])
        assert np.isfinite(heard(made)).all()


class Off:
    """A runner of the network by onnxruntime; one number of its third answer is off."""

    def __init__(self, path: Path, off: float) -> None:
        self.inputs = {"x": (1, 1, WINDOW)}
        self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self._off, self._count = off, 0

    def run(self, inputs: Any) -> dict[str, NDArray[Any]]:
        (answer,) = self._session.run(["y"], dict(inputs))
        self._count += 1
        if self._count == 3:
            answer[0, 1] += self._off
        return {"y": answer}


@pytest.mark.parametrize("steps", [0.0, 0.5, -1.5, np.nan])
def test_what_a_self_test_will_find(network: Path, steps: float) -> None:
    found = replayed(windows(network, samples(40)), Off(network, steps * STEPS["y"]), None)
    assert found == pytest.approx(abs(steps), abs=1e-3, nan_ok=True)  # 1e-5 of the outputs, in steps


def test_parity_knows_of_the_furthest() -> None:
    before = Parity("run", steps={HUB: 0.7, "onnx": 3.0})
    assert before.also(HUB, 0.5).steps == before.steps
    assert before.also(HUB, 1.5).steps == {HUB: 1.5, "onnx": 3.0}
    assert np.isnan(before.also(HUB, np.nan).steps[HUB])


@pytest.mark.parametrize(
    ("steps", "allowed"), [(0.0, 1), (0.4, 1), (1.0, 1), (1.0005, 1), (1.2, 2), (2.0, 2), (np.nan, 1), (np.inf, 1)]
)
def test_as_many_steps_as_parity_saw(steps: float, allowed: int) -> None:
    given = Examples(0, {}, {}, {}, {"y": 0.5})
    assert within(given, Parity("run", steps={HUB: steps, "onnx": 3.0})).allowed == {"y": 0.5 * allowed}


def test_one_step_where_nothing_ran() -> None:
    given = Examples(0, {}, {}, {}, {"y": 0.5})
    assert within(given, Parity("not run: no C compiler")) == given
