"""What grew against the baseline, for people: the sizes, and what is behind them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from compile.audit.difference import top as largest
from compile.audit.render.table import DETAILED, heading, plain_table
from compile.audit.render.words import UNKNOWN, brief, rise
from compile.audit.report import Report, Row
from compile.audit.sizes import METRICS

_LABEL = 40  # columns


def growth(report: Report, console: Console, by: str = "layer", top: int = 10) -> None:
    """Print a table for each baseline, then for each artefact the largest changes ``by`` layer or the like."""
    olds = dict.fromkeys(row.difference.old for row in report.rows if row.difference)
    for old in olds:
        rows = [row for row in report.rows if row.difference and row.difference.old == old]
        console.print()
        _sizes(rows, old, console)
        for stale in dict.fromkeys(row.difference.stale for row in rows if row.difference and row.difference.stale):
            console.print(f"! {brief(stale, 1_000)}", style="yellow", markup=False, soft_wrap=True)
        for row in rows[:DETAILED]:
            _changes(row, by, top, console)


def change(old: int | None, new: int | None) -> str:
    """``+1,234``, with the share of the old below."""
    if old is None or new is None:
        return UNKNOWN
    if old == new:
        return "="
    return f"{new - old:+,}\n{rise(old, new)}" if old else f"{new - old:+,}"


def _sizes(rows: Sequence[Row], old: str, console: Console) -> None:
    found = [row.difference.metrics for row in rows if row.difference]
    shown = [name for name in METRICS if any(None not in metrics.get(name, (None,)) for metrics in found)]
    heading(f"growth in bytes, since {brief(old)}", console)
    table = plain_table()
    table.add_column("target", header_style="dim", no_wrap=True)
    for name in shown:
        table.add_column(name, justify="right", header_style="dim", no_wrap=True)
    for row, metrics in zip(rows, found, strict=True):
        table.add_row(Text(brief(row.label, 24)), *(Text(change(*metrics.get(name, (None, None)))) for name in shown))
    console.print(table)


def _changes(row: Row, by: str, top: int, console: Console) -> None:
    """The largest, and the rest as one."""
    found = row.difference.changes.get(by, ()) if row.difference else ()
    if not found:
        return
    console.print()
    heading(f"{brief(row.label, 60)}: what changed by {by}", console)
    table = plain_table()
    table.add_column(by, header_style="dim", no_wrap=True)
    for name in ("before", "after", "change"):
        table.add_column(name, justify="right", header_style="dim", no_wrap=True)
    for entry in largest(found, top):
        cells = (f"{entry.old:,}", f"{entry.new:,}", f"{entry.growth:+,}")
        table.add_row(Text(brief(entry.label, _LABEL)), *map(Text, cells))
    console.print(table)
