"""The top of the page: the verdict, every artefact in one table, and every limit as a bar."""

from __future__ import annotations

from compile.audit.budget import Status
from compile.audit.render.page.bars import bars
from compile.audit.render.page.figures import beside, direction, pill, sign, signed, size, verdict
from compile.audit.render.page.markup import Markup, tag
from compile.audit.render.words import brief
from compile.audit.report import Report, Row
from compile.units import counted, format_size


def overview(report: Report, brand: str) -> Markup:
    """What everybody wants to know first; ``brand`` is the command that tells it."""
    status = verdict(report.rows)
    return tag(
        "header",
        tag("p", brand, class_="brand"),
        tag("h1", brief(report.name, 96)),
        tag("p", pill(status), " ", tag("span", _sentence(report)), class_="verdict"),
        _sizes(report),
        _library(report),
        _budget(report),
    )


def _sizes(report: Report) -> Markup:
    """All side by side; one alone has its sizes below."""
    if len(report.rows) == 1:
        return Markup("")
    return tag("section", tag("h2", "Sizes", id="sizes"), _table(report), aria_labelledby="sizes")


def _budget(report: Report) -> Markup:
    """Nothing where files are compared and not judged."""
    if (
        not report.budgets
        and any(row.difference for row in report.rows)
        and not any(row.failures for row in report.rows)
    ):
        return Markup("")
    return tag("section", tag("h2", "Budget", id="budget"), bars(report), aria_labelledby="budget")


def _sentence(report: Report) -> str:
    checks = [check for row in report.rows for check in row.checks]
    failed = sum(check.failed for check in checks)
    warned = sum(check.status is Status.WARN for check in checks)
    others = sum(len(row.reasons) for row in report.rows)
    said = [counted(len(report.rows), "artefact")]
    olds = dict.fromkeys(brief(row.difference.old, 96) for row in report.rows if row.difference)
    said += [f"compared with {old}" for old in olds]
    if not checks:
        said += [] if olds else ["no limit is set"]
    elif failed:
        said.append(f"{failed:,} of {counted(len(checks), 'limit')} {'does' if failed == 1 else 'do'} not hold")
    else:
        said.append(f"{'the limit holds' if len(checks) == 1 else f'all {len(checks):,} limits hold'}")
    if warned:
        said.append(f"{warned:,} nearly reached")
    if others:
        said.append(counted(others, "other reason") + " to fail")
    return ", ".join(said)


_COLUMNS = ("file", "download", "weights", "activations", "footprint")


def _table(report: Report) -> Markup:
    heads = (tag("th", name.capitalize(), scope="col") for name in _COLUMNS)
    rows = (
        tag(
            "tr",
            tag("th", sign(row), _name(row, number), tag("small", beside(row)), scope="row"),
            *(tag("td", *size(row.sizes, name), _change(row, name), data_name=name.capitalize()) for name in _COLUMNS),
        )
        for number, row in enumerate(report.rows, 1)
    )
    head = tag("thead", tag("tr", tag("th", "Artefact", scope="col"), *heads))
    return tag("table", head, tag("tbody", *rows), class_="sizes")


def _name(row: Row, number: int) -> Markup:
    return tag("a", brief(row.label, 40), href=f"#a{number}")


def _change(row: Row, metric: str) -> Markup:
    old, new = row.difference.metrics.get(metric, (None, None)) if row.difference else (None, None)
    if old is None or new is None:
        return Markup("")
    return tag("small", signed(new - old), class_=direction(new - old), title=f"{old:,} before")


def _library(report: Report) -> Markup:
    if report.library is None:
        return Markup("")
    name = f" ({brief(report.library.name, 60)})" if report.library.name else ""
    what = f"The runtime's library{name} takes {format_size(report.library.size)} more, once for all models."
    return tag("p", what, class_="note library")
