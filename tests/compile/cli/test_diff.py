"""``phiz diff`` as a user types it."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def two(phiz, tiny_path, tmp_path):
    """The same network as int8 and as float."""
    for scheme in ("w8a8", "float"):
        done = phiz("compile", tiny_path, "-t", "onnx", "-t", "tflite", "-o", tmp_path / scheme, "--scheme", scheme)
        assert done.code == 0, done.err
    return tmp_path


def test_formats(phiz, two):
    arguments = ("diff", two / "float", two / "w8a8")
    ran = phiz(*arguments)
    assert ran.code == 0
    assert "by section" in ran.out
    assert "all 2 artefacts: +" in ran.out.splitlines()[-1]
    marked = phiz(*arguments, "--format", "markdown", "--by", "dtype", "--top", "1")
    assert "| by dtype | old | new | change |" in marked.out
    rows = json.loads(phiz(*arguments, "--format", "json").out)["rows"]
    for row in rows:
        sizes = row["difference"]["metrics"]["file"]
        assert sizes["new"] == (two / "float" / row["path"]).stat().st_size
        assert sizes["old"] == (two / "w8a8" / row["path"]).stat().st_size
    page = two / "page.html"
    assert phiz("diff", two / "float" / "student.onnx", two / "w8a8" / "student.onnx", "--html", page).code == 0
    assert "w8a8" in page.read_text()


@pytest.mark.parametrize("old", ["nothing.onnx", "git:main", "git:--help"])
def test_bad_input(phiz, tmp_path, old):
    (tmp_path / "net.safetensors").write_bytes(b"\2\0\0\0\0\0\0\0{}")
    ran = phiz("diff", tmp_path / "net.safetensors", old)
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1
