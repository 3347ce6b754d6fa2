"""A report as JSON: the same report, the same bytes. ``docs/audit.schema.json`` describes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from compile.audit.breakdown import BY, breakdown
from compile.audit.budget import Budget, Check
from compile.audit.difference import Difference
from compile.audit.render.words import harmless
from compile.audit.report import Report, Row
from compile.audit.sizes import METRICS, Sizes

FORMAT = 2  # of the schema; another number where a reader would have to change


def render(report: Report) -> bytes:
    """UTF-8, sorted keys, sizes in bytes, null for what is unknown, one trailing newline; no path of this machine."""
    data = {
        "format": FORMAT,
        "name": report.name,
        "pass": report.exit_code == 0,
        "library": None if report.library is None else asdict(report.library),
        "budgets": [_budget(budget) for budget in report.budgets],
        "rows": [_row(row) for row in report.rows],
    }
    text = json.dumps(_each(data, harmless), indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)
    return f"{text}\n".encode()


def _budget(budget: Budget) -> dict[str, Any]:
    return {**asdict(budget), "baseline": _named(budget.baseline), "origin": _named(budget.origin)}


def _row(row: Row) -> dict[str, Any]:
    return {
        "target": row.target,
        "path": row.path,
        "pass": not row.failures,
        "failures": [_here(row, failure) for failure in row.failures],
        "reasons": [_here(row, reason) for reason in row.reasons],
        "notes": [_here(row, note) for note in row.notes],
        "sizes": None if row.sizes is None else _sizes(row.sizes),
        "unknown": [] if row.sizes is None else row.sizes.unknown,
        "ratio_to_minimum": None if row.ratio is None else round(row.ratio, 6),
        "measured": None if row.measured is None else asdict(row.measured),
        "parity": asdict(row.parity),
        "checks": [_check(row, check) for check in row.checks],
        "findings": [asdict(finding) for finding in row.findings],
        "breakdown": {} if row.dissection is None else {by: _shares(row, by) for by in BY},
        "difference": None if row.difference is None else _difference(row.difference),
    }


def _check(row: Row, check: Check) -> dict[str, Any]:
    return {**asdict(check), "detail": _here(row, check.detail), "origin": _named(check.origin)}


def _sizes(sizes: Sizes) -> dict[str, Any]:
    """Every metric, the bound of the activations, and where a metric is unknown the part of it that is known."""
    metrics = {name: sizes.metric(name) for name in METRICS}
    known = {name: getattr(sizes, name) for name, value in metrics.items() if value is None}
    at_least = {name: value for name, value in known.items() if value is not None}
    return {**metrics, "bound": sizes.bound, "at_least": at_least}


def _shares(row: Row, by: str) -> list[dict[str, Any]]:
    assert row.dissection is not None
    return [{"label": share.label, "bytes": share.size} for share in breakdown(row.dissection, by)]


def _difference(found: Difference) -> dict[str, Any]:
    return {
        "old": _named(found.old),
        "new": _named(found.new),
        "stale": found.stale,
        "metrics": {name: {"old": old, "new": new} for name, (old, new) in found.metrics.items()},
        "changes": {by: [asdict(change) for change in changes] for by, changes in found.changes.items()},
    }


def _named(path: str) -> str:
    """The last part of what is an absolute path; the rest is of this machine."""
    for flavour in (PurePosixPath, PureWindowsPath):
        if flavour(path).is_absolute():
            return flavour(path).name
    return path


def _here(row: Row, text: str) -> str:
    """``text`` with paths that start at the folder that was audited, where that is an absolute one."""
    absolute = PurePosixPath(row.folder).is_absolute() or PureWindowsPath(row.folder).is_absolute()
    if not absolute or len(row.folder) < 2:
        return text
    return text.replace(f"{row.folder}/", "").replace(f"{row.folder}\\", "").replace(row.folder, ".")


def _each(value: Any, change: Callable[[str], str]) -> Any:
    """``value`` with every text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {change(name): _each(entry, change) for name, entry in value.items()}
    return [_each(entry, change) for entry in value] if isinstance(value, list | tuple) else value
