"""Workflow commands, read back as GitHub's runner reads them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from compile.audit.findings.finding import Finding
from compile.audit.render.github import MOST, render
from compile.audit.report import Report

COMMAND = re.compile(r"::(?P<name>[a-z]+) (?P<properties>[^:]*)::(?P<message>.*)")


def commands(report: Report) -> list[tuple[str, dict[str, str], str]]:
    """(name, properties, message) of each line but the last, by the rules of the runner's ``ActionCommand``."""
    *lines, verdict, empty = render(report).decode().split("\n")
    assert empty == ""
    assert verdict.startswith("phiz audit: ")
    found = []
    for line in lines:
        match = COMMAND.fullmatch(line)
        assert match, line
        pairs = (pair.split("=", 1) for pair in match["properties"].split(","))
        found.append((match["name"], {key: unescaped(value) for key, value in pairs}, unescaped(match["message"])))
    return found


def unescaped(text: str) -> str:
    for code, sign in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(code, sign)
    return text


def test_the_whole_output(full: Report) -> None:
    expected = (Path(__file__).parent / "snapshots" / "github.txt").read_text(encoding="utf-8")
    assert render(full).decode() == expected


def test_each_failure_is_an_error_at_its_file(full: Report) -> None:
    found = commands(full)
    assert [name for name, _, _ in found] == ["error"] * 4 + ["warning"] * 2
    name, properties, message = found[1]
    assert (name, properties["file"], properties["title"]) == (
        "error",
        "build/student.tflite",
        "tflite: file over budget",
    )
    assert "exceeds the cap of 990 bytes; ask the audio team" in message
    assert found[4][2].startswith("its download 'conv1' of 900 bytes is 98 % of 910 bytes")


def test_small_findings_are_no_annotations(full: Report) -> None:
    text = render(full).decode()
    assert "200 bytes to be won" in text  # of 1,000
    assert "5 bytes to be won" not in text


def test_never_more_than_github_shows(full: Report) -> None:
    row = full.rows[0]
    many = replace(
        full,
        rows=(
            replace(
                row,
                reasons=tuple(f"reason {index}" for index in range(30)),
                findings=tuple(Finding("padding", f"finding {index}", "mend it", 500) for index in range(MOST)),
                checks=(),
            ),
        ),
    )
    found = commands(many)
    assert [name for name, _, _ in found] == ["error"] * MOST + ["warning"] * MOST
    assert found[MOST - 1][2].startswith("and 21 more")
    assert found[-1][2].startswith("finding 9")


def test_an_audit_that_passes_says_so(passing: Report) -> None:
    assert render(passing) == b"phiz audit: tiny.tflite: pass\n"


def test_names_do_nothing(hostile: Report) -> None:
    found = commands(hostile)
    assert [name for name, _, _ in found] == ["error"] * 3 + ["warning"] * 2
    for _, properties, message in found:
        assert set(properties) == {"file", "title"}
        assert all(value.isprintable() for value in (*properties.values(), message))
    text = render(hostile).decode()
    assert "##" not in text
    assert len(text) < 60_000
