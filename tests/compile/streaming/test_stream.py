"""A stream says after each hop what the window says that ends with it: float to rounding, integers bit for bit."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from compile.quantize.apply import apply
from compile.quantize.calibrate import observe
from compile.quantize.decide import decide
from compile.quantize.recipe import PROFILES
from compile.streaming.stream import stream
from targets.c.run import COMPILERS
from targets.catalogue import find, streaming
from targets.onnx.run import AS_WRITTEN, Session
from targets.stream import Stream

# Sums of the same float32 numbers in another order, relative to the largest output; the figure.
FLOAT = 1e-5
# The same where products are rounded to float16, which has 11 bits: one sum may fall to the next of them.
FLOAT16 = 2.0**-10
ENDS = ("flat", "mean", "frames")


def newest(window, given):
    """Of a sequence, the steps that one hop gives."""
    return window[..., window.shape[-1] - given.shape[-1] :]


def largest_difference(windowed, frames, window, audio):
    """Over all hops that fill the window: the largest difference, relative to the largest output."""
    worst = size = 0.0
    compared = 0
    for end, given in frames:
        if end >= window:
            (wanted,) = windowed.run({windowed_input(windowed): audio[:, end - window : end]}).values()
            worst = max(worst, float(np.abs(newest(wanted, given) - given).max()))
            size, compared = max(size, float(np.abs(wanted).max())), compared + 1
    assert compared > 3
    return worst / (size or 1.0)


def windowed_input(runner):
    (name,) = runner.inputs
    return name


def noise(samples):
    return np.random.default_rng(7).normal(0, 1, (1, samples)).astype(np.float32)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("seed", range(20))
def test_float(drawn, hops, seed, end):
    model = drawn(seed, end)
    made = stream(model)
    facts = Stream.from_metadata(made.metadata, "here")
    window = model.inputs[0].shape[1]
    audio = noise(window + 12 * facts.hop)
    session = Session(made.to_bytes(), "the stream", AS_WRITTEN)
    frames = hops(session, facts, audio)
    assert largest_difference(Session(model.to_bytes(), "the window", AS_WRITTEN), frames, window, audio) < FLOAT


CASES = [(target, seed) for target in ("onnx", "onnx:arm", "tflite", "coreml:w8a8") for seed in range(10)]
CASES += [("c", seed) for seed in range(3)]  # two calls of a compiler each; its tests have more


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(("target", "seed"), CASES)
def test_integers(drawn, hops, tmp_path, seed, end, target):
    """The same plan gives the same bits, in each runtime."""
    assert difference_in(target, drawn(seed, end), "w8a8", hops, tmp_path) == 0


@pytest.mark.parametrize("seed", range(10))
def test_integers_that_core_ml_keeps(drawn, hops, tmp_path, seed):
    """In float16, which is all that its states can be, and yet to the last bit."""
    assert difference_in("coreml:ios18", drawn(seed, ENDS[seed % 3]), "w8a8", hops, tmp_path) == 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("target", ["coreml", "coreml:ios18"])
@pytest.mark.parametrize(("profile", "most"), [("float", FLOAT), ("w8", FLOAT16)])
def test_core_ml_in_float(drawn, hops, tmp_path, seed, target, profile, most):
    """Whether states are ports or Core ML's own, they are as precise as what computes with them."""
    assert difference_in(target, drawn(seed, ENDS[seed]), profile, hops, tmp_path) < most


def difference_in(target, model, profile, hops, folder):
    """Between the windows and the stream that a target makes of one plan."""
    chosen = find(target)
    pytest.importorskip(chosen.writer or "onnxruntime")
    if target == "c" and not any(shutil.which(name) for name in COMPILERS):
        pytest.skip("there is no C compiler")
    window = model.inputs[0].shape[1]
    samples = {"x": np.concatenate([noise(window) * gain for gain in np.linspace(0.5, 1.5, 8, dtype=np.float32)])}
    hub = apply(model, decide(model, observe(model, samples), PROFILES[profile].recipe))
    runners = []
    for which, graph in ((chosen, hub), (streaming(chosen), stream(hub))):
        artifact = which.lower(graph)
        for name, data in artifact.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        runners.append(which.load(folder / artifact.name))
        metadata = which.dissect(artifact.files).metadata
    facts = Stream.from_metadata(metadata, artifact.name)
    audio = noise(window + 5 * facts.hop)
    return largest_difference(runners[0], hops(runners[1], facts, audio), window, audio)
