"""A report for people: the table first, then what to do, then where the bytes are, at last where the limit is set."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from compile.audit.breakdown import breakdown
from compile.audit.render.growth import growth
from compile.audit.render.limits import nearest, origins
from compile.audit.render.remarks import Level, Remark, remarks
from compile.audit.render.table import DETAILED, heading, plain_table, size_table
from compile.audit.render.words import brief, share
from compile.audit.report import Report, Row
from compile.units import format_size, short_size
from targets.catalogue import TARGETS
from targets.stream import family

TOP = 10  # rows of a table of bytes
FINDINGS = 8
_LABEL = 36  # columns of a label
_COMMON_LABEL = 27  # columns of one of _COMMON
_BYTES = 11  # columns of a number of them, at least
_SHARE = 12  # columns of a share, and of the gaps around it
_COMMON = ("section", "dtype")  # artefacts of different formats have these labels in common
_SIGN = {Level.ERROR: ("✗", "red"), Level.WARNING: ("!", "yellow"), Level.NOTE: ("-", "")}


def show(report: Report, console: Console, by: str = "section", top: int = TOP) -> None:
    """Print ``report``; names in it cannot do anything to the terminal or the log.

    Args:
        report: to print.
        console: where; columns that do not fit its width are left out.
        by: what to add bytes up by, one of ``breakdown.BY``; empty for no such table.
        top: rows of it; the others are added up in one more.
    """
    size_table(report, console)
    said = remarks(report)
    _problems([remark for remark in said if remark.gate], list(_notes(report)), console)
    _memory(report, console)
    _findings([remark for remark in said if not remark.gate], console)
    growth(report, console, by or "layer", top)
    if by:
        _bytes(report, by, top, console)
    _limits(report, console)


def _problems(said: Sequence[Remark], notes: Sequence[str], console: Console) -> None:
    """What fails and what is close to it; whom to ask, once; what else there is to know."""
    if said or notes:
        console.print()
    for remark in said:
        sign, style = _SIGN[remark.level]
        _say(console, f"{sign} ", f"{brief(remark.row.label, 60)}: {remark.text}", style)
    for fix in dict.fromkeys(remark.fix for remark in said if remark.fix):
        _say(console, "→ ", fix)
    for note in notes:
        _say(console, "  ", note, "dim")


def _notes(report: Report) -> Iterator[str]:
    for row in report.rows:
        name = brief(row.label, 60)
        if row.parity.status.startswith("not run"):
            yield f"{name}: parity {brief(row.parity.status)}"
        elif row.parity.evaluated_with:
            titles = {target.name: target.title for target in TARGETS}
            own = titles.get(family(row.target), "its runtime")
            yield f"{name}: evaluated with {brief(row.parity.evaluated_with)}; {own} itself {brief(row.parity.runtime)}"
        for note in row.notes:
            yield f"{name}: {brief(note, 1_000)}"


def _memory(report: Report, console: Console) -> None:
    """What was measured, and what the runtime itself takes."""
    measured = [(row, row.measured) for row in report.rows if row.measured]
    if measured:
        console.print()
        heading("measured: growth of a fresh process", console)
        table = plain_table()
        table.add_column("target", header_style="dim", no_wrap=True)
        for name in ("after loading", "1st run", "100th run", "libraries", "spread"):
            table.add_column(name, justify="right", header_style="dim", no_wrap=True)
        table.add_column("median of", header_style="dim", no_wrap=True)
        for row, found in measured:
            sizes = (found.loaded, found.first, found.last, found.code, found.spread)
            of = f"{found.processes} in {brief(found.runtime, 30)}"
            table.add_row(Text(brief(row.label, 24)), *(Text(short_size(size)) for size in sizes), Text(of))
        console.print(table)
        for row, found in measured:
            if found.machine_code is not None:
                made = f"{format_size(found.machine_code)} of machine code, made by {brief(found.runtime, 60)}"
                _say(console, "  ", f"{brief(row.label, 60)}: {made}")
    if report.library:
        name = f", {brief(report.library.name)}" if report.library.name else ""
        _say(console, "  ", f"the runtime's library takes {format_size(report.library.size)} more{name}")


def _bytes(report: Report, by: str, top: int, console: Console) -> None:
    """Bytes and their share: artefacts side by side where labels are alike, else one after the other."""
    every = [row for row in report.rows if row.dissection and row.sizes]
    rows = every[:DETAILED]
    cell = max([_BYTES, *(cell_len(brief(row.label, 24)) for row in rows)]) + _SHARE
    together = max(1, (console.width - _COMMON_LABEL) // cell) if by in _COMMON else 1
    remaining = iter(rows)
    while group := list(islice(remaining, together)):
        console.print()
        heading(f"bytes by {by}" if together > 1 else f"{brief(group[0].label, 60)}: bytes by {by}", console)
        table = plain_table()
        table.show_header = together > 1
        table.add_column("", no_wrap=True)
        for row in group:
            table.add_column(Text(brief(row.label, 24)), justify="right", header_style="dim", no_wrap=True)
            table.add_column("", justify="right", style="dim", no_wrap=True)
        for label, cells in _shares(group, by, top):
            table.add_row(Text(label), *map(Text, cells))
        console.print(table)
    if len(every) > len(rows):
        console.print(f"\nand {len(every) - len(rows)} more: name one to see its bytes", style="dim")


def _shares(rows: Sequence[Row], by: str, top: int) -> Iterator[tuple[str, list[str]]]:
    """A label, and for each artefact its bytes and their share; the largest anywhere come first."""
    found = [{s.label: s.size for s in breakdown(row.dissection, by)} for row in rows if row.dissection]
    labels = sorted({label for sizes in found for label in sizes}, key=lambda label: (-_most(found, label), label))
    shown = labels if len(labels) <= top + 1 else labels[:top]
    for label in shown:
        yield brief(label, _LABEL), _cells([sizes.get(label, 0) for sizes in found], found)
    if rest := labels[len(shown) :]:
        sums = [sum(sizes.get(label, 0) for label in rest) for sizes in found]
        yield f"[{len(rest)} others]", _cells(sums, found)


def _most(found: Sequence[dict[str, int]], label: str) -> int:
    return max(sizes.get(label, 0) for sizes in found)


def _cells(sizes: Sequence[int], wholes: Sequence[dict[str, int]]) -> list[str]:
    pairs = zip(sizes, wholes, strict=True)
    return [cell for size, whole in pairs for cell in (f"{size:,}", share(size, sum(whole.values())) if size else "")]


def _findings(said: Sequence[Remark], console: Console) -> None:
    if not said:
        return
    console.print()
    heading("to be won", console)
    fixes: set[str] = set()
    for remark in said[:FINDINGS]:
        again = replace(remark, fix="as above") if remark.fix in fixes else remark
        fixes.add(remark.fix)
        _say(console, "- ", f"{brief(remark.row.label, 60)}: {again.sentence}")
    if len(said) > FINDINGS:
        console.print(f"  and {len(said) - FINDINGS} more: phiz audit --format json", style="dim")


def _limits(report: Report, console: Console) -> None:
    """How near each limit is; the last line says where they are set."""
    console.print()
    for limit in nearest(report):
        style = "red" if limit.check.failed else ""
        console.print(Text(limit.text, style=style), soft_wrap=True)
    console.print(origins(report), markup=False, soft_wrap=True)


def _say(console: Console, sign: str, text: str, style: str = "") -> None:
    """A sentence: on a terminal wrapped and indented, in a log one line, to be searched for."""
    if console.is_terminal:
        gap = " " * len(sign)
        text = textwrap.fill(
            f"{sign}{text}", console.width, subsequent_indent=gap, break_long_words=False, break_on_hyphens=False
        )
        console.print(text, style=style, markup=False, highlight=False)
    else:
        console.print(f"{sign}{text}", style=style, markup=False, highlight=False, soft_wrap=True)
