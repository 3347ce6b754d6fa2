"""A report on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table as Drawn
from rich.text import Text

from compile.audit.render.words import brief
from distill.evaluate.bootstrap import CONFIDENCE
from distill.evaluate.figures import FIGURES
from distill.evaluate.render.tables import Cell, Table, tables
from distill.evaluate.report import Report

MOST = 60  # rows of a table


def show(report: Report, console: Console) -> None:
    """Print it: what was judged, the tables, the gates."""
    console.print(summary(report), markup=False)
    for table in tables(report):
        console.print()
        console.print(_drawn(table))
        if table.note:
            console.print(table.note, style="dim", markup=False)
    console.print(f"\n±: half of the {CONFIDENCE:.0%} interval over utterances.", style="dim", markup=False)
    for verdict in report.verdicts:
        word, style = ("holds", "green") if verdict.holds else ("does not hold", "red")
        if verdict.holds is None:
            word = "not measured"
        line = f"{word}: {verdict.gate}: {brief(verdict.subject, 60)}: {verdict.detail}"
        console.print(line, style=style, markup=False)


def summary(report: Report) -> str:
    """What was judged on what, in a sentence."""
    return (
        f"{brief(report.speech, 96)}: {report.utterances:,} utterances, {report.seconds / 60:.1f} minutes; "
        f"teacher: {brief(report.teacher, 60)}; /p b m/ and /u o w/: {report.truth}"
    )


def _drawn(table: Table) -> Drawn:
    drawn = Drawn(title=table.title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    labels = len(table.rows[0][0])
    for number, column in enumerate(table.columns):
        drawn.add_column(Text(column), justify="left" if number < labels else "right", no_wrap=True)
    before = ""
    for (first, *others), figures in table.rows[:MOST]:
        named = ("" if first == before else first, *others)
        drawn.add_row(*(Text(brief(name, 40)) for name in named), *map(_cell, figures))
        before = first
    if len(table.rows) > MOST:
        drawn.caption = f"{len(table.rows) - MOST:,} rows more: see --json or --html"
    return drawn


def _cell(cell: Cell) -> Text:
    name, figure = cell
    if figure.value is None:
        return Text("-", style="dim")
    text = Text(figured(name, figure.value))
    if figure.low is not None and figure.high is not None:
        text.append(f" ±{figured(name, (figure.high - figure.low) / 2)}", style="dim")
    return text


def figured(name: str, value: float) -> str:
    """A figure without its unit, in as many digits as say something."""
    digits = 3 if name.startswith(("error", "silence")) else 2
    if FIGURES[name].unit == "ms":
        digits = 0 if abs(value) >= 10 else 1
    return f"{round(value, digits) + 0.0:.{digits}f}"  # adding 0 makes -0.0 a plain one
