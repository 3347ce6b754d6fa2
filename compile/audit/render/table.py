"""The table of sizes: an artefact a row, and the columns that have something to say and fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from compile.audit.render.words import UNKNOWN, brief
from compile.audit.report import Report, Row
from compile.units import short_size

DETAILED = 12  # artefacts whose bytes are shown, of those in a report


def heading(text: str | Text, console: Console) -> None:
    """A line above a table; unlike a table's own title it is not broken where the table ends."""
    console.print(Text(text, style="bold") if isinstance(text, str) else text, soft_wrap=True)


def plain_table(gap: int = 2) -> Table:
    """Without lines: columns are told apart by space alone."""
    return Table(box=None, padding=(0, gap, 0, 0), show_edge=False)


def size_table(report: Report, console: Console) -> None:
    """Print the sizes of every row; what no row has is left out, and what is least needed where there is no room."""
    heading(_title(report), console)
    cells = {column: [column.cell(row) for row in report.rows] for column in _COLUMNS}
    columns = [column for column in cells if column.always or any(cell.plain != UNKNOWN for cell in cells[column])]
    widths = {column: max(map(_width, (Text(column.heading), *cells[column]))) for column in columns}
    spare = sorted((column for column in columns if column.rank), key=lambda column: column.rank)
    gap = 2 if sum(widths.values()) + 2 * len(columns) <= console.width else 1
    while spare and sum(widths[column] + gap for column in columns) > console.width:
        columns.remove(spare.pop(0))
    table = plain_table(gap)
    for column in columns:
        table.add_column(column.heading, justify=column.justify, no_wrap=True, header_style="dim")
    for entries in zip(*(cells[column] for column in columns), strict=True):
        table.add_row(*entries)
    console.print(table)


def _width(text: Text) -> int:
    return max(map(cell_len, text.plain.split("\n")))


@dataclass(frozen=True)
class _Column:
    """``rank``: the columns with the lowest give way first; 0: never. ``always``: even where no row has anything."""

    heading: str
    cell: Callable[[Row], Text]
    justify: Literal["left", "right"] = "right"
    rank: int = 0
    always: bool = False


def _title(report: Report) -> Text:
    """What was audited, and the verdict in words."""
    failing = sum(bool(row.failures) for row in report.rows)
    name = Text(brief(report.name, 60), style="bold")
    if failing:
        verb = "fails" if failing == 1 else "fail"
        whose = f"{failing} of {len(report.rows)} artefacts {verb}" if len(report.rows) > 1 else "it fails"
        return name + Text(f": {whose}", style="bold red")
    return name


def _size(metric: str, beside: str = "") -> Callable[[Row], Text]:
    """For people above, exact below, and below that what it is to be compared with."""

    def cell(row: Row) -> Text:
        size = row.sizes.at_least(metric) if row.sizes else None
        if row.sizes is None or size is None:
            return Text(UNKNOWN)
        least = "≥ " if row.sizes.metric(metric) is None else ""
        text = Text(f"{least}{short_size(size)}") + Text(f"\n{size:,}", style="dim")
        other = getattr(row.sizes, beside) if beside else None
        return text if other is None else text + Text(f"\n/ {other:,}", style="dim")

    return cell


def _number(value: float | None, form: str) -> Text:
    return Text(UNKNOWN if value is None else form.format(value))


def _verdict(row: Row) -> Text:
    if row.failures:
        return Text("fail", style="bold red")
    return Text("warn", style="yellow") if row.warned else Text("pass", style="green")


_COLUMNS = (
    _Column("target", lambda row: Text(brief(row.label, 24)), "left", always=True),
    _Column("file", _size("file"), always=True),
    _Column("/ least", lambda row: _number(row.ratio, "{:.3f}"), rank=1),
    _Column("download\n/ brotli", _size("download", "brotli"), rank=3),
    _Column("weights", _size("weights"), always=True),
    _Column("activations\n/ bound", _size("activations", "bound"), always=True),
    _Column("footprint", _size("footprint"), always=True),
    _Column("SQNR", lambda row: _number(row.parity.sqnr_db, "{:.1f} dB"), rank=4),
    _Column("steps", lambda row: _number(row.parity.steps, "{:.2f}"), rank=2),
    _Column("verdict", _verdict, "left", always=True),
)
