"""Reports read back from JSON, and tables for a terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from distill.evaluate.bootstrap import Figure
from distill.evaluate.render.terminal import figured
from distill.evaluate.report import Group, Report, Row, Verdict

NOTHING = "-"


@dataclass(frozen=True)
class Sheet:
    """A table of words.

    Attributes:
        title: above it.
        columns: heads; the first column is on the left.
        rows: cells.
        last: how many of the last rows sum up the others.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    last: int = 0


def shown(name: str, value: float | None) -> str:
    """A figure, or a dash where it was not measured."""
    return NOTHING if value is None else figured(name, value)


def show(sheets: Sequence[Sheet], console: Console) -> None:
    """Print tables."""
    for sheet in sheets:
        table = Table(title=sheet.title, title_justify="left", title_style="bold", box=None, pad_edge=False)
        for number, column in enumerate(sheet.columns):
            table.add_column(Text(column), justify="right" if number else "left", no_wrap=True)
        for number, row in enumerate(sheet.rows):
            if sheet.last and number == len(sheet.rows) - sheet.last:
                table.add_section()
            table.add_row(*map(Text, row), style="bold" if number >= len(sheet.rows) - sheet.last else "")
        console.print()
        console.print(table)


def markdown(sheets: Sequence[Sheet], remarks: Sequence[str] = ()) -> bytes:
    """Tables, and a list below them."""
    return "".join(f"{line}\n" for line in _lines(sheets, remarks)).encode()


def _lines(sheets: Sequence[Sheet], remarks: Sequence[str]) -> Iterator[str]:
    for sheet in sheets:
        yield f"### {sheet.title}\n"
        yield f"| {' | '.join(map(_cell, sheet.columns))} |"
        yield "|---" + "|---:" * (len(sheet.columns) - 1) + "|"
        for number, row in enumerate(sheet.rows):
            bold = "**" if number >= len(sheet.rows) - sheet.last else ""
            yield f"| {' | '.join(f'{bold}{_cell(cell)}{bold}' if cell else '' for cell in row)} |"
        yield ""
    yield from (f"- {_cell(remark)}" for remark in remarks)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def said(verdict: Verdict) -> str:
    """A gate and what became of it, in a line."""
    word = {True: "holds", False: "does not hold", None: "not measured"}[verdict.holds]
    return f"{word}: {verdict.gate}: {verdict.subject}: {verdict.detail}"


def as_report(facts: Mapping[str, Any]) -> Report:
    """The report of which ``distill.evaluate.render.as_json`` wrote ``facts``, but for its examples."""
    rows = tuple(
        Row(
            row["subject"],
            row["kind"],
            row["noise_db"],
            _figures(row["figures"]),
            {
                key: {
                    value: Group(group["utterances"], group["seconds"], _figures(group["figures"]))
                    for value, group in groups.items()
                }
                for key, groups in row["groups"].items()
            },
        )
        for row in facts["rows"]
    )
    heard = facts["phones"]
    gates = tuple(Verdict(one["gate"], one["subject"], one["holds"], one["detail"]) for one in facts["gates"])
    return Report(
        *(facts["speech"], facts["teacher"], facts["utterances"], facts["seconds"], heard["exact"], heard["heard"]),
        rows=rows,
        verdicts=gates,
    )


def _figures(facts: Mapping[str, Mapping[str, float] | None]) -> dict[str, Figure]:
    return {name: Figure(None) if one is None else Figure(**one) for name, one in facts.items()}
