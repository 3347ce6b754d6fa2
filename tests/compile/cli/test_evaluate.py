"""``phiz evaluate`` as a user types it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av")
pytest.importorskip("torch")
pytest.importorskip("espeakng_loader")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained student, its float ONNX build, and six spoken and labelled sentences, two of them held out."""
    import torch

    from distill.corpus import sources as corpus
    from distill.labels import cache as labels
    from distill.students import folder as students
    from distill.teachers.phonetic import PhoneticTeacher

    folder = tmp_path_factory.mktemp("evaluate")
    torch.manual_seed(0)
    students.save(students.build(students.architecture("tiny")), folder / "student")
    command = [*("compile", str(folder / "student"), "-t", "onnx"), *("--scheme", "float", "-o", str(folder / "build"))]
    subprocess.run([sys.executable, "-m", "compile.cli", *command], check=True, capture_output=True)
    plan = (*corpus.plan(4, seed=3), *corpus.plan(2, seed=3, split=corpus.HELD_OUT))
    labels.label(corpus.synthesize(folder / "speech", plan), PhoneticTeacher(), folder / "labels")
    return folder


@pytest.fixture
def there(work: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(work)
    return work


def rows(path: Path) -> dict[tuple[str, float | None], dict]:
    return {(row["subject"], row["noise_db"]): row["figures"] for row in json.loads(path.read_text())["rows"]}


def test_a_float_build_is_its_student(phiz, there: Path, tmp_path: Path) -> None:
    report, page = tmp_path / "report.json", tmp_path / "report.html"
    command = [
        "evaluate",
        "student",
        "build",
        "--labels",
        "labels",
        "--ensemble",
        "both",
        "--noise",
        "20dB",
        "--most",
        1,
    ]
    ran = phiz(*command, "--by", "speaker, language", "--json", report, "--html", page)
    assert ran.code == 0, ran.err
    assert "1 utterances" in ran.out
    assert "Against exact phone times." in ran.out
    found = rows(report)
    names = ["student", "student, no ensemble", "build/student.onnx", "build/student.onnx, no ensemble"]
    assert [*found] == [
        *((name, noise) for name in names for noise in (None, 20.0)),
        *((name, None) for name in ("teacher", "always mean", "always closed")),
    ]
    for ours, theirs in ((names[0], names[2]), (names[1], names[3])):  # float32, in another order of sums
        assert found[ours, None]["r2"]["value"] == pytest.approx(found[theirs, None]["r2"]["value"], rel=1e-3)
        assert found[ours, 20.0]["error.all"]["value"] == pytest.approx(
            found[theirs, 20.0]["error.all"]["value"], rel=1e-3
        )
    assert found[names[0], None]["jitter"]["value"] < found[names[1], None]["jitter"]["value"]  # what taps are for
    assert found["teacher", None]["r2"]["value"] == 1
    assert page.read_bytes().startswith(b"<!doctype html>")
    again = tmp_path / "again.json"
    assert phiz(*command, "--by", "speaker, language", "--json", again).code == 0
    assert again.read_bytes() == report.read_bytes()


def test_speech_is_labelled_on_the_way_and_bad_files_are_named(phiz, there: Path, tmp_path: Path) -> None:
    shutil.copytree(there / "speech", tmp_path / "speech")
    (tmp_path / "speech/bad.wav").write_bytes(b"words")
    command = ["evaluate", "--speech", tmp_path / "speech", "--split", "train", "--json", tmp_path / "r.json"]
    ran = phiz(*command, "--most", 3)
    assert ran.code == 0, ran.err
    assert "3 utterances" in ran.out
    assert "bad.wav" in ran.out
    assert rows(tmp_path / "r.json")["teacher", None]["r2"]["value"] == 1


def test_gates_are_exit_codes(phiz, there: Path) -> None:
    command = ("evaluate", "build", "--labels", "labels", "--gate")
    assert phiz(*command, "error.all <= 9").code == 0
    ran = phiz(*command, "closure.f1 >= 0.85 of teacher")
    assert ran.code == 1
    assert "build/student.onnx: closure.f1 >= 0.85 of teacher: closure.f1 is " in ran.err
    ran = phiz(*command, "correlation.brows >= 0.5")  # the teacher never moves them
    assert ran.code == 1
    assert "correlation.brows was not measured" in ran.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name what to judge on; give either --labels FOLDER or --speech AUDIO"),
        (["--labels", "labels", "--speech", "speech"], "name what to judge on"),
        (["--labels", "labels", "--teacher", "phonetic"], "--teacher: labels have their teacher"),
        (["--labels", "labels", "--split", "best"], "there is no split 'best'"),
        (
            ["--labels", "labels", "--by", "mood"],
            "there is nothing known by 'mood'; choose of: speaker, language, truth",
        ),
        (["--labels", "labels", "--noise", "loud"], "'loud' is no level of noise"),
        (["--labels", "labels", "--gate", "r2 >= 0"], "there is no model to hold to it"),
        (
            ["student", "--labels", "labels", "--gate", "closure.f2 >= 0"],
            "there is no figure 'closure.f2'; did you mean closure.f1?",
        ),
        (["student", "student", "--labels", "labels"], "two of what is to be judged have the same name"),
        (["nothing", "--labels", "labels"], "nothing: there is no such artefact or build folder"),
        (["speech", "--labels", "labels"], "speech: not a phiz build folder"),
        (["--labels", "nowhere"], "nowhere: not a labels folder"),
        (["--speech", "nowhere"], "there is no such file or folder"),
        (["--labels", "labels", "--json", "a.onnx"], "it would be a model, not a report"),
        (["--labels", "labels", "--json", "a", "--html", "a"], "it is to be written twice"),
    ],
)
def test_what_is_refused(phiz, there: Path, arguments: list[str], message: str) -> None:
    ran = phiz("evaluate", *arguments)
    assert ran.code == 2
    assert message in ran.err
    assert "Traceback" not in ran.err


def test_an_artefact_whose_metadata_is_wrong_about_its_window(phiz, there: Path, tmp_path: Path) -> None:
    import onnx

    model = onnx.load(there / "build/student.onnx")
    for entry in model.metadata_props:
        if entry.key == "phiz.window":
            entry.value = "4096"
    onnx.save(model, tmp_path / "other.onnx")
    ran = phiz("evaluate", tmp_path / "other.onnx", "--labels", "labels")
    assert ran.code == 2
    assert "its metadata says that it hears 4096 samples, but its input is another" in ran.err


def test_a_student_that_gives_nan_is_named_with_the_utterance(phiz, there: Path, monkeypatch) -> None:
    from distill.students import folder as students

    monkeypatch.setattr(students, "predict", lambda _, audio, **__: np.full((-(-len(audio) // 320), 52), np.nan))
    ran = phiz("evaluate", "student", "--labels", "labels")
    assert ran.code == 2
    assert ".wav" in ran.err
    assert "student gave curves that are NaN or infinite" in ran.err


def test_a_face_of_another_rig_is_refused(phiz, there: Path, tmp_path: Path) -> None:
    from distill.controls import ARKIT
    from distill.students import folder as students

    student, _, _ = students.load(there / "student")
    students.save(student, tmp_path / "other", controls=("jawDrop", *ARKIT[1:]))
    ran = phiz("evaluate", tmp_path / "other", "--labels", "labels")
    assert ran.code == 2
    assert "it moves another face than these labels: it has no control 'eyeBlinkLeft'" in ran.err
