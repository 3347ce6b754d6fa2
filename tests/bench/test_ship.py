"""The model card says what the files are, and what evaluation found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from bench import ship
from distill.rigs import Rig
from distill.students import folder as students


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A shelf with ``two``: two unbounded controls, of which one never moves."""
    import torch

    rig = Rig("two", ("left", "right"), np.zeros((2, 52), np.float32), np.zeros(2, np.float32), bounded=False)
    student = students.build(students.fitted(students.architecture("tiny", 32), rig))
    with torch.no_grad():
        student.head.weight[1] = 0
    training = {"steps": 7, "teacher": "phonetic", "recipe": {"batch": 4, "speed": [0.9, 1.1]}}
    students.save(student, tmp_path / "two", controls=rig.controls, training=training, half=True)
    (tmp_path / "two" / "student.onnx").write_bytes(b"12345")
    return tmp_path


def report(tmp_path: Path) -> Path:
    def row(subject: str, kind: str, noise: float | None, f1: float | None, **groups: object) -> dict[str, object]:
        figure = None if f1 is None else {"value": f1, "low": 0.1, "high": 0.2}
        figures = {"closure.f1": figure, "r2": {"value": 0.5}, "error.eyes": {"value": 0.001}}
        return {"subject": subject, "kind": kind, "noise_db": noise, "figures": figures, "groups": groups}

    anna = {"utterances": 2, "seconds": 3.0, "figures": {"closure.f1": {"value": 0.71}}}
    rows = [
        row("mine", "student", None, 0.91, speaker={"anna": anna}),
        row("mine", "student", 20.0, 0.62),
        row("teacher", "teacher", None, None),
    ]
    facts = {
        "speech": "somewhere/private",
        "teacher": "phonetic",
        "utterances": 12,
        "seconds": 180.0,
        "phones": {"exact": 12, "heard": 0},
        "rows": rows,
    }
    path = tmp_path / "unheard speakers.json"
    path.write_text(json.dumps(facts))
    return path


def test_the_card_of_a_student(shelf: Path, tmp_path: Path) -> None:
    (tmp_path / "data.md").write_text("Forty hours of *Anna*, CC0.\n")
    ship.card("two", evaluation=[report(tmp_path)], data=tmp_path / "data.md", shelf=shelf)
    lines = (shelf / "two" / "README.md").read_text().splitlines()
    assert lines[0] == "# phiz:two"
    size = (shelf / "two" / "student.safetensors").stat().st_size
    for line in (
        "A student of the architecture `tiny`: speech in, 2 face controls out, of which it moves 1: left.",
        "| look-ahead | 32 ms; with the three-tap ensemble 16.7 ms more |",
        f"| `student.safetensors` | {size:,} bytes, float16 |",
        "| `student.onnx` | 5 bytes, int8, SQNR unknown |",
        "| steps | 7 |",
        "| `speed` | `[0.9, 1.1]` |",
        "Forty hours of *Anna*, CC0.",
        "### unheard speakers",
        "|  | mine | teacher |",
        "| closure: F1 | 0.91 | not measured |",
        "| R² | 0.50 | 0.50 |",
        "| mine, noise 20 dB below | 0.62 | 0.50 | not measured | not measured | not measured |",
        "| mine, anna | 0.71 | not measured | not measured | not measured | not measured |",
    ):
        assert line in lines
    whole = "\n".join(lines)
    assert "private" not in whole  # no path of this machine
    assert "error, eyes" not in whole  # nothing to see


def test_without_figures_it_says_so(shelf: Path) -> None:
    ship.card("two", shelf=shelf)
    whole = (shelf / "two" / "README.md").read_text()
    assert "Not measured." in whole
    assert "Not said." in whole
