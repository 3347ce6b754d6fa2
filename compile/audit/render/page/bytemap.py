"""Every byte of an artefact as a treemap, grouped by section, operator, layer or dtype, with the same as a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from compile.audit.breakdown import BY, Share, breakdown, top
from compile.audit.render.page.figures import name_of
from compile.audit.render.page.groups import Cell, Group, groups
from compile.audit.render.page.markup import Markup, join, tag
from compile.audit.render.page.switch import switch
from compile.audit.render.page.treemap import Rect, squarify
from compile.audit.render.words import brief, share
from compile.units import counted, short_size
from targets.base import Dissection, Kind

_WIDE, _HIGH = 1000.0, 440.0  # the map's proportions; page.css draws it so
_HEAD = 22.0  # of a group, for its name
_ROWS = 40  # of a table

# Tints of page.css.
KINDS: Mapping[str, int] = {
    Kind.WEIGHTS.value: 0,
    Kind.QUANTIZATION.value: 1,
    Kind.GRAPH.value: 2,
    Kind.METADATA.value: 3,
    Kind.PADDING.value: 7,
    Kind.UNMAPPED.value: 4,
}
DTYPES: Mapping[str, int] = {"int8": 0, "float32": 1, "int32": 2, "int64": 3, "int4": 4, "uint8": 5, "float16": 6}
OTHER = 7


def bytemap(dissection: Dissection, key: str) -> Markup:
    """The maps of all views, one shown at a time."""
    whole = sum(dissection.sizes.values())
    views = {f"by {by}": _view(dissection, by, whole) for by in BY}
    heading = tag("h3", "Where the bytes are", id=f"{key}-bytes")
    return tag("section", heading, switch(f"{key}-map", "Group the bytes", views), aria_labelledby=f"{key}-bytes")


def _view(dissection: Dissection, by: str, whole: int) -> Markup:
    found = groups(dissection, by)
    drawn = tag("div", *_draw(found, by, whole), class_="map", data_all=f"All {counted(whole, 'byte')}")
    rows = top(breakdown(dissection, by), _ROWS)
    summary = tag("summary", f"The same as a table, by {by}")
    return join((drawn, _legend(found, by, whole), tag("details", summary, table(by.capitalize(), rows, whole))))


def _draw(found: Sequence[Group], by: str, whole: int) -> Iterator[Markup]:
    places = squarify([group.size for group in found], _WIDE, _HIGH)
    for group, place in zip(found, places, strict=True):
        if not group.size:
            continue
        label, size, high = brief(group.label, 60), short_size(group.size), max(place.height - _HEAD, 1.0)
        inner = squarify([cell.size for cell in group.cells], place.width, high)
        cells = (
            _cell(cell, group, by, whole, _inset(rect, place.width or 1.0, high))
            for cell, rect in zip(group.cells, inner, strict=True)
        )
        yield tag(
            "div",
            tag("b", tag("span", label), tag("span", size), class_="name"),
            tag("div", *cells, class_="cells"),
            class_="group",
            style=_inset(place, _WIDE, _HIGH),
            data_label=f"{label}, {size}",
        )


def _cell(cell: Cell, group: Group, by: str, whole: int, style: str) -> Markup:
    facts = " · ".join(brief(fact, 60) for fact in dict.fromkeys((cell.operator, cell.kind, cell.dtype)) if fact)
    named = brief(group.label if by == "layer" and cell.label == cell.kind else cell.label, 96)
    label = cell.dtype if by == "layer" and cell.label == Kind.WEIGHTS.value and cell.dtype else cell.label
    return tag(
        "div",
        name_of(label),
        tag("small", short_size(cell.size)),
        class_=f"cell c{_tint(cell, by)}",
        style=style,
        title=f"{named}\n{facts}\n{counted(cell.size, 'byte')} · {share(cell.size, whole)}",
    )


def _tint(cell: Cell, by: str) -> int:
    return DTYPES.get(cell.dtype, OTHER) if by == "dtype" else KINDS.get(cell.kind, OTHER)


def _inset(rect: Rect, width: float, height: float) -> str:
    """Where ``rect`` lies within ``width`` by ``height``, as CSS: a layout that follows any size of its container."""
    edges = (
        100 * rect.y / height,
        100 * (1 - (rect.x + rect.width) / width),
        100 * (1 - (rect.y + rect.height) / height),
        100 * rect.x / width,
    )
    return f"inset:{' '.join(f'{max(round(edge, 2), 0.0) + 0.0:g}%' for edge in edges)}"


def _legend(found: Sequence[Group], by: str, whole: int) -> Markup:
    sizes: dict[tuple[int, str], int] = {}
    for cell in (cell for group in found for cell in group.cells):
        tint = _tint(cell, by)
        name = cell.kind if by != "dtype" else "other" if tint == OTHER else cell.dtype
        sizes[tint, name] = sizes.get((tint, name), 0) + cell.size
    entries = (
        tag("li", tag("i", class_=f"c{tint}"), f"{name} ", tag("span", share(size, whole)))
        for (tint, name), size in sorted(sizes.items(), key=lambda entry: (-entry[1], entry[0]))
    )
    return tag("ul", *entries, class_="legend")


def table(name: str, shares: Iterable[Share], whole: int) -> Markup:
    """Shares with their bytes and what part of the whole they are."""
    rows = (
        tag(
            "tr",
            tag("th", brief(entry.label, 96), scope="row"),
            tag("td", f"{entry.size:,}"),
            tag("td", share(entry.size, whole)),
        )
        for entry in shares
    )
    heads = (tag("th", head, scope="col") for head in (name, "Bytes", "Share"))
    total = tag("tfoot", tag("tr", tag("th", "Sum", scope="row"), tag("td", f"{whole:,}"), tag("td", share(1, 1))))
    return tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows), total)
