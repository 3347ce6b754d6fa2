"""Every speaker, language or kind of truth as a block of bars, one a subject."""

from __future__ import annotations

from collections.abc import Iterator

from compile.audit.render.page.charts import key
from compile.audit.render.page.markup import Markup, join, tag
from compile.audit.render.page.switch import switch
from compile.audit.render.words import UNKNOWN, brief
from compile.units import counted
from distill.evaluate.figures import shown
from distill.evaluate.render.page.palette import colours
from distill.evaluate.report import STUDENT, Report, Row

# What is drawn, the best of it as long as the lane.
FIGURES = {"closure F1": "closure.f1", "R²": "r2", "correlation": "correlation.mouth"}
MOST = 60  # blocks


def bars(report: Report) -> Markup:
    """A section for each of what ``--by`` asked for; nothing where it asked for nothing."""
    students = [row for row in report.clean if row.kind == STUDENT]
    keys = dict.fromkeys(name for row in students for name in row.groups)
    return join(_section(report, name, students) for name in keys)


def _section(report: Report, name: str, students: list[Row]) -> Markup:
    hues = colours(report)
    there = report.measured()
    views = {
        title: tag("div", *_blocks(name, figure, students, hues), class_="blocks")
        for title, figure in FIGURES.items()
        if figure in there
    }
    heading = tag("h2", f"By {name}, drawn")
    legend = key((hues[row.subject], row.subject) for row in students)
    return tag("section", heading, legend, switch(f"by-{name}", "Figure", views))


def _blocks(name: str, figure: str, students: list[Row], hues: dict[str, str]) -> Iterator[Markup]:
    """The worst first, by the first student."""

    def height(row: Row, value: str) -> float | None:
        group = row.groups[name].get(value)
        found = group.figures.get(figure) if group else None
        return found.value if found else None

    def rank(value: str) -> tuple[bool, float]:
        found = height(students[0], value)
        return found is None, found or 0.0

    for value in sorted(students[0].groups[name], key=lambda value: (*rank(value), value))[:MOST]:
        count = tag("small", counted(students[0].groups[name][value].utterances, "utterance"))
        lanes = (_bar(figure, height(row, value), hues[row.subject], row.subject) for row in students)
        yield tag("div", tag("h4", tag("span", brief(value, 40)), count), *lanes)


def _bar(figure: str, value: float | None, hue: str, subject: str) -> Markup:
    share = 0.0 if value is None else min(max(value, 0.0), 1.0)
    said = "not measured" if value is None else shown(figure, value)
    drawn = "" if value is None else tag("i", class_=hue, style=f"width:{100 * share:.1f}%")
    lane = tag("div", drawn, class_="lane")
    return tag(
        "div",
        lane,
        tag("span", UNKNOWN if value is None else said),
        class_="bar",
        title=f"{brief(subject, 60)}: {said}",
    )
