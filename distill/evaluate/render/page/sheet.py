"""A table of figures on the page, with what each may be by chance below it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from compile.audit.render.page.markup import Markup, tag
from compile.audit.render.words import brief
from distill.evaluate.render.tables import Cell, Table
from distill.evaluate.render.terminal import figured
from distill.evaluate.report import FLOOR, TEACHER

MOST = 400  # rows


def sheet(table: Table, kinds: Mapping[str, str]) -> Markup:
    """``kinds`` are those of subjects, by their names."""
    key = re.sub("[^a-z]+", "-", table.title.lower())
    labels = len(table.rows[0][0])
    heads = (
        tag("th", column, scope="col", class_="label" if number < labels else "")
        for number, column in enumerate(table.columns)
    )
    body = tag("tbody", *(_row(names, cells, kinds) for names, cells in table.rows[:MOST]))
    drawn = tag("table", tag("thead", tag("tr", *heads)), body, class_="figures-table")
    rest = len(table.rows) - MOST
    more = tag("p", f"{rest:,} rows more are in the JSON report.", class_="note") if rest > 0 else ""
    content = tag("div", drawn, class_="scroll", tabindex="0", role="region", aria_labelledby=key)
    if len(table.rows) > 24:
        content = tag("details", tag("summary", f"All {len(table.rows):,} rows"), content)
    note = tag("p", table.note, class_="note") if table.note else ""
    return tag("section", tag("h2", table.title, id=key), content, more, note, aria_labelledby=key)


def _row(names: tuple[str, ...], cells: tuple[Cell, ...], kinds: Mapping[str, str]) -> Markup:
    kind = next((kinds[name] for name in names if name in kinds), "")
    labels = (tag("th", brief(name, 60), scope="row", class_="label", title=brief(name)) for name in names)
    return tag("tr", *labels, *map(_cell, cells), class_=kind if kind in (TEACHER, FLOOR) else "")


def _cell(cell: Cell) -> Markup:
    name, figure = cell
    if figure.value is None:
        return tag("td", tag("span", "not measured", class_="none"))
    between = ""
    if figure.low is not None and figure.high is not None:
        between = tag("small", f"{figured(name, figure.low)} to {figured(name, figure.high)}")
    return tag("td", tag("b", figured(name, figure.value)), between)
