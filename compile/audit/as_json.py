"""A report as JSON: the same report, the same bytes."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from compile.audit.report import Report, Row

FORMAT = 1


def render(report: Report) -> bytes:
    """UTF-8, sorted keys, sizes in bytes, null for what is unknown, one trailing newline."""
    data = {
        "format": FORMAT,
        "name": report.name,
        "caps": {"footprint": report.caps.footprint, "file": report.caps.file, "origin": report.caps.origin},
        "rows": [_row(row) for row in report.rows],
        "pass": report.exit_code == 0,
    }
    return (json.dumps(data, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n").encode(
        "utf-8", "replace"
    )


def _row(row: Row) -> dict[str, Any]:
    measured = None if row.footprint is None else {**asdict(row.footprint), "resident": row.footprint.resident}
    return {
        "target": row.target,
        "path": row.path,
        "footprint": measured,
        "ratio_to_minimum": None if row.ratio is None else round(row.ratio, 6),
        "parity": asdict(row.parity),
        "pass": not row.reasons,
        "reasons": list(row.reasons),
    }
