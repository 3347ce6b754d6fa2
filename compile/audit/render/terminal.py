"""A report for people: the table first, then what fails, then where the limit is set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from compile.audit.report import Report, Row
from compile.audit.sizes import Sizes
from compile.units import format_size, short_size
from targets.catalogue import TARGETS

WIDE = 100  # columns that the whole table fits
_UNKNOWN = "–"  # noqa: RUF001  (the sign for "not known" is an en dash)


def show(report: Report, console: Console) -> None:
    """Print ``report``; on less than 100 columns without the share of the least size and the download."""
    console.print(_table(report, console.width >= WIDE))
    for failure in report.failures:
        console.print(f"✗ {failure}", style="red", markup=False, soft_wrap=True)
    for row in report.rows:
        if row.parity.status.startswith("not run"):
            console.print(f"  {row.target}: parity {row.parity.status}", markup=False, soft_wrap=True)
        elif row.parity.evaluated_with:
            titles = {target.name: target.title for target in TARGETS}
            own = titles.get(row.target.partition(":")[0], "its runtime")
            evaluated = f"evaluated with {row.parity.evaluated_with}; {own} itself {row.parity.runtime}"
            console.print(f"  {row.target}: {evaluated}", markup=False, soft_wrap=True)
    console.print(_limit(report), markup=False, soft_wrap=True)


def _table(report: Report, wide: bool) -> Table:
    gap = 2 if wide else 1
    table = Table(title=Text(report.name), title_justify="left", box=None, padding=(0, gap, 0, 0), show_edge=False)
    columns = [column for column in _COLUMNS if wide or not column.extra]
    for column in columns:
        table.add_column(column.heading, justify=column.justify, no_wrap=column.heading == "target")
    for row in report.rows:
        table.add_row(*(column.cell(row) for column in columns))
    return table


@dataclass(frozen=True)
class _Column:
    """``extra`` columns are left out where there is no room."""

    heading: str
    cell: Callable[[Row], Text]
    justify: Literal["left", "right"] = "right"
    extra: bool = False


def _size(size: int, prefix: str = "") -> Text:
    """For people above, exact below."""
    return Text(f"{prefix}{short_size(size)}\n{size:,}")


def _number(value: float | None, form: str) -> Text:
    return Text(_UNKNOWN if value is None else form.format(value))


def _measured(size: Callable[[Sizes], int]) -> Callable[[Row], Text]:
    return lambda row: Text(_UNKNOWN) if row.sizes is None else _size(size(row.sizes))


def _activations(row: Row) -> Text:
    if row.sizes is None:
        return Text(_UNKNOWN)
    return _size(row.sizes.activations, _at_least(row.sizes)) + Text(f"\n/ {row.sizes.bound:,}")


def _footprint(row: Row) -> Text:
    return Text(_UNKNOWN) if row.sizes is None else _size(row.sizes.footprint, _at_least(row.sizes))


def _at_least(sizes: Sizes) -> str:
    return "≥ " if sizes.unknown else ""


def _verdict(row: Row) -> Text:
    return Text("fail", style="bold red") if row.failures else Text("pass", style="green")


_COLUMNS = (
    _Column("target", lambda row: Text(row.target), "left"),
    _Column("file", _measured(lambda size: size.file)),
    _Column("/ least", lambda row: _number(row.ratio, "{:.3f}"), extra=True),
    _Column("download", _measured(lambda size: size.download), extra=True),
    _Column("weights", _measured(lambda size: size.weights)),
    _Column("activations\n/ bound", _activations),
    _Column("footprint", _footprint),
    _Column("SQNR", lambda row: _number(row.parity.sqnr_db, "{:.1f} dB")),
    _Column("steps", lambda row: _number(row.parity.steps, "{:.2f}")),
    _Column("verdict", _verdict, "left"),
)


def _limit(report: Report) -> str:
    said = [
        f"limits: {', '.join(f'{limit.name} {format_size(limit.most.bytes or 0)}' for limit in budget.limits)}; "
        f"set by {budget.origin}"
        for budget in report.budgets
        if budget.limits
    ]
    return "\n".join(said) or "no limit is set; give one with --cap, for example --cap 3.4MB"
