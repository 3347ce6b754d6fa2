"""What noise does: figures over its level, a line a subject."""

from __future__ import annotations

from collections.abc import Mapping

from compile.audit.render.page.charts import key
from compile.audit.render.page.markup import Markup, join, tag
from compile.audit.render.words import brief
from distill.evaluate.figures import shown
from distill.evaluate.render.page.palette import colours
from distill.evaluate.render.tables import level
from distill.evaluate.report import STUDENT, Report

FIGURES = {"closure F1": "closure.f1", "R²": "r2", "correlation": "correlation.mouth"}
_WIDE = 1000.0


def noise(report: Report) -> Markup:
    """Plots, from no noise on the left to the loudest on the right; nothing where there is none."""
    levels = sorted({row.noise for row in report.rows if row.noise is not None}, reverse=True)
    if not levels:
        return Markup("")
    conditions = (None, *levels)
    hues = {name: hue for name, hue in colours(report).items() if hue != "st"}
    there = report.measured()
    plots = (_plot(report, title, name, conditions, hues) for title, name in FIGURES.items() if name in there)
    heading = tag("h2", "In noise, drawn", id="noise")
    legend = key((hue, name) for name, hue in hues.items())
    return tag("section", heading, legend, tag("div", *plots, class_="noise"), aria_labelledby="noise")


def _plot(
    report: Report, title: str, name: str, conditions: tuple[float | None, ...], hues: Mapping[str, str]
) -> Markup:
    lines = join(
        tag("path", tag("title", brief(subject, 60)), d=_line(report, subject, name, conditions), class_=hue)
        for subject, hue in hues.items()
    )
    label = f"{title} over noise: " + "; ".join(
        f"{subject} " + ", ".join(_said(report, subject, name, noise) for noise in conditions) for subject in hues
    )
    picture = tag(
        "svg", lines, viewBox=f"0 0 {_WIDE:.0f} {_WIDE:.0f}", preserveAspectRatio="none", role="img", aria_label=label
    )
    scale = (tag("span", f"{mark:g}", class_="scale", style=f"bottom:{100 * mark:.0f}%") for mark in (0.0, 0.5, 1.0))
    under = (
        tag("span", level(noise), style=f"left:{100 * place / (len(conditions) - 1):.1f}%")
        for place, noise in enumerate(conditions)
    )
    return tag(
        "div",
        tag("h3", title),
        tag("div", picture, *scale, class_="box"),
        tag("div", *under, class_="under", aria_hidden="true"),
    )


def _line(report: Report, subject: str, name: str, conditions: tuple[float | None, ...]) -> str:
    points = []
    for place, noise in enumerate(conditions):
        row = next(row for row in report.rows if (row.subject, row.noise, row.kind) == (subject, noise, STUDENT))
        value = row.figure(name).value
        if value is not None:
            height = _WIDE * (1 - min(max(value, 0.0), 1.0))
            points.append(f"{_WIDE * place / (len(conditions) - 1):.0f} {height:.0f}")
    return "M" + "L".join(points) if points else ""


def _said(report: Report, subject: str, name: str, noise: float | None) -> str:
    row = report.row(subject, noise)
    return f"{level(noise)} {shown(name, row.figure(name).value if row else None)}"
