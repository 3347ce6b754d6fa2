"""Limits in the words of people: how near each is, and where it is set."""

from __future__ import annotations

from dataclasses import dataclass

from compile.audit.budget import Check
from compile.audit.render.words import brief, share, sizes
from compile.audit.report import Report
from compile.units import counted

ADVICE = "no limit is set; give one with --cap, for example --cap 3.4MB"


@dataclass(frozen=True)
class Nearest:
    """Of all artefacts that a limit covers, the one that is closest to it or furthest beyond.

    Attributes:
        name: of the limit, with its budget in front: ``mobile file``.
        target: of the artefact.
        check: what was found there.
    """

    name: str
    target: str
    check: Check

    @property
    def text(self) -> str:
        """``file: 876 kB of 1.00 MB, 87.6 % (tflite)``; in bytes where the two would look alike."""
        found, limit = self.check.measured, self.check.limit
        if found is None or limit is None:
            return f"{self.name}: not known ({brief(self.target, 60)})"
        if not limit:
            return f"{self.name}: {counted(found, 'byte')}, none may be ({brief(self.target, 60)})"
        measured, most = sizes(found, limit)
        part = f", {share(found, limit)}" if found > 0 else ""
        return f"{self.name}: {measured} of {most}{part} ({brief(self.target, 60)})"


def nearest(report: Report) -> tuple[Nearest, ...]:
    """One for each limit, in their order."""
    found: dict[tuple[str, str, str], Nearest] = {}
    for row in report.rows:
        for check in row.telling:
            budget = f"{brief(check.budget, 60)} " if check.budget else ""
            candidate = Nearest(f"{budget}{brief(check.subject, 60)}", row.label, check)
            key = (check.budget, check.subject, check.origin)
            if key not in found or _load(check) > _load(found[key].check):
                found[key] = candidate
    return tuple(found.values())


def origins(report: Report) -> str:
    """Where the limits are set, as one line; what to do where there is none."""
    said = dict.fromkeys(brief(budget.origin) for budget in report.budgets if not budget.empty)
    return f"limits set by {'; '.join(said)}" if said else ADVICE


def _load(check: Check) -> float:
    if check.measured is None or check.limit is None:
        return float("inf")
    return check.measured / max(check.limit, 1)
