"""``phiz label``, ``distill`` and ``bake`` with what users give them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av")


def write(path: Path, samples: np.ndarray, rate: int = 16_000, channels: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


@pytest.fixture
def silence(tmp_path: Path) -> Path:
    """Silence needs no phone recogniser's opinion, so labelling it is fast."""
    return write(tmp_path / "speech/ü 名:x:.wav", np.zeros(32_000))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained student as a float ONNX build."""
    pytest.importorskip("torch")
    from distill.students import folder as students

    folder = tmp_path_factory.mktemp("face")
    students.save(students.build(students.architecture("tiny")), folder / "student")
    command = [*("compile", str(folder / "student"), "-t", "onnx"), *("--scheme", "float", "-o", str(folder / "built"))]
    subprocess.run([sys.executable, "-m", "compile.cli", *command], check=True, capture_output=True)
    return folder / "built"


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("empty.wav", b"", "cannot be read as audio"),
        ("text.wav", b"words " * 99, "cannot be read as audio"),
        ("absent.wav", None, "there is no such file"),
        ("*.flac", None, "there is no audio here"),
        ("folder.wav", "folder", "there is no audio here"),
        ("", None, "the name of an audio file is empty"),
    ],
)
@pytest.mark.parametrize("command", ["label", "bake"])
def test_bad_audio(phiz, tmp_path: Path, monkeypatch, request, command, name, data, message):
    model = request.getfixturevalue("built") if command == "bake" else None
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    if data == "folder":
        Path(name).mkdir()
    elif data is not None:
        Path(name).write_bytes(data)
    ran = phiz(command, name, "-o", "out", *(("-m", model) if model else ()))
    assert ran.code == 2
    assert message in ran.err
    assert not Path("out").exists()


def test_one_bad_file_among_good_ones_is_skipped_with_its_reason(phiz, silence: Path, tmp_path: Path) -> None:
    pytest.importorskip("hama")
    (silence.parent / "bad.wav").write_bytes(b"")
    ran = phiz("label", silence.parent, "-o", tmp_path / "labels")
    assert ran.code == 0
    assert "1 labelled, 0 already there, 1 skipped" in ran.out
    assert f"skipped {silence.parent}/bad.wav" in ran.out


def test_a_missing_package_is_said_at_once(phiz, silence: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    speech = tmp_path / "speech.flac"
    speech.write_bytes(b"fLaC" * 99)
    ran = phiz("label", speech, "-o", tmp_path / "labels")
    assert ran.code == 2
    assert ran.err.splitlines()[-1].startswith("phiz: reading audio other than 16-bit WAV needs the Python package")
    assert "pip install 'phiz[teacher]'" in ran.err


def test_bake_keeps_names_and_refuses_to_overwrite(phiz, built: Path, silence: Path, tmp_path: Path) -> None:
    ran = phiz("bake", silence, "-m", built, "-o", tmp_path / "curves")
    assert ran.code == 0, ran.err
    assert "Warning" not in ran.err
    assert sorted(os.listdir(tmp_path / "curves")) == ["ü 名:x:.csv", "ü 名:x:.png"]
    assert f"{tmp_path}/curves/ü 名:x:.csv" in ran.out  # and no emoji
    other = write(tmp_path / "other" / silence.name, np.zeros(320))
    ran = phiz("bake", silence, other, "-m", built, "-o", tmp_path / "more")
    assert ran.code == 2
    assert "would both become" in ran.err
    assert not (tmp_path / "more").exists()


@pytest.mark.parametrize(
    ("seconds", "rate", "channels"), [(0.01, 16_000, 1), (1 / 16_000, 16_000, 1), (0.5, 48_000, 2)]
)
def test_odd_audio_bakes_to_as_many_rows_as_it_has_frames(
    phiz, built: Path, tmp_path: Path, seconds: float, rate: int, channels: int
) -> None:
    clip = write(tmp_path / "clip.wav", np.zeros(round(seconds * rate) * channels), rate, channels)
    assert phiz("bake", clip, "-m", built, "-o", tmp_path / "curves").code == 0
    rows = (tmp_path / "curves/clip.csv").read_text().splitlines()
    assert len(rows) >= 2
    assert {row.count(",") for row in rows} == {62}


def test_a_build_folder_may_have_a_dot(phiz, built: Path, silence: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "face-1.0")
    ran = phiz("bake", silence, "-m", tmp_path / "face-1.0", "-o", tmp_path / "curves")
    assert ran.code == 0, ran.err
    assert f"baked through {tmp_path}/face-1.0/student.onnx" in ran.out  # the folder may hold several


def test_bake_needs_a_model_of_speech(phiz, tiny_path: Path, silence: Path, tmp_path: Path) -> None:
    ran = phiz("bake", silence, "-m", tiny_path, "-o", tmp_path / "curves")
    assert ran.code == 2
    assert not (tmp_path / "curves").exists()


def test_silence_teaches_nothing(phiz, silence: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("hama")
    assert phiz("label", silence, "-o", tmp_path / "labels").code == 0
    ran = phiz("distill", tmp_path / "labels", "--steps", 1, "-o", tmp_path / "student")
    assert ran.code == 2
    assert "it is all silence; label speech" in ran.err


def test_distil_once_and_never_over_other_things(phiz, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("espeakng_loader")
    labels, out = tmp_path / "labels", tmp_path / "students/mine"
    assert phiz("label", "--synthetic", 1, "-o", labels).code == 0
    ran = phiz("distill", labels, "--steps", 1, "-o", out)
    assert ran.code == 0, ran.err
    assert (out / "student.safetensors").stat().st_mode & 0o444 == (out / "student.json").stat().st_mode & 0o444
    assert "already" in phiz("distill", labels, "--steps", 1, "-o", out).out
    assert os.listdir(out.parent) == ["mine"]

    (out / "notes.txt").write_text("precious")
    ran = phiz("distill", labels, "--steps", 2, "-o", out)
    assert ran.code == 2
    assert "notes.txt" in ran.err
    assert (out / "notes.txt").read_text() == "precious"


HEADER = (
    '{"format": "phiz labels 2", "teacher": "t", "version": "1", "controls": ["jawOpen"], "pieces": 1, "columns": '
    '["key", "source", "split", "speaker", "language", "frames", "exact"]}\n'
)
ENTRY = '["%s", "a.wav", "train", "anna", "de", 50, false]\n' % ("0" * 32)


@pytest.mark.parametrize(
    "index",
    [
        *("", "[]", "3", "[" * 100_000, '{"format": "phiz labels 2"}', '{"format": "phiz labels 3"}'),
        *(HEADER, HEADER + "3\n", HEADER + "{}\n", HEADER + ENTRY + ENTRY, HEADER + ENTRY[:-9]),
        HEADER + ENTRY.replace("50", "-1"),
        HEADER + ENTRY.replace("50", "1e9"),
        HEADER + ENTRY.replace('"anna"', "[]"),
        HEADER + ENTRY.replace("false", "0"),
    ],
)
def test_a_damaged_index(phiz, tmp_path: Path, index: str) -> None:
    (tmp_path / "labels.jsonl").write_text(index)
    ran = phiz("distill", tmp_path, "-o", tmp_path / "student")
    assert ran.code == 2
    assert "labels.jsonl: not a labels index" in ran.err


def test_labels_outside_their_folder_are_not_read(phiz, tmp_path: Path) -> None:
    (tmp_path / "labels.jsonl").write_text(HEADER + ENTRY.replace("0" * 32, "../outside"))
    ran = phiz("distill", tmp_path, "-o", tmp_path / "student")
    assert ran.code == 2
    assert "names no label file" in ran.err


def test_labels_of_an_older_phiz_are_named_as_such(phiz, tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text('{"format": "phiz labels 1", "entries": []}')
    ran = phiz("distill", tmp_path, "-o", tmp_path / "student")
    assert ran.code == 2
    assert "labels of an older phiz, which this one cannot read; label the same audio again: phiz label" in ran.err
