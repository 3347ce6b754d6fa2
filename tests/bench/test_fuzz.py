"""Damaged files: a clear error or a right result. ``python -m bench.fuzz`` does the same for longer."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.fuzz.__main__ import batch, main, warm
from bench.fuzz.mutate import mutate
from bench.fuzz.subject import Limits, Subject
from bench.fuzz.subjects import subjects
from compile.errors import UserError

for needed in ("torch", "ai_edge_litert", "coremltools"):
    pytest.importorskip(needed)

# Subject -> cases a run, by what they cost. No single one may take 5 seconds.
CASES = {
    "onnx": 60,
    "onnx, nested": 60,
    "onnx, external": 30,
    "onnx, quantised": 40,
    "pt2": 12,
    "student folder": 30,
}
# The auditor's run in processes with limits on memory, time and what they open.
AUDITED = {
    "audit tflite": 300,
    "audit onnx": 300,
    "audit mlpackage": 300,
    "audit mlmodel": 300,
    "audit safetensors": 300,
    "audit build": 60,
}


@cache
def by_name() -> dict[str, Subject]:
    with TemporaryDirectory() as folder:
        return {subject.name: subject for subject in subjects(Path(folder))}


def attempt(subject: Subject, files: dict[str, bytes]) -> None:
    with TemporaryDirectory() as folder:
        subject.attempt(files, Path(folder))


def test_every_subject_is_attacked() -> None:
    assert set(by_name()) == {*CASES, *AUDITED}


@pytest.mark.parametrize("name", [*CASES, *AUDITED])
def test_good_files_are_taken(name: str) -> None:
    """Otherwise nothing below would reach far. What phiz never takes is refused for what it is."""
    reasons = {"onnx, nested": "its branch is chosen at run time", "onnx, quantised": "already quantised"}
    subject = by_name()[name]
    for files in (subject.files, *subject.others):
        if name in reasons:
            with pytest.raises(UserError, match=reasons[name]):
                attempt(subject, dict(files))
        else:
            attempt(subject, dict(files))


@pytest.mark.parametrize("name", CASES)
def test_damaged_files(name: str) -> None:
    subject = by_name()[name]

    @settings(max_examples=CASES[name], deadline=5000, database=None)
    @given(st.integers(0, 2**32))
    def check(seed: int) -> None:
        try:
            attempt(subject, mutate(Random(seed), subject.files))
        except UserError:
            return

    check()


@pytest.mark.parametrize("name", AUDITED)
def test_the_auditor_on_damaged_files(name: str) -> None:
    subject = by_name()[name]
    warm(subject)
    assert batch(subject, 0, [*range(AUDITED[name])]) == {}


def subject(read: object, **limits: object) -> Subject:
    return Subject("made up", {"a/b": b"x"}, "a/b", read, (), Limits(**limits))  # type: ignore[arg-type]


def loop(path: Path) -> None:
    while True:
        pass


class Wordy(UserError):
    def __str__(self) -> str:
        return "two\nlines"  # UserError itself would escape it


def report_badly(path: Path) -> None:
    raise Wordy("much to say")


@pytest.mark.skipif(sys.platform != "linux", reason="limits of the address space")
@pytest.mark.parametrize(
    ("read", "limits", "found"),
    [
        (lambda path: path.read_bytes(), {"confined": True}, ""),
        (lambda _: Path("/etc/hostname").open().close(), {"confined": True}, "open of /etc/hostname, outside"),
        (lambda path: os.listdir(path.parent.parent.parent), {"confined": True}, "outside the folder"),
        (lambda path: os.symlink("/etc", path.parent / "c") or (path.parent / "c" / "hostname").open().close(),
         {"confined": True}, "outside the folder"),
        (lambda _: bytearray(2 << 28), {"memory": 1 << 28}, "MemoryError"),
        (lambda _: bytearray(1 << 27), {"memory": 1 << 28}, ""),
        (lambda _: sum(range(10**7)), {"seconds": 0.01}, "seconds"),
        (lambda _: os._exit(3), {}, "the process died (exit code 3)"),
        (lambda _: 1 / 0, {}, "ZeroDivisionError"),
        (report_badly, {}, "an error of several lines"),
    ],
)  # fmt: skip
def test_what_breaks_a_limit_is_found(read: object, limits: dict[str, object], found: str) -> None:
    """The attack itself is tested: what should be a finding is one, and the cases after it are run."""
    result = batch(subject(read, **limits), 0, [7, 8])
    assert set(result) == ({7, 8} if found else set())
    assert all(found in text for text in result.values())


def test_a_hang_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.fuzz.__main__.PATIENCE", 0.2)
    assert batch(subject(loop), 0, [1])[1].startswith("no answer within")


def test_a_run_of_so_many_cases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Findings are kept with the files that made them, and the same seed draws them again."""
    broken = replace(subject(lambda path: 1 / (path.stat().st_size - 1)), files={"a/b": b"y" * 9})
    monkeypatch.setattr("bench.fuzz.__main__.subjects", lambda _: [broken, replace(broken, name="other")])
    assert main(["--only", "made", "--cases", "300", "--out", str(tmp_path / "out")]) == 1
    assert "made up: 300 cases" in capsys.readouterr().out
    found = sorted((tmp_path / "out").iterdir())
    assert found
    for folder in found:
        number = int(folder.name.rpartition(" ")[2])
        assert broken.draw(0, number) == {"a/b": (folder / "a" / "b").read_bytes()}
        assert len((folder / "a" / "b").read_bytes()) == 1
        assert "ZeroDivisionError" in (folder / "what.txt").read_text()
