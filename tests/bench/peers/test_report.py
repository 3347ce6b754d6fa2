from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.peers.report import render, write


def test_the_page_has_every_row_and_why_there_is_none(results: dict[str, Any]) -> None:
    page = render(results).decode()
    assert "| **phiz-onnx** | 1,010 | 1.010 | 42.0 | 0.900 | 100 | 130 | 1.00 | 9.0 |" in page
    assert "| *onnx-float* | 4,000 | 4.000 | float |" in page
    assert "| litert | as it comes | failed |" in page
    assert "- litert: ValueError: no \\| such thing" in page
    assert "- olive: **not installed**: pip: no matching distribution" in page
    assert "ort-tuned is faster" in page
    assert "Why: *faster*:" in page


def test_what_was_not_measured_is_a_dash(results: dict[str, Any]) -> None:
    network = results["networks"][0]
    network["times"] = {}
    network["rows"][0]["artefacts"]["student.onnx"]["judged"] = {"error": "it died"}
    page = render(results).decode()
    assert "| **phiz-onnx** | 1,010 | 1.010 | - | - | - | - | - | 9.0 |" in page
    assert "- phiz-onnx: it died" in page


def test_files_are_the_same_for_the_same_results(results: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for name in ("a", "b"):
        write(results, tmp_path / name / "benchmarks.md")
    one, other = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in "ab"
    )
    assert one == other
    assert sorted(path.suffix for path in one) == [".json", ".md", ".png", ".png"]
    assert json.loads((tmp_path / "a" / "benchmarks.json").read_text()) == results
