"""Which colour a subject has, the same in every plot of a page; its name always stands beside."""

from __future__ import annotations

from compile.audit.render.page.charts import HUES
from distill.evaluate.report import STUDENT, TEACHER, Report


def colours(report: Report) -> dict[str, str]:
    """Classes of charts.css by subject: the students in their order, and the teacher."""
    students = dict.fromkeys(row.subject for row in report.clean if row.kind == STUDENT)
    found = {name: f"s{number % HUES}" for number, name in enumerate(students)}
    return found | {row.subject: "st" for row in report.clean if row.kind == TEACHER}
