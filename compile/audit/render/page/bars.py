"""Every limit as a bar: what was found, where the limit is, from where on it warns, and whom to ask."""

from __future__ import annotations

from collections.abc import Mapping

from compile.audit.budget import Check, Status
from compile.audit.render.page.figures import SIGNS
from compile.audit.render.page.markup import Markup, join, tag
from compile.audit.render.words import brief, share, sizes
from compile.audit.report import Report, Row
from compile.units import format_size, short_size

_WORDS: Mapping[Status, str] = {
    Status.PASS: "holds",
    Status.WARN: "nearly reached",
    Status.FAIL: "exceeded",
    Status.UNKNOWN: "unknown",
}


def bars(report: Report) -> Markup:
    """The limits of every artefact; those that fail for other reasons say so above theirs."""
    warns = {budget.name: budget.warn for budget in report.budgets}
    shown = join(_artefact(row, warns, len(report.rows) == 1) for row in report.rows if row.checks or row.reasons)
    if shown:
        return tag("div", shown, class_="budgets")
    return tag("p", "No limit is set. Give one with ", tag("code", "--cap 3.4MB"), ", or in ", tag("code", "phiz.toml"))


def _artefact(row: Row, warns: Mapping[str, float | None], alone: bool) -> Markup:
    reasons = join(tag("p", tag("b", "✗ "), brief(reason, 1_000), class_="reason") for reason in row.reasons)
    limits = join(tag("li", _bar(check, warns.get(check.budget))) for check in row.checks)
    bars = tag("ul", limits) if limits else limits
    return tag("div", "" if alone else tag("h3", brief(row.label, 60)), reasons, bars)


def _bar(check: Check, warn: float | None) -> Markup:
    name = f"{check.subject} · {check.budget}" if check.budget else check.subject
    head = tag("p", tag("b", brief(name, 60)), tag("span", _figures(check), class_="figures"), class_="head")
    word = tag("b", f"{SIGNS[check.status]} {_WORDS[check.status]}", class_=check.status.value)
    detail = f": {brief(check.detail, 1_000)}" if check.detail and check.status is not Status.PASS else ""
    ask = (
        tag("p", brief(check.message, 1_000), class_="ask") if check.message and check.status is not Status.PASS else ""
    )
    origin = tag("p", f"set by {brief(check.origin)}", class_="origin")
    return join((head, _track(check, warn), tag("p", word, detail, class_="detail"), ask, origin))


def _figures(check: Check) -> str:
    if check.measured is None:
        return "not known" if check.limit is None else f"not known; the limit is {short_size(check.limit)}"
    if check.limit is None:
        return short_size(check.measured)
    part = f" · {share(check.measured, check.limit)}" if check.limit and check.measured > 0 else ""
    found, limit = sizes(check.measured, check.limit)
    return f"{found} of {limit}{part}"


def _track(check: Check, warn: float | None) -> Markup:
    """The bar itself, drawn to 1.06 of the larger of limit and measure so that the limit is never at the edge."""
    label = f"{check.subject}: {_figures(check)}, {_WORDS[check.status]}"
    if check.measured is None or check.limit is None:
        return tag("div", class_="track void", role="img", aria_label=label)
    scale = 1.06 * max(check.measured, check.limit, 1)
    within, over = max(0, min(check.measured, check.limit)) / scale, max(0, check.measured - check.limit) / scale
    at = check.limit / scale
    parts = [tag("i", class_=f"fill {check.status.value}", style=f"width:{_percent(within)}")]
    if over:
        parts.append(tag("i", class_="over", style=f"left:{_percent(at)};width:{_percent(over)}"))
    if warn is not None and 0 < warn < 1:
        mark = f"warns from {format_size(int(check.limit * warn))}"
        parts.append(tag("i", class_="mark", style=f"left:{_percent(at * warn)}", title=mark))
    parts.append(tag("i", class_="limit", style=f"left:{_percent(at)}", title=f"limit {format_size(check.limit)}"))
    return tag("div", *parts, class_="track", role="img", aria_label=label)


def _percent(share: float) -> str:
    return f"{100 * share:.2f}%"
