"""``phiz label``: manifests, splits, languages, several processes, and what it says of odd files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av")

TEACHER = """
import numpy as np

class Level:
    name, version, controls = "level", "1", ("level",)
    def curves(self, utterance):
        whole = np.pad(utterance.audio, (0, -len(utterance.audio) % 320))
        return np.abs(whole).reshape(-1, 320).mean(axis=1, keepdims=True)

def factory():
    return Level()
"""


def write(path: Path, seed: int = 0, samples: int = 4000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(np.random.default_rng(seed).integers(-9000, 9000, samples, dtype=np.int16).tobytes())
    return path


@pytest.fixture
def speech(here) -> Path:
    """Three speakers, two of them with three files, and a teacher of our own; the current folder."""
    folder = here({"own.py": TEACHER})
    for index, name in enumerate(("anna/1", "anna/2", "anna/3", "bert/1", "bert/2", "bert/3", "carl/1")):
        write(folder / f"speech/{name}.wav", index)
    return folder


def index(folder: Path) -> list[dict[str, object]]:
    facts, *lines = map(json.loads, (folder / "labels.jsonl").read_text(encoding="utf-8").splitlines())
    return [dict(zip(facts["columns"], line, strict=True)) for line in lines]


def test_speakers_are_held_out(phiz, speech: Path) -> None:
    ran = phiz("label", "speech", "--teacher", "own:factory", "--held-out", "20%", "--language", "de")
    assert ran.code == 0, ran.err
    assert "7 labelled, 0 already there, 0 skipped: labels/" in ran.out
    assert "7 pieces, 0.00 h; held out: 1 piece of 1 speaker, 14% of the time" in ran.out
    entries = index(speech / "labels")
    assert [(entry["speaker"], entry["language"]) for entry in entries if entry["split"] == "held-out"] == [
        ("carl", "de")
    ]
    ran = phiz("label", "speech", "--teacher", "own:factory", "--held-out", "50 %", "--split-by", "file")
    assert ran.code == 0, ran.err
    assert "0 labelled, 7 already there" in ran.out
    assert [entry["split"] for entry in index(speech / "labels")].count("held-out") == 3


def test_a_manifest(phiz, speech: Path) -> None:
    lines = [
        {"path": "speech/anna/1.wav", "language": "it", "split": "held-out", "phones": [["p", 0.0, 0.1]]},
        {"path": "speech/bert/1.wav", "speaker": "Bertha"},
    ]
    (speech / "c.jsonl").write_text("\n".join(map(json.dumps, lines)))
    ran = phiz("label", "c.jsonl", "--teacher", "own:factory", "--language", "de")
    assert ran.code == 0, ran.err
    one, two = index(speech / "labels")
    assert (one["speaker"], one["language"], one["split"], one["exact"]) == ("anna", "it", "held-out", True)
    assert (two["speaker"], two["language"], two["split"], two["exact"]) == ("Bertha", "de", "train", False)


def test_two_jobs_open_a_teacher_each(phiz, speech: Path) -> None:
    ran = phiz("label", "speech", "--teacher", "own:factory", "--jobs", 2)
    assert ran.code == 0, ran.err
    assert "7 labelled" in ran.out
    assert "Traceback" not in ran.err


def test_what_is_odd_is_told_and_strict_stops(phiz, speech: Path) -> None:
    (speech / "speech/anna/4.wav").write_bytes(b"")
    (speech / "speech/anna/5.wav").write_bytes((speech / "speech/anna/1.wav").read_bytes()[:44] + bytes(8000))
    ran = phiz("label", "speech", "--teacher", "own:factory")
    assert ran.code == 0, ran.err
    assert "8 labelled, 0 already there, 1 skipped" in ran.out
    assert "skipped speech/anna/4.wav: it cannot be read as audio" in ran.out
    assert "odd: speech/anna/5.wav: silent" in ran.out
    ran = phiz("label", "speech", "--teacher", "own:factory", "--strict")
    assert ran.code == 2
    assert "speech/anna/4.wav: it cannot be read as audio" in ran.err


def test_names_that_are_no_text(phiz, speech: Path) -> None:
    os.rename(speech / "speech/carl/1.wav", os.fsencode(speech) + b"/speech/carl/\xff.wav")
    (Path(os.fsdecode(os.fsencode(speech) + b"/speech/carl/\xfe[red]\n.wav"))).write_bytes(b"")
    ran = phiz("label", "speech", "--teacher", "own:factory", "--held-out", "20%")
    assert ran.code == 0, ran.err
    assert "skipped speech/carl/\\udcfe[red]\\n.wav: it cannot be read as audio" in ran.out
    assert [entry["source"] for entry in index(speech / "labels")][-1] == r"\xff.wav"


def test_long_lists_are_cut(phiz, speech: Path) -> None:
    for number in range(30):
        (speech / f"speech/bad{number:02}.wav").write_bytes(b"")
    ran = phiz("label", "speech", "--teacher", "own:factory")
    assert ran.out.count("skipped speech/bad") == 20
    assert "skipped 10 more" in ran.out


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ((), "there is no audio to label"),
        (("speech", "--teacher", "nobody"), "unknown teacher 'nobody'"),
        (("speech", "--held-out", "lots"), "--held-out: 'lots' is not a share"),
        (("speech", "--held-out", "100%"), "cannot be held out"),
        (("speech/carl", "--held-out", "10%"), "one speaker cannot be in two splits; split by file"),
        (("missing.jsonl",), "there is no such file"),
        (("speech", "-o", "own.py"), "own.py"),
    ],
)
def test_what_cannot_be_meant(phiz, speech: Path, options: tuple[str, ...], complaint: str) -> None:
    own = () if "--teacher" in options else ("--teacher", "own:factory")
    ran = phiz("label", *options, *own)
    assert ran.code == 2
    assert complaint in ran.err
    assert not (speech / "labels").exists()


def test_ranks_of_the_command(speech: Path) -> None:
    """As ``torchrun --no-python phiz label …`` starts them; only rank 0 speaks."""
    command = [sys.executable, "-m", "compile.cli", "label", "speech", "--teacher", "own:factory"]
    root = str(Path(__file__).parents[3])
    runs = [
        subprocess.Popen(
            command,
            env=os.environ | {"RANK": rank, "WORLD_SIZE": "2", "PYTHONPATH": root},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "10"
    ]
    (silent, _), (told, _) = (run.communicate(timeout=60) for run in runs)
    assert [run.returncode for run in runs] == [0, 0]
    assert silent == ""
    assert "7 labelled, 0 already there, 0 skipped" in told
    assert len(index(speech / "labels")) == 7


def test_one_process_speaks(phiz, speech: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    ran = phiz("label", "--synthetic", 2)
    assert ran.code == 2
    assert "--synthetic: only one process can speak" in ran.err
    assert not (speech / "labels").exists()
