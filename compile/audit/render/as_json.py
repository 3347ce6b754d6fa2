"""A report as JSON: the same report, the same bytes."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from compile.audit.report import Report, Row

FORMAT = 2


def render(report: Report) -> bytes:
    """UTF-8, sorted keys, sizes in bytes, null for what is unknown, one trailing newline."""
    data = {
        "format": FORMAT,
        "name": report.name,
        "budgets": [asdict(budget) for budget in report.budgets],
        "rows": [_row(row) for row in report.rows],
        "pass": report.exit_code == 0,
    }
    return (json.dumps(data, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n").encode(
        "utf-8", "replace"
    )


def _row(row: Row) -> dict[str, Any]:
    sizes = None if row.sizes is None else {**asdict(row.sizes), "footprint": row.sizes.footprint}
    return {
        "target": row.target,
        "path": row.path,
        "sizes": sizes,
        "ratio_to_minimum": None if row.ratio is None else round(row.ratio, 6),
        "parity": asdict(row.parity),
        "pass": not row.failures,
        "failures": list(row.failures),
    }
