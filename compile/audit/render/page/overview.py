"""The top of the page: the verdict, every artefact in one table, and every limit as a bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from compile.audit.budget import Status
from compile.audit.render.page.bars import SIGNS, bars
from compile.audit.render.page.markup import Markup, elide, join, tag
from compile.audit.report import Report, Row
from compile.audit.sizes import Sizes
from compile.units import counted, short_size

UNKNOWN = "–"  # noqa: RUF001  (the sign for "not known" is an en dash)


def overview(report: Report) -> Markup:
    """What everybody wants to know first."""
    status = verdict(report.rows)
    return tag(
        "header",
        tag("p", "phiz audit", class_="brand"),
        tag("h1", elide(report.name)),
        tag("p", pill(status), " ", tag("span", _sentence(report)), class_="verdict"),
        tag("section", tag("h2", "Sizes", id="sizes"), _table(report), aria_labelledby="sizes"),
        tag("section", tag("h2", "Budget", id="budget"), bars(report), aria_labelledby="budget"),
    )


def verdict(rows: tuple[Row, ...]) -> Status:
    """The worst of all."""
    if any(row.reasons for row in rows):
        return Status.FAIL
    found = [check.status for row in rows for check in row.checks]
    return next((status for status in (Status.FAIL, Status.UNKNOWN, Status.WARN) if status in found), Status.PASS)


_WORDS = {
    Status.PASS: "Pass",
    Status.WARN: "Pass, with a warning",
    Status.FAIL: "Fail",
    Status.UNKNOWN: "Fail: unknown",
}


def pill(status: Status) -> Markup:
    """The verdict as a sign and a word; never colour alone."""
    return tag(
        "strong", tag("span", SIGNS[status], aria_hidden="true"), " ", _WORDS[status], class_=f"pill {status.value}"
    )


def _sentence(report: Report) -> str:
    checks = [check for row in report.rows for check in row.checks]
    failed = sum(check.failed for check in checks)
    warned = sum(check.status is Status.WARN for check in checks)
    others = sum(len(row.reasons) for row in report.rows)
    said = [counted(len(report.rows), "artefact")]
    if not checks:
        said.append("no limit is set")
    elif failed:
        said.append(f"{failed:,} of {counted(len(checks), 'limit')} {'does' if failed == 1 else 'do'} not hold")
    else:
        said.append(f"{'the limit holds' if len(checks) == 1 else f'all {len(checks):,} limits hold'}")
    if warned:
        said.append(f"{warned:,} nearly reached")
    if others:
        said.append(counted(others, "other reason") + " to fail")
    return ", ".join(said)


def _sign(row: Row) -> Markup:
    status = verdict((row,))
    sign = tag("span", SIGNS[status], class_=f"sign {status.value}", aria_hidden="true")
    return join((sign, tag("span", f"{_WORDS[status]}: ", class_="unseen")))


def _of(size: Callable[[Sizes], int | None], at_least: bool = False) -> Callable[[Row], Iterator[Markup]]:
    def cell(row: Row) -> Iterator[Markup]:
        found = None if row.sizes is None else size(row.sizes)
        if row.sizes is None or found is None:
            yield tag("span", UNKNOWN, title="not known")
            return
        least = "≥ " if at_least and row.sizes.unknown else ""
        yield from both(found, least)

    return cell


def both(size: int, prefix: str = "") -> Iterator[Markup]:
    """A size for people, and the exact one below it."""
    yield tag("b", f"{prefix}{short_size(size)}")
    yield tag("small", f"{size:,}")


_COLUMNS: tuple[tuple[str, Callable[[Row], Iterator[Markup]]], ...] = (
    ("File", _of(lambda sizes: sizes.file)),
    ("Download", _of(lambda sizes: sizes.download)),
    ("Weights", _of(lambda sizes: sizes.weights)),
    ("Activations", _of(lambda sizes: sizes.activations, at_least=True)),
    ("Footprint", _of(lambda sizes: sizes.footprint, at_least=True)),
)


def _table(report: Report) -> Markup:
    heads = (tag("th", name, scope="col") for name, _ in _COLUMNS)
    rows = (
        tag(
            "tr",
            tag("th", _sign(row), " ", _name(row, number), tag("small", elide(row.path, 60)), scope="row"),
            *(tag("td", *cell(row), data_name=name) for name, cell in _COLUMNS),
        )
        for number, row in enumerate(report.rows, 1)
    )
    head = tag("thead", tag("tr", tag("th", "Artefact", scope="col"), *heads))
    return tag("table", head, tag("tbody", *rows), class_="sizes")


def _name(row: Row, number: int) -> Markup:
    return tag("a", elide(row.target, 40), href=f"#a{number}")
