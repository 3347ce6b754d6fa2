"""What ``phiz diff`` prints: for each artefact its sizes before and after, then what grew, the total last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from compile.audit.difference import Difference, top
from compile.audit.render.markdown import grid, plain
from compile.audit.render.words import UNKNOWN, brief, rise
from compile.audit.report import Report, Row
from compile.units import counted

_LABEL = 60  # characters
_HEAD = ("old", "new", "change", "")
_NO_BYTES = "where its bytes are is not known of one of them"
_NO_CHANGE = "no label has gained or lost a byte"

Line = tuple[str, ...]  # a label, bytes before and after, the change, its share


def text(report: Report, by: Sequence[str], most: int) -> str:
    """Plain text for a terminal or a log.

    Args:
        report: whose rows have differences.
        by: of ``breakdown.BY``, what to add up bytes by.
        most: labels of each; the others are added up in one more.
    """
    blocks = []
    for row, found in _compared(report):
        stale = f"\n! {brief(found.stale, 1_000)}" if found.stale else ""
        blocks.append(f"{_title(row, found)}{stale}\n")
        blocks += [_aligned((name, *_HEAD), lines) for name, lines in _tables(found, by, most)]
        blocks += [f"{line}\n" for line in _remarks(found)]
    blocks += [f"{line}\n" for line in _total(report)]
    return "\n".join(blocks)


def markdown(report: Report, by: Sequence[str], most: int) -> str:
    """The same as GitHub-flavoured Markdown."""
    blocks = []
    for row, found in _compared(report):
        blocks.append(f"### {plain(_title(row, found))}")
        blocks += [f"⚠️ {plain(brief(found.stale, 1_000))}"] if found.stale else []
        for name, lines in _tables(found, by, most):
            blocks.append(grid((name, *_HEAD), [(plain(line[0]), *line[1:]) for line in lines]))
        blocks += [plain(line) for line in _remarks(found)]
    blocks += [f"**{plain(line)}**" for line in _total(report)]
    return "\n\n".join(blocks) + "\n"


def _compared(report: Report) -> Iterator[tuple[Row, Difference]]:
    return ((row, row.difference) for row in report.rows if row.difference is not None)


def _title(row: Row, found: Difference) -> str:
    name = f"{brief(row.target, 60)}: {brief(row.path)}"
    if not found.new:
        return f"{name} is gone; {brief(found.old)} had it"
    old, new = found.metrics["file"]
    return f"{name} is new; {brief(found.old)} has none" if old == 0 and new else f"{name} against {brief(found.old)}"


def _tables(found: Difference, by: Sequence[str], most: int) -> Iterator[tuple[str, list[Line]]]:
    """By name: the metrics that are known of one at least, then what changed, with its total."""
    metrics = found.metrics.items()
    yield "", [_line(name, *sizes) for name, sizes in metrics if any(size is not None for size in sizes)]
    for name in by:
        if changes := found.changes.get(name, ()):
            lines = [_line(change.label, change.old, change.new) for change in top(changes, most)]
            yield f"by {name}", [*lines, _line("total", *found.metrics["file"])]


def _remarks(found: Difference) -> Iterator[str]:
    """Why there is nothing to be seen."""
    if not found.changes:
        yield _NO_BYTES
    elif not any(found.changes.values()):
        yield _NO_CHANGE


def _total(report: Report) -> Iterator[str]:
    """Of all artefacts, where there are several whose files are known."""
    files = [found.metrics["file"] for _, found in _compared(report)]
    old, new = (sum(size or 0 for size in sizes) for sizes in zip(*files, strict=True))
    if len(files) > 1 and not any(None in sizes for sizes in files):
        share = f", {_share(old, new)}" if new != old else ""
        yield f"all {len(files)} artefacts: {new - old:+,} bytes{share}; now {counted(new, 'byte')}"


def _line(label: str, old: int | None, new: int | None) -> Line:
    sizes = tuple(UNKNOWN if size is None else f"{size:,}" for size in (old, new))
    if old is None or new is None:
        return brief(label, _LABEL), *sizes, UNKNOWN, ""
    return brief(label, _LABEL), *sizes, f"{new - old:+,}" if new != old else "=", _share(old, new)


def _share(old: int, new: int) -> str:
    """``+0.5 %``, in as many digits as show a change; ``new`` and ``gone`` where there is no share."""
    if old == new:
        return ""
    if not old or not new:
        return "gone" if old else "new"
    return rise(old, new)


def _aligned(head: Sequence[str], lines: Sequence[Line]) -> str:
    """Columns of text, the first to the left."""
    rows = [tuple(head), *lines]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    table = ""
    for label, *cells in rows:
        numbers = (f"  {cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
        table += f"{label:<{widths[0]}}{''.join(numbers)}".rstrip() + "\n"
    return table
