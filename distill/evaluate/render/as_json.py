"""A report as JSON, by the schema ``docs/evaluation.schema.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from distill.evaluate.bootstrap import Figure
from distill.evaluate.figures import FIGURES
from distill.evaluate.report import Group, Report, Row

FORMAT = 1


def render(report: Report) -> bytes:
    """UTF-8, sorted keys; the same report, the same bytes. Examples are for the page and not in it."""
    facts = {
        "format": FORMAT,
        "pass": not report.failures,
        "speech": report.speech,
        "teacher": report.teacher,
        "utterances": report.utterances,
        "seconds": round(report.seconds, 3),
        "phones": {"exact": report.exact, "heard": report.heard},
        "rows": [_row(row) for row in report.rows],
        "gates": [
            {"gate": one.gate, "subject": one.subject, "holds": one.holds, "detail": one.detail}
            for one in report.verdicts
        ],
    }
    return (json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _row(row: Row) -> dict[str, Any]:
    return {
        "subject": row.subject,
        "kind": row.kind,
        "noise_db": row.noise,
        "figures": _figures(row.figures),
        "groups": {
            key: {value: _group(group) for value, group in groups.items()} for key, groups in row.groups.items()
        },
    }


def _group(group: Group) -> dict[str, Any]:
    return {
        "utterances": group.utterances,
        "seconds": round(group.seconds, 3),
        "figures": _figures(group.figures),
    }


def _figures(figures: Mapping[str, Figure]) -> dict[str, Any]:
    """Null where a figure was not measured; the interval where there is one."""
    return {name: _figure(figures.get(name, Figure(None))) for name in FIGURES if name in figures}


def _figure(figure: Figure) -> dict[str, float] | None:
    if figure.value is None:
        return None
    found = {"value": _rounded(figure.value)}
    if figure.low is not None and figure.high is not None:
        found |= {"low": _rounded(figure.low), "high": _rounded(figure.high)}
    return found


def _rounded(value: float) -> float:
    """Six digits after the point: more would be of the machine, not of the speech."""
    return round(value, 6) + 0.0
