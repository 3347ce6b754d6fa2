"""Which colour a subject has, the same in every plot of a page; its name always stands beside."""

from __future__ import annotations

from collections.abc import Iterable

from compile.audit.render.page.markup import Markup, tag
from compile.audit.render.words import brief
from distill.evaluate.report import STUDENT, TEACHER, Report

HUES = 6


def colours(report: Report) -> dict[str, str]:
    """Classes of evaluation.css by subject: the students in their order, and the teacher."""
    students = dict.fromkeys(row.subject for row in report.clean if row.kind == STUDENT)
    found = {name: f"s{number % HUES}" for number, name in enumerate(students)}
    return found | {row.subject: "st" for row in report.clean if row.kind == TEACHER}


def key(entries: Iterable[tuple[str, str]], *others: Markup) -> Markup:
    """What each colour means: (class, name)."""
    lines = (
        tag("li", tag("i", class_=f"{hue} dashed" if hue == "st" else hue), brief(name, 60)) for hue, name in entries
    )
    return tag("ul", *lines, *(tag("li", other) for other in others), class_="key")
