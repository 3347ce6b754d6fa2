"""What grew and what shrank against a baseline, as bars that leave a common middle."""

from __future__ import annotations

from collections.abc import Sequence

from compile.audit.difference import Change, Difference, top
from compile.audit.render.page.figures import MINUS, direction, signed
from compile.audit.render.page.markup import Markup, join, tag
from compile.audit.render.page.switch import switch
from compile.audit.render.words import UNKNOWN, brief
from compile.units import short_size

_MOST = 24  # rows of a view


def changes(difference: Difference, key: str) -> Markup:
    """The metrics before and after, and the labels whose bytes differ."""
    parts: list[str] = [tag("h3", "Against ", brief(difference.old, 96))]
    if difference.stale:
        parts.append(tag("p", tag("b", "! "), brief(difference.stale, 1_000), class_="stale"))
    parts.append(_metrics(difference))
    views = {f"by {by}": _bars(found) for by, found in difference.changes.items() if found}
    if views:
        parts.append(switch(f"{key}-changes", "Changes", views))
    elif difference.changes:
        parts.append(tag("p", "No label has gained or lost a byte.", class_="note"))
    else:
        parts.append(tag("p", "The old one's bytes are not at hand, so only its sizes are compared.", class_="note"))
    return tag("section", *parts)


def _metrics(difference: Difference) -> Markup:
    heads = (tag("th", name, scope="col") for name in ("Old", "New", "Change", "%"))
    rows = (
        tag("tr", tag("th", name.capitalize(), scope="row"), *_cells(old, new))
        for name, (old, new) in difference.metrics.items()
        if old is not None or new is not None
    )
    head = tag("thead", tag("tr", tag("th", "Size", scope="col"), *heads))
    return tag("div", tag("table", head, tag("tbody", *rows)), class_="scroll")


def _cells(old: int | None, new: int | None) -> tuple[Markup, ...]:
    sizes = tuple(tag("td", UNKNOWN if size is None else f"{size:,}") for size in (old, new))
    if old is None or new is None:
        return (*sizes, tag("td", UNKNOWN), tag("td", UNKNOWN))
    share = "0" if new == old else f"{100 * (new - old) / old:+.2f}".replace("-", MINUS) if old else UNKNOWN
    return (*sizes, tag("td", signed(new - old), class_=direction(new - old)), tag("td", share))


def _bars(found: Sequence[Change]) -> Markup:
    shown = top(found, _MOST)
    widest = max((abs(change.growth) for change in shown), default=0) or 1
    return tag("ul", join(_bar(change, widest) for change in shown), class_="diverging")


def _bar(change: Change, widest: int) -> Markup:
    grown = change.growth
    width = 50 * abs(grown) / widest
    side = f"left:50%;width:{width:.2f}%" if grown >= 0 else f"right:50%;width:{width:.2f}%"
    gone = " (gone)" if not change.new else " (new)" if not change.old else ""
    title = f"{brief(change.label, 96)}{gone}\n{change.old:,} → {change.new:,} bytes"
    return tag(
        "li",
        tag("span", brief(change.label, 60), tag("small", gone), class_="label"),
        tag("span", tag("i", class_=direction(grown), style=side), class_="lane", aria_hidden="true"),
        tag("span", signed(grown), class_=f"change {direction(grown)}"),
        tag("span", f"{short_size(change.old)} → {short_size(change.new)}", class_="from"),
        title=title,
    )
