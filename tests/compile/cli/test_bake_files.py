"""``phiz bake`` of many files and formats, through a student that ships."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path

import numpy as np
import pytest

from distill import pretrained
from distill.animation import crew

pytestmark = pytest.mark.skipif("tiny" not in pretrained.names(), reason="no student ships with this checkout")

PATIENCE = 120  # seconds for what takes a moment, on a machine that has much else to do
LONG = 60 * 15  # seconds of a file that is stopped: many times what passes until then


def speak(path: Path, seconds: float, seed: int) -> Path:
    """Noise that comes and goes four times a second, at 16 kHz."""
    rng = np.random.default_rng(seed)
    count = int(16_000 * seconds)
    samples = rng.normal(0, 4_000, count) * (np.sin(np.arange(count) / 16_000 * 8 * np.pi) > 0)
    path.parent.mkdir(exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())
    return path


@pytest.fixture
def clips(tmp_path: Path) -> list[Path]:
    return [speak(tmp_path / "speech" / f"{name}.wav", seconds, 1) for name, seconds in (("a", 0.7), ("b", 1.3))]


def numbers(path: Path) -> np.ndarray:
    with path.open(newline="") as file:
        return np.array([row[2:54] for row in [*csv.reader(file)][1:]], np.float32)


@pytest.mark.parametrize("rate", [None, 24, 23.976, 30, 60, 90])
def test_all_formats_say_the_same(phiz, clips, tmp_path: Path, rate: float | None) -> None:
    options = () if rate is None else ("--frame-rate", rate)
    ran = phiz("bake", clips[0], "-o", tmp_path / "out", "-f", "json,CSV", "--format", "npz, glb", *options)
    assert ran.code == 0, ran.err
    assert sorted(os.listdir(tmp_path / "out")) == ["a.csv", "a.glb", "a.json", "a.npz"]
    assert f"baked through {pretrained.folder('tiny') / 'student.onnx'}" in ran.out
    with np.load(tmp_path / "out" / "a.npz") as found:
        curves, facts = found["curves"], json.loads((tmp_path / "out" / "a.json").read_text())
        assert len(curves) == int(np.ceil(0.7 * (rate or 50)))
        assert found["frame_rate"] == facts["frame_rate"] == (rate or 50)
        assert found["controls"].tolist() == facts["controls"]
    assert facts["title"] == "a.wav"
    np.testing.assert_array_equal(np.array(facts["frames"], np.float32), curves)
    np.testing.assert_allclose(numbers(tmp_path / "out" / "a.csv"), curves, atol=5e-7)  # six decimals
    assert curves.std(axis=0).max() > 0.01
    assert (tmp_path / "out" / "a.glb").read_bytes()[:4] == b"glTF"


@pytest.mark.parametrize(
    ("formats", "complaint"),
    [
        ("fbx", "--format: there is no format 'fbx'; choose from: csv, json, npz, glb, png"),
        ("csv,,npz", "there is no format ''"),
    ],
)
def test_no_such_format(phiz, clips, tmp_path: Path, formats: str, complaint: str) -> None:
    ran = phiz("bake", clips[0], "-o", tmp_path / "out", "-f", formats)
    assert ran.code == 2
    assert complaint in ran.err
    assert not (tmp_path / "out").exists()


def test_a_plot_that_is_asked_for_needs_matplotlib(phiz, clips, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("compile.cli.bake.find_spec", lambda _: None)
    ran = phiz("bake", clips[0], "-o", tmp_path / "out", "-f", "png")
    assert ran.code == 2
    assert "pip install 'phiz[teacher]'" in ran.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_bad_file_among_good_ones(phiz, clips, tmp_path: Path, monkeypatch, jobs: int) -> None:
    monkeypatch.setattr(crew, "WORTH", 1)  # byte: else one process is enough for these
    (tmp_path / "speech" / "c.wav").write_bytes(b"RIFF")
    speak(tmp_path / "speech" / "d.wav", 0.0, 0)
    ran = phiz("bake", tmp_path / "speech", "-o", tmp_path / "out", "-j", jobs, "-f", "csv")
    assert ran.code == 2
    assert sorted(os.listdir(tmp_path / "out")) == ["a.csv", "b.csv"]
    assert f"not baked: {tmp_path / 'speech' / 'c.wav'}: it cannot be read as audio" in ran.out
    assert f"not baked: {tmp_path / 'speech' / 'd.wav'}: it has no samples" in ran.out
    assert "phiz: 2 of 4 files could not be baked; the others are" in ran.err


def test_two_processes_write_the_bytes_of_one(phiz, clips, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(crew, "WORTH", 1)
    for jobs in (1, 2):
        ran = phiz("bake", *clips, "-o", tmp_path / str(jobs), "-j", jobs, "-f", "csv,json,npz,glb")
        assert ran.code == 0, ran.err
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "12")
    assert len(one) == 8
    assert one == two


def test_one_bad_file(phiz, tmp_path: Path) -> None:
    path = speak(tmp_path / "empty.wav", 0.0, 0)
    ran = phiz("bake", path, "-o", tmp_path / "out")
    assert ran.code == 2
    assert f"phiz: {path}: it has no samples" in ran.err
    assert not (tmp_path / "out").exists()


def test_notes_beside_audio_are_not_overwritten(phiz, clips, tmp_path: Path) -> None:
    notes = clips[0].with_suffix(".json")
    notes.write_text('{"mine": 1}')
    ran = phiz("bake", clips[0], "-o", notes.parent, "-f", "json,csv")
    assert ran.code == 2
    assert f"phiz: {notes}: it exists and holds no curves; choose another folder with -o" in ran.err
    assert notes.read_text() == '{"mine": 1}'
    assert not clips[0].with_suffix(".csv").exists()
    notes.unlink()
    for _ in range(2):  # what phiz baked is baked again
        assert phiz("bake", clips[0], "-o", notes.parent, "-f", "json").code == 0


def test_what_is_long_gets_no_picture(phiz, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = speak(tmp_path / "long.wav", 121, 0)
    ran = phiz("bake", path, "-o", tmp_path / "out", "--frame-rate", 1)
    assert ran.code == 0, ran.err
    assert f"no picture of {path}: it is longer than 2 minutes" in ran.out
    assert os.listdir(tmp_path / "out") == ["long.csv"]
    assert len(numbers(tmp_path / "out" / "long.csv")) == 121
    alone = phiz("bake", path, "-o", tmp_path / "pictures", "-f", "png")
    assert (alone.code, (tmp_path / "pictures").exists()) == (2, False)
    assert "it is longer than 2 minutes" in alone.err


def test_what_was_captured_beside_the_audio_stays(phiz, tmp_path: Path) -> None:
    """Live Link Face puts NAME.mov and NAME.csv into one folder."""
    take = speak(tmp_path / "take" / "slate.wav", 1, 0)
    recorded = take.with_suffix(".csv")
    recorded.write_text("captured")
    ran = phiz("bake", take, "-o", take.parent, "-f", "csv")
    assert ran.code == 2
    assert "may be a recording" in ran.err
    assert recorded.read_text() == "captured"
    assert phiz("bake", take, "-o", take.parent, "-f", "npz").code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped(phiz, clips, tmp_path: Path, number: int) -> None:
    """Nothing half-written and no process is left; what ``kill -9`` leaves, the next run sweeps away."""
    for name in "cd":
        path = tmp_path / "speech" / f"{name}.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 1, 8_000, 0, "NONE", ""))
            file.writeframes(bytes(8_000 * LONG))
    command = [sys.executable, "-m", "compile.cli", "bake", *clips, tmp_path / "speech", "-o", tmp_path / "out"]
    with subprocess.Popen(
        [*map(str, command), "-j", "2", "-f", "csv,glb"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as run:
        assert run.stderr is not None
        said: list[str] = []
        for line in run.stderr:
            said.append(line)
            if line.startswith("phiz: bake"):
                break
        assert run.poll() is None, said
        assert [*(tmp_path / "out").glob(".bake.new.*")]  # made before the first line about baking
        time.sleep(1)
        run.send_signal(number)
        run.stderr.read()
    assert run.returncode == (-number if number == signal.SIGKILL else 128 + number)
    waited = time.monotonic()
    while _lives(run.pid):
        assert time.monotonic() - waited < PATIENCE
        time.sleep(0.05)
    if number == signal.SIGKILL:
        assert [*(tmp_path / "out").glob(".bake.new.*")]
        ran = phiz("bake", clips[0], "-o", tmp_path / "out", "-f", "csv")
        assert ran.code == 0, ran.err
        assert (tmp_path / "out" / "a.csv").is_file()
    left = os.listdir(tmp_path / "out") if (tmp_path / "out").exists() else []
    assert {*left} <= {"a.csv", "a.glb", "b.csv", "b.glb"}


def _lives(group: int) -> bool:
    """Whether a process of the session is there still."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
