"""Every byte of an artefact as a treemap, grouped by section, operator, layer or dtype, with the same as a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from compile.audit.breakdown import BY, Share, breakdown, top
from compile.audit.render.page.markup import Markup, join, tag
from compile.audit.render.page.switch import switch
from compile.audit.render.page.treemap import Rect, squarify
from compile.audit.render.words import brief, share
from compile.units import counted, short_size
from targets.base import Dissection, Kind, Section

_WIDE, _HIGH = 1000.0, 440.0  # the map's proportions; page.css draws it so
_HEAD = 22.0  # of a group, for its name
_GROUPS, _CELLS = 30, 72  # drawn one by one in a view
_LEAST = 1 / 1500  # share of the whole below which a cell is no more than a speck
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


@dataclass(frozen=True)
class Cell:
    """Bytes of one layer, kind and dtype."""

    label: str
    kind: str
    dtype: str
    operator: str
    size: int

    def tint(self, by: str) -> int:
        """The colour that it has in a view by ``by``."""
        return DTYPES.get(self.dtype, OTHER) if by == "dtype" else KINDS.get(self.kind, OTHER)


def bytemap(dissection: Dissection, key: str) -> Markup:
    """The maps of all views, one shown at a time."""
    whole = sum(dissection.sizes.values())
    views = {f"by {by}": _view(dissection, by, whole) for by in BY}
    heading = tag("h3", "Where the bytes are", id=f"{key}-bytes")
    return tag("section", heading, switch(f"{key}-map", "Group the bytes", views), aria_labelledby=f"{key}-bytes")


def groups(dissection: Dissection, by: str) -> dict[str, tuple[Cell, ...]]:
    """Cells by group, both largest first; they sum to the artefact's size, small ones in ``[K others]``."""
    sizes: dict[str, dict[tuple[str, str, str], int]] = {}
    operators: dict[tuple[str, str, str], str] = {}
    for section in dissection.sections:
        identity = (_leaf(section, by), section.kind.value, section.dtype)
        group = sizes.setdefault(BY[by](section), {})
        group[identity] = group.get(identity, 0) + section.end - section.start
        operators.setdefault(identity, section.operator)
    order = sorted(sizes, key=lambda label: (-sum(sizes[label].values()), label))
    found = {
        label: tuple(Cell(*identity, operators[identity], size) for identity, size in sizes[label].items())
        for label in order
    }
    return {label: tuple(cells) for label, cells in _folded(found).items()}


def _leaf(section: Section, by: str) -> str:
    return section.kind.value if by == "layer" else section.layer or section.kind.value


def _folded(found: Mapping[str, Sequence[Cell]]) -> dict[str, list[Cell]]:
    """Groups beyond the first ones as one, and in each group what is too small to be seen as one cell a kind."""
    labels = list(found)
    shown = {label: list(found[label]) for label in (labels if len(labels) <= _GROUPS + 1 else labels[:_GROUPS])}
    if len(shown) < len(labels):
        rest = labels[_GROUPS:]
        shown[f"[{len(rest):,} others]"] = [
            replace(cell, label=label if cell.label == cell.kind else cell.label)
            for label in rest
            for cell in found[label]
        ]
    sizes = sorted((cell.size for cells in shown.values() for cell in cells), reverse=True)
    least = max(sum(sizes) * _LEAST, sizes[_CELLS] if len(sizes) > _CELLS else 0)
    return {
        label: sorted(_fold(cells, least), key=lambda cell: (-cell.size, cell.label)) for label, cells in shown.items()
    }


def _fold(cells: Sequence[Cell], least: float) -> Iterator[Cell]:
    small: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if cell.size > least:
            yield cell
        else:
            small.setdefault((cell.kind, cell.dtype), []).append(cell)
    for (kind, dtype), several in small.items():
        if len(several) == 1:
            yield several[0]
        else:
            yield Cell(f"[{len(several):,} others]", kind, dtype, "", sum(cell.size for cell in several))


def _view(dissection: Dissection, by: str, whole: int) -> Markup:
    found = groups(dissection, by)
    drawn = tag("div", *_draw(found, by, whole), class_="map", data_all=f"All {counted(whole, 'byte')}")
    rows = top(breakdown(dissection, by), _ROWS)
    summary = tag("summary", f"The same as a table, by {by}")
    return join((drawn, _legend(found, by, whole), tag("details", summary, table(by.capitalize(), rows, whole))))


def _draw(found: Mapping[str, Sequence[Cell]], by: str, whole: int) -> Iterator[Markup]:
    sizes = [sum(cell.size for cell in cells) for cells in found.values()]
    for (label, cells), size, place in zip(found.items(), sizes, squarify(sizes, _WIDE, _HIGH), strict=True):
        if not size:
            continue
        inner = squarify([cell.size for cell in cells], place.width, max(place.height - _HEAD, 1.0))
        high = max(place.height - _HEAD, 1.0)
        yield tag(
            "div",
            tag("b", tag("span", brief(label, 60)), tag("span", short_size(size)), class_="name"),
            tag(
                "div",
                *(
                    _cell(cell, label, by, whole, _inset(rect, place.width, high))
                    for cell, rect in zip(cells, inner, strict=True)
                ),
                class_="cells",
            ),
            class_="group",
            style=_inset(place, _WIDE, _HIGH),
            data_label=f"{brief(label, 60)}, {short_size(size)}",
        )


def _cell(cell: Cell, group: str, by: str, whole: int, style: str) -> Markup:
    facts = dict.fromkeys(fact for fact in (cell.operator, cell.kind, cell.dtype) if fact)
    named = cell.label if by != "layer" else group
    parts = " · ".join(brief(fact, 60) for fact in facts)
    title = f"{brief(named, 96)}\n{parts}\n{counted(cell.size, 'byte')} · {share(cell.size, whole)}"
    label = cell.dtype if by == "layer" and cell.kind == Kind.WEIGHTS.value and cell.dtype else cell.label
    return tag(
        "div",
        tag("span", tag("bdi", brief(label, 60))),
        tag("small", short_size(cell.size)),
        class_=f"cell c{cell.tint(by)}",
        style=style,
        title=title,
    )


def _inset(rect: Rect, width: float, height: float) -> str:
    """Where ``rect`` lies within ``width`` by ``height``, as CSS: a layout that follows any size of its container."""
    edges = (
        100 * rect.y / height,
        100 * (1 - (rect.x + rect.width) / width),
        100 * (1 - (rect.y + rect.height) / height),
        100 * rect.x / width,
    )
    return f"inset:{' '.join(f'{max(edge, 0.0):.2f}%' for edge in edges)}"


def _legend(found: Mapping[str, Sequence[Cell]], by: str, whole: int) -> Markup:
    sizes: dict[tuple[int, str], int] = {}
    for cell in (cell for cells in found.values() for cell in cells):
        tint = cell.tint(by)
        name = cell.kind if by != "dtype" else "other" if tint == OTHER else cell.dtype
        sizes[tint, name] = sizes.get((tint, name), 0) + cell.size
    entries = (
        tag("li", tag("i", class_=f"c{tint}"), f"{name} ", tag("span", share(size, whole)))
        for (tint, name), size in sorted(sizes.items(), key=lambda entry: -entry[1])
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
