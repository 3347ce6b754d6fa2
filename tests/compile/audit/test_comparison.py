"""``phiz diff``: builds, artefacts and revisions against each other, to the byte."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from compile.audit.comparison import compare
from compile.audit.difference import Change, Difference
from compile.audit.render import comparison
from compile.audit.report import Report, Row
from compile.errors import UserError


@pytest.fixture
def two(build, tmp_path, dense):
    """``old/`` and ``new/``: builds that differ in the ONNX file, by 32 rows of 512 bytes and a wider output."""
    folder = build()
    folder.rename(tmp_path / "old")

    def smaller(manifest):
        data = dense(32)
        digest = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        manifest["artifacts"]["onnx"]["files"]["student.onnx"] = digest

    new = build(smaller).rename(tmp_path / "new")
    (new / "student.onnx").write_bytes(dense(32))
    return tmp_path


def metrics(report, target="onnx"):
    return next(row.difference.metrics for row in report.rows if row.target == target)


def test_two_builds(two):
    report = compare("new", "old", two)
    sizes = {folder: (two / folder / "student.onnx").stat().st_size for folder in ("old", "new")}
    assert [row.target for row in report.rows] == ["onnx", "tflite"]
    assert metrics(report)["file"] == (sizes["old"], sizes["new"])
    assert metrics(report)["weights"] == (64 * 512, 32 * 512)
    assert metrics(report, "tflite")["file"][0] == metrics(report, "tflite")["file"][1]
    changes = report.rows[0].difference.changes
    assert changes["layer"][0] == Change("w", changes["layer"][0].old, changes["layer"][0].old - 32 * 512)


def test_what_is_new_and_what_is_gone(two):
    for folder, target in (("old", "tflite"), ("new", "onnx")):
        manifest = json.loads((two / folder / "manifest.json").read_text())
        del manifest["artifacts"][target]
        (two / folder / "manifest.json").write_text(json.dumps(manifest))
    report = compare("new", "old", two)
    files = {row.target: row.difference.metrics["file"] for row in report.rows}
    assert files["tflite"] == (0, (two / "new" / "student.tflite").stat().st_size)
    assert files["onnx"] == ((two / "old" / "student.onnx").stat().st_size, 0)
    for row in report.rows:
        for changes in row.difference.changes.values():
            assert sum(change.growth for change in changes) == files[row.target][1] - files[row.target][0]
    text = comparison.text(report, ("section",), 5)
    assert "tflite: student.tflite is new; old has none" in text
    assert "onnx: student.onnx is gone; old had it" in text


def test_one_artefact_of_a_build(two):
    for report in (compare("new/student.onnx", "old", two), compare("new", "old/student.onnx", two)):
        assert [row.target for row in report.rows] == ["onnx"]
        assert metrics(report)["weights"] == (64 * 512, 32 * 512)


def test_different_formats(two):
    report = compare("new/student.tflite", "old/student.onnx", two)
    assert "another format" in report.rows[0].difference.stale
    assert set(report.rows[0].difference.changes) == {"section"}


def test_revisions(repository, dense):
    repository.commit({"net.onnx": dense(64)})
    repository.commit({"net.onnx": dense(48)})
    (repository.root / "net.onnx").write_bytes(dense(32))
    for new, old, weights in (
        ("net.onnx", "git:main", (48, 32)),
        ("net.onnx", "git:HEAD~1", (64, 32)),
        ("git:main:net.onnx", "git:main~1", (64, 48)),
        ("git:main:net.onnx", "git:main~1:net.onnx", (64, 48)),
        ("git:main~1:net.onnx", "net.onnx", (32, 64)),
    ):
        found = metrics(compare(new, old, repository.root))
        assert found["weights"] == tuple(512 * rows for rows in weights)


@pytest.mark.parametrize(
    ("new", "old", "what"),
    [
        ("git:main", "old", "path is missing"),
        ("new/student.tflite", "onnx-only", "no such file"),
        ("nothing", "old", "no such file"),
        ("new/manifest.json", "old/student.mlpackage", "no such file"),
        ("bad.onnx", "old/student.onnx", "bad.onnx"),
    ],
)
def test_what_cannot_be_compared(two, new, old, what):
    (two / "bad.onnx").write_bytes(b"\xff\xff")
    with pytest.raises(UserError, match=re.escape(what)):
        compare(new, old, two)


def test_an_artefact_without_a_counterpart(two):
    manifest = json.loads((two / "old" / "manifest.json").read_text())
    del manifest["artifacts"]["tflite"]
    manifest["artifacts"]["onnx:unity"] = manifest["artifacts"]["onnx"]
    (two / "old" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="no counterpart"):
        compare("new/student.tflite", "old", two)


def report(*changes: Change) -> Report:
    old, new = sum(change.old for change in changes), sum(change.new for change in changes)
    found = Difference("old", "new", {"file": (old, new), "weights": (None, 7)}, {"layer": changes})
    return Report("x", (Row("onnx", "new", None, difference=found),))


CHANGES = (
    Change("grown", 1_000_000, 1_000_001),
    Change("added", 0, 5),
    Change("lost", 7, 0),
    *(Change(f"small {number}", 10, 12) for number in range(4)),
)


def test_text():
    assert comparison.text(report(*CHANGES), ("layer",), 3) == (Path(__file__).parent / "comparison.txt").read_text()


def test_markdown_has_the_same_figures():
    text, marked = (show(report(*CHANGES), ("layer",), 3) for show in (comparison.text, comparison.markdown))
    assert re.findall(r"[\d,]+", text)[1:] == re.findall(r"[\d,]+", marked.replace("\\", ""))[1:]


def test_names_are_harmless():
    hostile = report(Change("::error::\x1b[31m|<b>\n", 0, 1))
    for show in (comparison.text, comparison.markdown):
        shown = show(hostile, ("layer",), 3)
        assert "\x1b" not in shown
        assert not any(line.startswith("::") for line in shown.splitlines())
    assert "<b>" not in comparison.markdown(hostile, ("layer",), 3).replace("\\<b\\>", "")


def test_one_byte_is_not_rounded_away():
    shown = comparison.text(report(Change("grown", 3_000_000_000, 3_000_000_001)), ("layer",), 3)
    assert "3,000,000,001" in shown
    assert "+1  +3e-08 %" in shown
