"""A report as tables of figures, the same for the terminal and for the page: pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from distill.evaluate.bootstrap import Figure
from distill.evaluate.face import GROUPS
from distill.evaluate.figures import FIGURES
from distill.evaluate.report import FLOOR, STUDENT, Group, Report, Row

Cell = tuple[str, Figure]
"""The name of a figure and what it is."""


@dataclass(frozen=True)
class Table:
    """Rows of figures.

    Attributes:
        title: above it.
        columns: heads of the columns of ``rows``' labels, then of their figures.
        rows: labels, and figures under their names.
        note: below it.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], tuple[Cell, ...]], ...]
    note: str = ""


CLOSED = ("closure.recall", "closure.precision", "closure.f1", "closure.timing", "closure.bias", "closure.depth")
ROUNDED = ("rounding.recall", "rounding.depth", "rounding.contrast")
NEAR = ("r2", "correlation.mouth", "error.mouth", "velocity.mouth", "jitter", "lag")
WHOLE = ("r2", "correlation.all", "error.all", "velocity.all", "jitter", "lag")  # of a face with no mouth
SILENT = ("silence.digital", "silence.room", "silence.hum")
BRIEF = ("closure.recall", "closure.precision", "closure.f1", "rounding.contrast", "r2", "correlation.mouth", "jitter")


def tables(report: Report) -> tuple[Table, ...]:
    """Everything that was measured; what was not is left out where nobody has it."""
    near = NEAR if "correlation.mouth" in report.measured() else WHOLE
    headlines = (
        ("Closed lips on /p b m/", CLOSED, f"Against {report.truth}."),
        ("Rounded lips on /u o w/", ROUNDED, ""),
        ("Against the teacher", near, ""),
        ("Motion in silence", SILENT, "Relative to the teacher's in speech."),
    )
    found = [_headline(report, *headline) for headline in headlines]
    found += [_controls(report), _noise(report), *_groups(report)]
    return tuple(table for table in found if table.rows)


def heads(names: tuple[str, ...]) -> tuple[str, ...]:
    """What stands above figures, their unit with it."""
    return tuple(_head(name) for name in names)


def _head(name: str) -> str:
    meaning = FIGURES[name]
    title = meaning.title if name in (*CLOSED, *SILENT, *ROUNDED) or "." not in name else meaning.title.replace(",", "")
    return f"{title} ({meaning.unit})" if meaning.unit else title


def _headline(report: Report, title: str, names: tuple[str, ...], note: str) -> Table:
    there = report.measured()
    shown = tuple(name for name in names if name in there)
    rows = tuple(
        ((row.subject,), tuple((name, row.figure(name)) for name in shown))
        for row in report.clean
        if any(row.figure(name).value is not None for name in shown)
    )
    return Table(title, ("", *heads(shown)), rows, note)


def _controls(report: Report) -> Table:
    """Groups of controls that the teacher moves."""
    metrics = ("correlation", "error", "velocity")
    rows = tuple(
        ((row.subject, group), tuple((f"{metric}.{group}", row.figure(f"{metric}.{group}")) for metric in metrics))
        for row in report.clean
        if row.kind == STUDENT
        for group in GROUPS
        if row.figure(f"correlation.{group}").value is not None
    )
    return Table("By controls", ("", "controls", "correlation", "error", "velocity error"), rows)


def _noise(report: Report) -> Table:
    if all(row.noise is None for row in report.rows):
        return Table("In noise", (), ())
    names = _measured(report, BRIEF)
    rows = tuple(
        ((row.subject, level(row.noise)), tuple((name, row.figure(name)) for name in names))
        for row in report.rows
        if row.kind == STUDENT
    )
    note = "Pink noise, so far below the speech; against the teacher who heard none."
    return Table("In noise", ("", "noise", *_shorter(names)), rows, note)


def _groups(report: Report) -> Iterator[Table]:
    names = _measured(report, BRIEF)
    keys = dict.fromkeys(key for row in report.clean for key in row.groups)
    for key in keys:
        rows = tuple(
            (
                (value, row.subject, f"{group.utterances:,}"),
                tuple((name, group.figures.get(name, Figure(None))) for name in names),
            )
            for value, row, group in _by_value(report, key)
        )
        yield Table(f"By {key}", (key, "", "clips", *_shorter(names)), rows)


def _by_value(report: Report, key: str) -> Iterator[tuple[str, Row, Group]]:
    judged = [row for row in report.clean if row.kind != FLOOR and key in row.groups]
    for value in sorted({value for row in judged for value in row.groups[key]}):
        for row in judged:
            yield value, row, row.groups[key][value]


def level(noise: float | None) -> str:
    """A condition in words."""
    return "none" if noise is None else f"{noise:g} dB"


def _measured(report: Report, names: tuple[str, ...]) -> tuple[str, ...]:
    there = report.measured()
    return tuple(name for name in names if name in there)


_SHORT: Mapping[str, str] = {
    "closure.recall": "recall",
    "closure.precision": "precision",
    "closure.f1": "closure F1",
    "rounding.contrast": "rounding",
    "correlation.mouth": "correlation",
}


def _shorter(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_SHORT.get(name, FIGURES[name].title) for name in names)
