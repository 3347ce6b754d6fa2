"""A report as one page that needs nothing else: no network, no fonts, no JavaScript; in light and in dark."""

from __future__ import annotations

from importlib.resources import files

from compile.audit.render.page.markup import Markup, glossary, page, tag
from compile.audit.render.words import brief
from distill.evaluate.bootstrap import CONFIDENCE
from distill.evaluate.figures import FIGURES
from distill.evaluate.render.page.bars import bars
from distill.evaluate.render.page.curves import curves
from distill.evaluate.render.page.noise import noise
from distill.evaluate.render.page.sheet import sheet
from distill.evaluate.render.tables import tables
from distill.evaluate.render.terminal import summary
from distill.evaluate.report import Report, Verdict

# The house's style, and what plots of speech need beside it.
_STYLES = (
    ("compile.audit.render.page", "page.css"),
    ("compile.audit.render.page", "charts.css"),
    ("distill.evaluate.render.page", "evaluation.css"),
)


def render(report: Report) -> bytes:
    """UTF-8; the same report, the same bytes. The page's policy admits no request and no script."""
    name = brief(report.speech, 96)
    kinds = {row.subject: row.kind for row in report.rows}
    body = tag(
        "body",
        _header(report, name),
        tag(
            "main",
            *(sheet(table, kinds) for table in tables(report)[:4]),
            *(curves(example, report) for example in report.examples),
            bars(report),
            noise(report),
            *(sheet(table, kinds) for table in tables(report)[4:]),
        ),
        _definitions(report),
    )
    styles = (files(place).joinpath(file).read_text("utf-8") for place, file in _STYLES)
    return page(f"{name}: phiz evaluate", styles, body)


def _header(report: Report, name: str) -> Markup:
    return tag(
        "header",
        tag("p", "phiz evaluate", class_="brand"),
        tag("h1", name),
        tag("p", _pill(report), " ", tag("span", summary(report)), class_="verdict"),
        _gates(report),
    )


def _pill(report: Report) -> Markup:
    if not report.verdicts:
        return Markup("")
    sign, word, status = ("✗", "Fail", "fail") if report.failures else ("✓", "Pass", "pass")
    return tag("strong", tag("span", sign, aria_hidden="true"), f" {word}", class_=f"pill {status}")


def _gates(report: Report) -> Markup:
    if not report.verdicts:
        return Markup("")
    items = (tag("li", _verdict(one), f" {brief(one.subject, 60)}: {one.detail}") for one in report.verdicts)
    return tag("section", tag("h2", "Gates", id="gates"), tag("ul", *items, class_="gates"), aria_labelledby="gates")


def _verdict(one: Verdict) -> Markup:
    sign, word, status = {
        True: ("✓", "holds", "pass"),
        False: ("✗", "does not hold", "fail"),
        None: ("?", "not measured", "unknown"),
    }[one.holds]
    return tag("b", f"{sign} {brief(one.gate, 120)} {word}:", class_=status)


def _definitions(report: Report) -> Markup:
    """Of the figures that the page has, one line for all groups of controls."""
    terms: dict[str, str] = {}
    for name in report.measured():
        family, _, member = name.partition(".")
        meaning = FIGURES[name]
        grouped = family in ("error", "correlation", "velocity")
        title = meaning.title.partition(",")[0] if grouped else f"{family} {member}".replace("r2", "R²").strip()
        terms.setdefault(title, f"{meaning.text}{f', in {meaning.unit}' if meaning.unit else ''}")
    terms["95 %"] = f"below a figure: where {CONFIDENCE:.0%} of resamples of the utterances have it"
    return glossary("What the figures mean", terms.items())
