"""phiz beside the ai-edge tools, on the trained reference student: two roads that share no code, one network.

Needs the extra ``peers``; elsewhere the tests say that they were skipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")
if find_spec("litert_torch") is None or find_spec("ai_edge_quantizer") is None:
    pytest.skip("needs the extra peers (litert-torch, ai-edge-quantizer)", allow_module_level=True)

STUDENT = Path(__file__).parents[1] / "examples" / "reference"


@dataclass(frozen=True)
class Roads:
    """The captured student, what phiz builds of it, and litert-torch's float file; noise to calibrate and to judge."""

    captured: Any
    model: Any
    converted: bytes
    samples: NDArray[np.float32]

    @property
    def feeds(self) -> list[dict[str, NDArray[np.float32]]]:
        (port,) = self.captured.inputs
        return [{port.name: sample[None]} for sample in self.samples]


@pytest.fixture(scope="module")
def roads() -> Roads:
    from compile import capture
    from compile.fallback import convert
    from compile.simplify.pipeline import simplify
    from distill.students import folder as students

    module, inputs, metadata = students.load(STUDENT)
    captured = capture.from_module(module, inputs, metadata)
    model = simplify(captured).model
    random = np.random.default_rng(4)
    # Something like speech to the network: noise of a few resonances, loud and quiet.
    noise = random.normal(size=(96, inputs[0].shape[1] + 63))
    smooth = np.apply_along_axis(
        lambda row: np.convolve(row, np.hanning(64) * np.cos(np.arange(64)), "valid"), 1, noise
    )
    samples = (smooth * random.uniform(0.002, 0.1, (96, 1))).astype(np.float32)
    return Roads(captured, model, convert(module, captured, tuple(p.name for p in model.outputs)), samples)


def answers(data: bytes, roads: Roads, tmp_path: Path) -> NDArray[np.float32]:
    from targets.tflite.adopt import adopt
    from targets.tflite.run import load

    path = tmp_path / "model.tflite"
    path.write_bytes(adopt(data, {}))
    runner = load(path)
    return np.stack([next(iter(runner.run(feed).values())) for feed in roads.feeds[64:]])


def decibel(reference: NDArray[np.float32], outputs: NDArray[np.float32]) -> float:
    return float(10 * np.log10(np.square(reference).sum() / np.square(reference - outputs).sum()))


def test_the_float_files_of_both_roads_give_the_same(roads: Roads, tmp_path: Path) -> None:
    """To float32: 11 layers of at most 1536 products each, whose sums may round in any order."""
    from targets.tflite.lower import lower

    (ours,) = lower(roads.model).files.values()
    first, second = answers(ours, roads, tmp_path), answers(roads.converted, roads, tmp_path)
    assert np.ptp(first) > 0.1
    np.testing.assert_allclose(first, second, atol=11 * np.sqrt(1536) * np.finfo(np.float32).eps * np.abs(first).max())


def test_int8_beside_ai_edge_quantizer(roads: Roads, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both with int8 activations throughout, on the same samples: phiz's file is smaller, and no less exact."""
    from compile.fallback import quantise
    from compile.quantize.apply import apply
    from compile.quantize.calibrate import observe
    from compile.quantize.correct import correct_biases
    from compile.quantize.decide import decide
    from compile.quantize.recipe import PROFILES
    from compile.quantize.scheme import Scheme
    from targets.tflite.lower import lower

    (port,) = roads.captured.inputs
    samples = {port.name: roads.samples[:64]}
    plan = decide(roads.model, observe(roads.model, samples), PROFILES["w8a8"].recipe)
    (ours,) = lower(apply(roads.model, correct_biases(roads.model, plan, samples))).files.values()
    theirs = quantise(roads.converted, Scheme.W8A8, roads.feeds[:64], lambda *_: None)
    reference = answers(roads.converted, roads, tmp_path)
    found = {
        name: (len(data), decibel(reference, answers(data, roads, tmp_path)))
        for name, data in {"phiz": ours, "ai-edge": theirs}.items()
    }
    with capsys.disabled():
        print(*(f"\n{name}: {size:,} bytes, {quality:.1f} dB" for name, (size, quality) in found.items()))
    assert found["phiz"][0] < found["ai-edge"][0]
    assert found["phiz"][1] > found["ai-edge"][1] - 1
