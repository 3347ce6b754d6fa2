"""A report for people: the table first, then what fails, then where the limit is set."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from compile.audit.report import Caps, Report, Row
from compile.units import format_size, short_size

_UNKNOWN = "–"  # noqa: RUF001  (the sign for "not known" is an en dash)


def show(report: Report, console: Console) -> None:
    """Print ``report``; fits 100 columns."""
    console.print(_table(report))
    for failure in report.failures:
        console.print(f"✗ {failure}", style="red", markup=False, soft_wrap=True)
    for row in report.rows:
        if row.parity.status.startswith("not run"):
            console.print(f"  {row.target}: parity {row.parity.status}", markup=False, soft_wrap=True)
    console.print(_limit(report.caps), markup=False, soft_wrap=True)


def _table(report: Report) -> Table:
    table = Table(title=Text(report.name), title_justify="left", box=None, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("target")
    for heading in ("file", "/ least", "download", "weights", "activations\n/ bound", "footprint", "SQNR", "steps"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    for row in report.rows:
        table.add_row(*_cells(row))
    return table


def _cells(row: Row) -> list[Text]:
    verdict = Text("fail", style="bold red") if row.reasons else Text("pass", style="green")
    parity = [_number(row.parity.sqnr_db, "{:.1f} dB"), _number(row.parity.steps, "{:g}")]
    ratio = _number(row.ratio, "{:.3f}")
    size = row.footprint
    if size is None:
        return [Text(row.target), *[Text(_UNKNOWN)] * 6, *parity, verdict]
    more = "≥ " if size.unknown else ""
    return [
        Text(row.target),
        _size(size.file),
        ratio,
        _size(size.download),
        _size(size.weights),
        Text(f"{more}{short_size(size.activations)}\n{size.activations:,}\n/ {size.bound:,}"),
        _size(size.resident, more),
        *parity,
        verdict,
    ]


def _size(size: int, prefix: str = "") -> Text:
    """For people above, exact below."""
    return Text(f"{prefix}{short_size(size)}\n{size:,}")


def _number(value: float | None, form: str) -> Text:
    return Text(_UNKNOWN if value is None else form.format(value))


def _limit(caps: Caps) -> str:
    limits = [
        f"{what} {format_size(cap)}"
        for what, cap in (("footprint", caps.footprint), ("file", caps.file))
        if cap is not None
    ]
    if not limits:
        return "no limit is set; give one with --cap, for example --cap 3.4MB"
    return f"limits: {', '.join(limits)}; set by {caps.origin}"
