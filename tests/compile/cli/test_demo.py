"""``phiz demo``, made short: every file it promises, and no exit code but those of a gate."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

for package in ("torch", "espeakng_loader", "av", "matplotlib", "ai_edge_litert", "coremltools"):
    pytest.importorskip(package)

SHORT = ("demo", "--minutes", "0.02", "--sentences", "24")  # far too little to learn to speak


def test_the_whole_road_twice(phiz, tmp_path, one_thread):
    out = tmp_path / "demo"
    ran = phiz(*SHORT, "-o", out)
    if ran.code != 0:
        assert ran.code == 1, ran.err
        assert "closure recall" in ran.err
        assert "goal 0.85" in ran.err
    assert {path.name for path in (out / "build").iterdir()} == {
        *("student.onnx", "student.tflite", "student.mlpackage"),
        *("manifest.json", "golden.npz", "audit.json"),
    }
    assert {path.name for path in (out / "student").iterdir()} == {"student.json", "student.safetensors"}
    (table,) = (out / "curves").glob("*.csv")
    with table.open(newline="") as file:
        rows = list(csv.reader(file))
    assert {len(row) for row in rows} == {63}  # Live Link Face: timecode, count, 52 + 9 controls
    values = np.array([row[2:] for row in rows[1:]], float)
    assert np.isfinite(values).all()
    assert table.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert phiz("audit", out / "build", "--cap", "3.4MB").code == 0

    before = (out / "student/student.safetensors").read_bytes()
    shutil.rmtree(out / "build")
    again = phiz(*SHORT, "-o", out)
    assert again.code == ran.code
    assert "is trained already" in again.out
    assert "synthesise" not in again.err
    assert (out / "student/student.safetensors").read_bytes() == before
    assert json.loads((out / "build/manifest.json").read_text())["calibration"]["origin"] == "speech"


@pytest.mark.parametrize("name", ["student", "build", "speech/training"])
def test_a_folder_of_somebody_else_survives(phiz, tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir(parents=True)
    (tmp_path / name / "thesis.txt").write_text("words")
    ran = phiz(*SHORT, "-o", tmp_path)
    assert ran.code == 2
    assert "thesis.txt" in ran.err
    assert [path.name for path in tmp_path.rglob("*.*")] == ["thesis.txt"]


def test_it_asks_for_everything_before_it_starts(phiz, tmp_path, monkeypatch):
    import compile.cli.demo

    monkeypatch.setattr(compile.cli.demo, "find_spec", lambda name: None if name == "matplotlib" else True)
    ran = phiz(*SHORT, "-o", tmp_path / "demo")
    assert ran.code == 2
    assert "pip install 'phiz[all]'" in ran.err
    assert not (tmp_path / "demo").exists()
