"""A report as workflow commands of GitHub Actions: annotations at the artefacts, beside the run and in the change.

The form is that of GitHub's documentation, "Workflow commands for GitHub Actions". GitHub shows the first ten of each
kind in a step and silently drops the rest, so the tenth says how many there are.
"""

from __future__ import annotations

from collections.abc import Iterator

from compile.audit.render.remarks import Level, Remark, place, remarks
from compile.audit.render.words import brief
from compile.audit.report import Report

MOST = 10  # annotations of a kind that GitHub shows of one step


def render(report: Report) -> bytes:
    """UTF-8; one command a line, at most ``MOST`` of a kind, then the verdict."""
    found = remarks(report)
    lines: list[str] = []
    for level in (Level.ERROR, Level.WARNING):
        lines += _of_level(level, [remark for remark in found if remark.level == level])
    verdict = "fail" if report.exit_code else "pass"
    return "\n".join([*lines, f"phiz audit: {brief(report.name)}: {verdict}", ""]).encode()


def _of_level(level: Level, found: list[Remark]) -> Iterator[str]:
    shown = found if len(found) <= MOST else found[: MOST - 1]
    for remark in shown:
        title = f"{brief(remark.row.label, 60)}: {remark.title}"
        yield _command(level, remark.sentence, file=place(remark.row), title=title)
    if len(shown) < len(found):
        rest = f"and {len(found) - len(shown)} more: see the summary of the job, or run phiz audit"
        yield _command(level, rest, title=f"{len(found)} {level.value}s in all")


def _command(level: Level, message: str, **properties: str) -> str:
    told = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{level.value} {told}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
