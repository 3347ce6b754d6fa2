"""What there is to say of a report, in the order of its weight: the same words in every format for people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from compile.audit.budget import Check, Status
from compile.audit.findings.finding import Finding
from compile.audit.render.words import brief
from compile.audit.report import Report, Row
from compile.units import format_size

LARGE = 0.01  # of the file: a finding that is worth a warning
_LONG = 1_000  # characters of a sentence


class Level(str, Enum):
    """How much it matters."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Remark:
    """One thing to say of one artefact.

    Attributes:
        level: an error fails the audit.
        rule: a stable name in kebab-case: ``artefact``, ``budget-file``, or that of a finding.
        row: of the artefact.
        title: what it is about, in a few words.
        text: what is the matter; harmless, one sentence without a full stop.
        fix: what to do, or whom to ask; may be empty.
        origin: where the limit is set; empty where there is none.
        saves: bytes to be won.
        key: what makes it the same remark when its figures change.
    """

    level: Level
    rule: str
    row: Row
    title: str
    text: str
    fix: str = ""
    origin: str = ""
    saves: int = 0
    key: str = ""

    @property
    def gate(self) -> bool:
        """It is about a limit, or about the artefact as such; else a finding."""
        return self.rule == "artefact" or self.rule.startswith("budget-")

    @property
    def sentence(self) -> str:
        """``what — 1.20 kB (1,204 bytes) to be won: how``; for a limit, with whom to ask and where it is set."""
        won = f" — {format_size(self.saves)} to be won" if self.saves else ""
        asked = f": {self.fix}" if won and self.fix else f"; {self.fix}" if self.fix else ""
        return f"{self.text}{won}{asked}{f'; limit set by {self.origin}' if self.origin else ''}"


def remarks(report: Report) -> tuple[Remark, ...]:
    """Everything to be said, errors first, else in the order of the artefacts."""
    order = list(Level)
    every = (remark for row in report.rows for remark in of_row(row))
    return tuple(sorted(every, key=lambda remark: order.index(remark.level)))


def of_row(row: Row) -> Iterator[Remark]:
    """What is to be said of one artefact."""
    for reason in row.reasons:
        yield Remark(Level.ERROR, "artefact", row, "not what it should be", brief(reason, _LONG), key=reason)
    for check in row.telling:
        if check.status != Status.PASS:
            yield _of_check(row, check)
    for finding in row.findings:
        yield _of_finding(row, finding)


def rule_of(check: Check) -> str:
    """``budget-growth-of-file``."""
    return f"budget-{'-'.join(check.subject.split())}"


def _of_check(row: Row, check: Check) -> Remark:
    level = Level.ERROR if check.failed else Level.WARNING
    title = {Status.FAIL: "over budget", Status.UNKNOWN: "not known", Status.WARN: "close to its limit"}
    return Remark(
        level,
        rule_of(check),
        row,
        f"{brief(check.subject, 60)} {title[check.status]}",
        brief(check.detail, _LONG),
        brief(check.message, _LONG),
        brief(check.origin, _LONG),
        key=check.budget,
    )


def _of_finding(row: Row, finding: Finding) -> Remark:
    large = row.sizes is not None and finding.saves >= LARGE * max(row.sizes.file, 1)
    return Remark(
        Level.WARNING if large else Level.NOTE,
        finding.rule,
        row,
        finding.rule.replace("-", " "),
        brief(finding.what, _LONG),
        brief(finding.fix, _LONG),
        saves=finding.saves,
        key="\n".join(finding.layers),
    )


def place(row: Row) -> str:
    """The artefact's path as the user would name it, with ``/``."""
    folder = row.folder.replace("\\", "/").rstrip("/") if row.folder not in ("", ".") else ""
    return brief(f"{folder}/{row.path}" if folder else row.path, 1_000)
