"""What several parts of the page show alike: verdicts and sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from compile.audit.budget import Status
from compile.audit.render.page.markup import Markup, join, tag
from compile.audit.render.words import UNKNOWN, brief
from compile.audit.report import Row
from compile.audit.sizes import Sizes
from compile.units import short_size

MINUS = "\N{MINUS SIGN}"
SIGNS: Mapping[Status, str] = {Status.PASS: "✓", Status.WARN: "!", Status.FAIL: "✗", Status.UNKNOWN: "?"}
_WORDS = {
    Status.PASS: "Pass",
    Status.WARN: "Pass, with a warning",
    Status.FAIL: "Fail",
    Status.UNKNOWN: "Fail: unknown",
}


def verdict(rows: tuple[Row, ...]) -> Status | None:
    """The worst of all; None where nothing was asked and nothing is wrong."""
    if any(row.reasons for row in rows):
        return Status.FAIL
    found = [check.status for row in rows for check in row.checks]
    return next((status for status in (Status.FAIL, Status.UNKNOWN, Status.WARN, Status.PASS) if status in found), None)


def pill(status: Status | None) -> Markup:
    """The verdict as a sign and a word; never colour alone."""
    if status is None:
        return Markup("")
    return tag(
        "strong", tag("span", SIGNS[status], aria_hidden="true"), " ", _WORDS[status], class_=f"pill {status.value}"
    )


def sign(row: Row) -> Markup:
    """The verdict on one artefact as a sign, with the word for those who do not see it."""
    status = verdict((row,))
    if status is None:
        return Markup("")
    shown = tag("span", SIGNS[status], class_=f"sign {status.value}", aria_hidden="true")
    return join((shown, tag("span", f"{_WORDS[status]}:", class_="unseen"), " "))


def size(sizes: Sizes | None, metric: str) -> Iterator[Markup]:
    """A metric for people, and the exact one below it; ``≥`` before what is known to be too low."""
    found = sizes.at_least(metric) if sizes else None
    if sizes is None or found is None:
        yield tag("span", UNKNOWN, title="not known")
    else:
        yield from both(found, "≥ " if sizes.metric(metric) is None else "")


def both(size: int, prefix: str = "") -> Iterator[Markup]:
    """A size for people, and the exact one below it."""
    yield tag("b", f"{prefix}{short_size(size)}")
    yield tag("small", f"{size:,}")


def signed(size: int) -> str:
    """``+1,234``, ``−1,234``, ``0``."""
    return f"{size:+,}".replace("-", MINUS) if size else "0"


def direction(change: int) -> str:
    """The class of a change."""
    return "grew" if change > 0 else "shrank" if change < 0 else ""


def beside(row: Row) -> str:
    """What else tells it, beside its label: where it is, or what it is where the label says where."""
    return brief(row.target, 60) if row.alias else brief(row.path, 96)


def name_of(label: str) -> Markup:
    """What stands in a rectangle; where there is no room, of a path its end is left, of another name its beginning."""
    shown = brief(label, 60)
    return tag("span", tag("bdi", shown), class_="end") if "/" in label else tag("span", shown)
