"""``phiz distill --qat``: torch rounds where the compiled file rounds, and the student that it makes compiles."""

from __future__ import annotations

import wave
from functools import cache, partial

import numpy as np
import onnxruntime
import pytest

from compile.cli import tune
from compile.cli.progress import Stages
from compile.quantize.recipe import PROFILES, Profile, parse
from compile.samples import from_clips

torch = pytest.importorskip("torch")
pytest.importorskip("av")

from distill.audio import frame_count  # noqa: E402
from distill.controls import ARKIT  # noqa: E402
from distill.corpus.sources import find  # noqa: E402
from distill.labels import cache as labels  # noqa: E402
from distill.students import folder as students  # noqa: E402
from distill.training import qat  # noqa: E402


class Loudness:
    """A teacher whose every control follows the level, each at its own pace."""

    name, version, controls = "loudness", "1", ARKIT

    def curves(self, utterance):
        count = frame_count(len(utterance.audio))
        level = np.abs(np.pad(utterance.audio, (0, count * 320))[: count * 320]).reshape(count, 320).mean(axis=1)
        return np.stack([level ** (1 + index / 52) for index in range(52)], axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """Labels of six clips of swelling noise, and a student with batch norms that have something to fold."""
    folder = tmp_path_factory.mktemp("spoken")
    random = np.random.default_rng(0)
    for clip in range(6):
        swell = np.abs(np.sin(np.arange(24_000) / (2000 + 300 * clip)))
        with wave.open(str(folder / f"{clip}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16_000)
            file.writeframes(
                (random.normal(0, 0.15, 24_000) * swell * 32767).clip(-32768, 32767).astype("<i2").tobytes()
            )
    labels.label(find([str(folder / "*.wav")]), Loudness(), folder / "labels")
    for name in ("tiny", "reference"):
        torch.manual_seed(0)
        student = students.build(students.architecture(name))
        for layer in student.modules():
            if isinstance(layer, torch.nn.BatchNorm1d):
                layer.running_mean.uniform_(-0.1, 0.1)
                layer.running_var.uniform_(0.1, 0.3)
                torch.nn.init.uniform_(layer.weight, 0.2, 0.6)
                torch.nn.init.uniform_(layer.bias, 0.0, 0.3)
        students.save(student, folder / name)
    return folder


@cache
def captured_of(folder):
    return tune.capture(folder)


def windows_of(spoken, captured):
    speech = labels.load(spoken / "labels")
    return from_clips(captured, [tune.sound(speech, entry) for entry in speech.split()], 16)


# With a float layer between integer ones, and one in whose residual the two meet.
MIXED = (*PROFILES["w8a8"].recipe, parse("w8 on Conv under @input"), parse("float on Conv under trunk.1.*"))


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("tiny", PROFILES["w8a8"].recipe),
        ("tiny", MIXED),
        ("tiny", (*PROFILES["w8a8"].recipe, parse("w8-dynamic on Gemm"))),
        ("reference", PROFILES["w8"].recipe),  # several frames are flattened here
    ],
    ids=["w8a8", "mixed", "dynamic", "reference"],
)
def test_torch_rounds_where_the_graph_rounds(spoken, name, recipe):
    captured = captured_of(spoken / name)
    samples = windows_of(spoken, captured)
    with Stages() as stages:
        quantised = tune.quantise(captured, Profile(recipe), samples, stages)
    ours = tune.outputs_of(students.load(spoken / name)[0], quantised.layers, samples.judge)
    options = onnxruntime.SessionOptions()  # as written: onnxruntime's rewrites round float weights between integers
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(quantised.hub.to_bytes(), options, providers=["CPUExecutionProvider"])
    (windows,) = samples.judge.values()
    theirs = np.concatenate([session.run(None, {session.get_inputs()[0].name: w[None]})[0] for w in windows])
    made = quantised.layers[-1].made
    step = made.scale if made is not None else np.ptp(theirs) / 255
    # Almost always equal; float32 sums in another order may flip a rounding inside, which grows on its way out.
    assert np.abs(ours - theirs).max() <= 2.01 * step
    real = tune.answers(quantised.model, samples.judge)
    assert np.abs(ours - theirs).mean() <= 0.2 * np.abs(real - theirs).mean()  # far less than what rounding does


def test_the_command(phiz, spoken, tmp_path, monkeypatch):
    monkeypatch.setattr(tune, "WINDOWS", 16)
    monkeypatch.setattr("distill.training.qat.Recipe", partial(qat.Recipe, batch=2, frames=10))
    command = ("distill", spoken / "labels", "--qat", "--init", spoken / "tiny", "-o", tmp_path / "tuned", "--steps", 3)
    ran = phiz(*command)
    assert ran.code == 0, ran.err
    assert "SQNR, rounded against its own float" in ran.out
    assert "fit to the labels (R2), rounded" in ran.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tuned"]
    facts = students.read_facts(tmp_path / "tuned")
    assert facts["training"]["recipe"]["steps"] == 3
    assert facts["architecture"] == "tiny"
    weights = [(folder / "student.safetensors").read_bytes() for folder in (tmp_path / "tuned", spoken / "tiny")]
    assert weights[0] != weights[1]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--qat",), "name its folder with --init"),
        (("--qat", "--init", "absent"), "not a student folder"),
        (("--qat", "--init", "{tiny}", "--student", "tiny"), "--student: --qat keeps the architecture"),
        (("--qat", "--init", "{tiny}", "-o", "{tiny}"), "the student to begin with"),
        (("--qat", "--init", "{tiny}", "--scheme", "int7"), "unknown scheme 'int7'"),
        (("--qat", "--init", "{tiny}", "--scheme", "float"), "rounds nothing"),
        (("--init", "{tiny}", "--look-ahead", "64 ms"), "begin with a student of the same shape"),
        (("--device", "gpu"), "unknown device 'gpu'"),
        (("--scheme", "w8a8"), "--scheme: it is for fine-tuning"),
    ],
)
def test_bad_flags(phiz, spoken, tmp_path, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    ran = phiz("distill", spoken / "labels", *(flag.format(tiny=spoken / "tiny") for flag in flags))
    assert ran.code == 2
    assert message in ran.err.replace("\n", " ")
    assert list(tmp_path.iterdir()) == []


def test_one_recording_is_not_enough(phiz, spoken, tmp_path):
    from dataclasses import replace

    speech = labels.load(spoken / "labels")
    with pytest.raises(Exception, match="takes two, one of them to judge by"):
        tune.divide(replace(speech, entries=speech.entries[:1]))
    picked, judging = tune.divide(speech)
    assert [entry in judging for entry in picked] == [False, True, False] * 2
