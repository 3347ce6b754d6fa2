"""A report as GitHub-flavoured Markdown: the summary of a job, or a comment on a change."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from html import escape

from compile.audit.breakdown import breakdown, top
from compile.audit.render.limits import nearest, origins
from compile.audit.render.remarks import Level, Remark, remarks
from compile.audit.render.words import UNKNOWN, brief, share
from compile.audit.report import Report, Row
from compile.units import counted, short_size

ROWS = 12  # of a table of layers
FINDINGS = 50
LISTED, DETAILED = 500, 20  # artefacts: GitHub refuses a summary of more than 1 MiB
_SIGN = {Level.ERROR: "❌", Level.WARNING: "⚠️", Level.NOTE: "💡"}
_MEANING = re.compile(r"([\\`*_{}\[\]<>~|&$!]|:(?=//)|(?<=www)\.)|([@#])")


def render(report: Report) -> bytes:
    """UTF-8; the verdict, the sizes, what fails, what grew, and the rest folded away."""
    said = remarks(report)
    rows = sorted(report.rows, key=lambda row: not row.failures) if len(report.rows) > DETAILED else report.rows
    blocks = [
        _verdict(report),
        *_table(rows),
        *_listed([remark for remark in said if remark.level != Level.NOTE]),
        *(block for row in rows[:DETAILED] for block in _growth(row)),
        *_findings([remark for remark in said if remark.level == Level.NOTE]),
        *(block for row in rows[:DETAILED] for block in _bytes(row)),
        *_limits(report),
    ]
    return ("\n\n".join(blocks) + "\n").encode()


def plain(text: str) -> str:
    """``text`` without meaning to Markdown, HTML, or GitHub, which would mention ``@people`` and link ``#1``."""

    def escaped(match: re.Match[str]) -> str:
        sign, reference = match.groups()
        return f"{reference}&#8203;" if reference else rf"\{sign}"

    return _MEANING.sub(escaped, text)


def _verdict(report: Report) -> str:
    name = plain(brief(report.name))
    failing = sum(bool(row.failures) for row in report.rows)
    if failing:
        verb = "fails" if failing == 1 else "fail"
        return f"## {_SIGN[Level.ERROR]} {name}: {failing} of {counted(len(report.rows), 'artefact')} {verb} the audit"
    held = "within its limits" if any(row.checks for row in report.rows) else "no limit is set"
    return f"## ✅ {name}: {held}"


def _table(rows: Sequence[Row]) -> Iterator[str]:
    """Columns that have something in any row."""
    columns: dict[str, Callable[[Row], str]] = {
        "file": lambda row: _size(row, "file"),
        "download": lambda row: _size(row, "download"),
        "brotli": lambda row: _size(row, "brotli"),
        "weights": lambda row: _size(row, "weights"),
        "activations": lambda row: _size(row, "activations"),
        "footprint": lambda row: _size(row, "footprint"),
        "measured": lambda row: _size(row, "measured"),
        "machine code": _machine_code,
        "SQNR": lambda row: UNKNOWN if row.parity.sqnr_db is None else f"{row.parity.sqnr_db:.1f} dB",
    }
    cells = {name: [cell(row) for row in rows[:LISTED]] for name, cell in columns.items()}
    shown = {name: column for name, column in cells.items() if set(column) - {UNKNOWN}}
    lines = [
        (_artefact(row), *(column[index] for column in shown.values()), _judged(row))
        for index, row in enumerate(rows[:LISTED])
    ]
    yield grid(("artefact", *shown, "verdict"), lines)
    if len(rows) > LISTED:
        yield f"and {counted(len(rows) - LISTED, 'more artefact')}"


def _judged(row: Row) -> str:
    if row.failures:
        return "❌ fail"
    return "⚠️ warn" if row.warned else "✅ pass"


def _artefact(row: Row) -> str:
    return f"**{plain(brief(row.target, 60))}**<br><sub>{plain(brief(row.path, 120))}</sub>"


def _size(row: Row, metric: str) -> str:
    size = row.sizes.at_least(metric) if row.sizes else None
    if row.sizes is None or size is None:
        return UNKNOWN
    return f"{'≥ ' if row.sizes.metric(metric) is None else ''}{short_size(size)}<br><sub>{size:,}</sub>"


def _machine_code(row: Row) -> str:
    size = row.measured.machine_code if row.measured else None
    return UNKNOWN if size is None else f"{short_size(size)}<br><sub>{size:,}</sub>"


def _listed(said: Sequence[Remark]) -> Iterator[str]:
    """One list."""
    lines = [
        f"- {_SIGN[remark.level]} **{plain(brief(remark.row.label, 60))}**: {plain(remark.sentence)}"
        for remark in said[:FINDINGS]
    ]
    rest = [f"- and {len(said) - FINDINGS} more"] if len(said) > FINDINGS else []
    if lines:
        yield "\n".join([*lines, *rest])


def _growth(row: Row) -> Iterator[str]:
    """Against the baseline: metrics, and the layers behind them."""
    found = row.difference
    if found is None:
        return
    target, old = plain(brief(row.label, 60)), plain(brief(found.old))
    metrics = [
        (name, f"{before:,}", f"{after:,}", f"{after - before:+,}" if after != before else "=")
        for name, (before, after) in found.metrics.items()
        if before is not None and after is not None
    ]
    stale = f"\n\n{_SIGN[Level.WARNING]} {plain(brief(found.stale, 1_000))}" if found.stale else ""
    yield f"### {target} against {old}{stale}"
    yield grid(("bytes", "before", "after", "change"), metrics)
    changes = [
        (plain(brief(change.label, 120)), f"{change.old:,}", f"{change.new:,}", f"{change.growth:+,}")
        for change in found.changes.get("layer", ())[:ROWS]
    ]
    if changes:
        yield _folded("What changed, by layer", grid(("layer", "before", "after", "change"), changes))


def _findings(notes: Sequence[Remark]) -> Iterator[str]:
    """Those that are too small to be warned of."""
    for block in _listed(notes):
        yield _folded(counted(len(notes), "smaller finding"), block)


def _bytes(row: Row) -> Iterator[str]:
    if row.dissection is None or row.sizes is None:
        return
    blocks = []
    for by in ("section", "layer"):
        shares = top(breakdown(row.dissection, by), ROWS)
        lines = [(plain(brief(s.label, 120)), f"{s.size:,}", share(s.size, row.sizes.file)) for s in shares]
        blocks.append(grid((by, "bytes", "share"), lines))
    yield _folded(f"Bytes of {escape(brief(row.label, 60))}", "\n\n".join(blocks))


def _limits(report: Report) -> Iterator[str]:
    lines = [f"- {plain(limit.text)}" for limit in nearest(report)]
    if lines:
        yield _folded("Limits, and what is nearest to each", "\n".join(lines))
    yield plain(origins(report))


def grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; all but the first column to the right."""
    rule = [":--", *["--:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))


def _folded(summary: str, body: str) -> str:
    """Markdown needs the empty lines; there is none in ``summary``."""
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"
