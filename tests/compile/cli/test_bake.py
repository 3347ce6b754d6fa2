"""``phiz bake``: any frame rate, any rig, students that ship, and core phiz alone."""

from __future__ import annotations

import csv
import os
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from compile.cli.face import open_face
from compile.cli.source import read_model
from compile.errors import UserError
from distill import pretrained
from distill.audio import decode
from distill.controls import ARKIT
from distill.rigs import Rig
from distill.students import folder as students


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two untrained students: ``face`` has ARKit's controls, ``five`` a rig of five unbounded ones."""
    import torch

    folder = tmp_path_factory.mktemp("home")
    rig = Rig("five", tuple("abcde"), np.zeros((5, 52), np.float32), np.zeros(5, np.float32), bounded=False)
    for name, shape, controls in (
        ("face", students.architecture("tiny", 64), ARKIT),
        ("five", students.fitted(students.architecture("tiny", 64), rig), rig.controls),
    ):
        torch.manual_seed(0)
        student = students.build(shape)
        with torch.no_grad():
            student.head.weight *= 5
            student.head.bias.copy_(torch.linspace(-2, 2, shape.outputs))
        students.save(student, folder / name, controls=controls)
    return folder


@pytest.fixture(scope="module")
def built(home: Path) -> Path:
    """``five`` as a float ONNX artefact in a folder."""
    (home / "built").mkdir()
    (home / "built" / "student.onnx").write_bytes(read_model(str(home / "five"), {}).to_bytes())
    return home / "built"


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """Half a second at 48 kHz in stereo."""
    path = tmp_path / "speech.wav"
    noise = np.random.default_rng(0).normal(0, 3000, (24_000, 2)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(noise.tobytes())
    return path


@pytest.fixture
def shipped(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation that has ``phiz:tiny`` and ``phiz:five``."""
    (tmp_path / "pretrained").mkdir()
    for name, folder in (("tiny", "face"), ("five", "five")):
        (tmp_path / "pretrained" / name).symlink_to(home / folder)
    monkeypatch.setattr(pretrained, "__file__", str(tmp_path / "pretrained" / "__init__.py"))


def table(path: Path) -> tuple[list[str], np.ndarray]:
    rows = [*csv.reader(path.read_text().splitlines())]
    return rows[0], np.array([[float(value) for value in row[2:]] for row in rows[1:]])


def expected(folder: Path, speech: Path, **options: object) -> np.ndarray:
    return students.predict(students.load(folder)[0], decode(speech), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [None, 24, 90, 23.976])
def test_any_frame_rate(phiz, home: Path, speech: Path, tmp_path: Path, rate: float | None) -> None:
    options = () if rate is None else ("--frame-rate", rate)
    ran = phiz("bake", speech, "-m", home / "face", "-o", tmp_path / "out", *options)
    assert ran.code == 0, ran.err
    header, values = table(tmp_path / "out" / "speech.csv")
    assert header[0] == "Timecode"
    faces = expected(home / "face", speech, frame_rate=rate, ensemble=True)
    assert len(faces) == -(-0.5 * (rate or 50) // 1)
    np.testing.assert_allclose(values[:, :52], faces, atol=1e-4)  # six digits; float32 sums in another order
    assert (tmp_path / "out" / "speech.png").is_file()


@pytest.mark.parametrize("rate", ["0", "-1", "1001", "nan", "film"])
def test_what_is_no_frame_rate(phiz, home: Path, speech: Path, tmp_path: Path, rate: str) -> None:
    ran = phiz("bake", speech, "-m", home / "face", "-o", tmp_path / "out", f"--frame-rate={rate}")
    assert ran.code == 2
    assert not (tmp_path / "out").exists()


def test_a_rig_is_written_by_its_own_names_and_not_clipped(phiz, home: Path, speech: Path, tmp_path: Path) -> None:
    ran = phiz("bake", speech, "-m", home / "five", "-o", tmp_path / "out", "--no-ensemble", "--frame-rate", 30)
    assert ran.code == 0, ran.err
    rows = [*csv.reader((tmp_path / "out" / "speech.csv").read_text().splitlines())]
    assert rows[0] == ["seconds", *"abcde"]
    values = np.array(rows[1:], np.float64)
    np.testing.assert_allclose(values[:, 0], np.arange(15) / 30, atol=1e-6)
    np.testing.assert_allclose(values[:, 1:], expected(home / "five", speech, frame_rate=30.0), atol=1e-4)
    assert values[:, 1:].min() < -1


def test_a_rig_survives_compilation(phiz, home: Path, built: Path, speech: Path, tmp_path: Path) -> None:
    baked = []
    for model in (home / "five", built):
        assert phiz("bake", speech, "-m", model, "-o", tmp_path / "out").code == 0
        rows = [*csv.reader((tmp_path / "out" / "speech.csv").read_text().splitlines())]
        assert rows[0] == ["seconds", *"abcde"]
        baked.append(np.array(rows[1:], np.float64))
    np.testing.assert_allclose(*baked, atol=1e-4)  # torch's float32 against onnxruntime's


def test_a_shipped_student_needs_no_path(phiz, shipped, home: Path, speech: Path, tmp_path: Path) -> None:
    ran = phiz("bake", speech, "-o", tmp_path / "plain")
    assert ran.code == 0, ran.err
    assert phiz("bake", speech, "-m", home / "face", "-o", tmp_path / "path").code == 0
    assert (tmp_path / "plain/speech.csv").read_bytes() == (tmp_path / "path/speech.csv").read_bytes()
    assert phiz("bake", speech, "-m", "phiz:five", "-o", tmp_path / "five").code == 0
    with pytest.raises(UserError, match="no such student ships"):
        read_model("phiz:mine", {})
    ran = phiz("bake", speech, "-m", "phiz:huge", "-o", tmp_path / "huge")
    assert ran.code == 2
    assert "phiz:huge: no such student ships with phiz; there are: phiz:five, phiz:tiny" in ran.err
    for name in ("phiz:../tiny", "phiz:", "phiz:."):
        assert phiz("compile", name, "-o", tmp_path / "none").code == 2
    assert sorted(os.listdir(tmp_path)) == ["five", "path", "plain", "pretrained", "speech.wav"]


def test_an_installation_without_students_says_so(phiz, speech: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(pretrained, "__file__", str(tmp_path / "__init__.py"))
    ran = phiz("bake", speech, "-o", tmp_path / "out")
    assert ran.code == 2
    assert "none ships yet: name a student or a build of your own" in ran.err


def test_core_phiz_bakes_16_bit_wav(phiz, built: Path, speech: Path, tmp_path: Path, monkeypatch) -> None:
    """An artefact, the standard library's WAV, and a CSV: no torch, no PyAV, no matplotlib."""
    assert phiz("bake", speech, "-m", built, "-o", tmp_path / "all").code == 0
    for name in ("torch", "av", "matplotlib", "espeakng_loader", "safetensors", "hama"):
        monkeypatch.setitem(sys.modules, name, None)
    ran = phiz("bake", speech, "-m", built, "-o", tmp_path / "core")
    assert ran.code == 0, ran.err
    assert os.listdir(tmp_path / "core") == ["speech.csv"]
    assert "no pictures without matplotlib; run: pip install 'phiz[teacher]'" in ran.out
    one, other = (
        np.array([*csv.reader((tmp_path / name / "speech.csv").read_text().splitlines())][1:], np.float64)
        for name in ("all", "core")
    )
    # two filters bring 48 kHz to 16; white noise has much at the edge of what passes
    assert np.abs(one - other).mean() < 0.01 * one.std()


def test_speakers_whose_files_are_called_alike_do_not_share_a_folder(
    phiz, built: Path, speech: Path, tmp_path: Path
) -> None:
    for name in ("anna", "bert"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "speech.wav").write_bytes(speech.read_bytes())
    ran = phiz("bake", tmp_path / "anna", tmp_path / "bert", "-m", built, "-o", tmp_path / "out")
    assert ran.code == 2
    assert "would both become speech.csv; bake them into different folders: --out" in ran.err
    assert not (tmp_path / "out").exists()


def test_a_folder_of_neither(phiz, speech: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = phiz("bake", speech, "-m", tmp_path / "empty", "-o", tmp_path / "out")
    assert ran.code == 2
    assert "it holds no artefact" in ran.err


def test_through_a_stream(phiz, home: Path, speech: Path, tmp_path: Path) -> None:
    """The artefact that takes hops gives the curves of the one that takes windows, at the student's own rate."""
    from compile.simplify.pipeline import simplify
    from compile.streaming.stream import stream
    from targets.catalogue import find

    hub = simplify(read_model(str(home / "face"), {})).model
    artefact = find("onnx").lower(stream(hub))
    (tmp_path / artefact.name).write_bytes(artefact.files[artefact.name])
    ran = phiz("bake", speech, "-m", tmp_path / artefact.name, "-o", tmp_path / "out", "--no-ensemble")
    assert ran.code == 0, ran.err
    _, values = table(tmp_path / "out" / "speech.csv")
    np.testing.assert_allclose(values[:, :52], expected(home / "face", speech), atol=1e-4)  # as above
    opened = open_face(tmp_path / artefact.name)
    heard = decode(speech)
    before = opened.speak(heard, True, 50.0)
    assert len(next(opened.drive([heard, heard], True, 50.0))) > 0  # and whoever was heard is left halfway
    np.testing.assert_array_equal(opened.speak(heard, True, 50.0), before)
