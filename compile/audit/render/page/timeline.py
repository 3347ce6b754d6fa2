"""Activations over time: what is alive at each step, and where in the arena it lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

from compile.audit.render.page.columns import Band, Column, columns, stack
from compile.audit.render.page.figures import name_of
from compile.audit.render.page.markup import Markup, join, tag
from compile.audit.render.words import brief, share, sizes
from compile.memory import Plan
from compile.units import counted, format_size, short_size
from targets.base import Dissection, Lifetime

_COLUMNS = 240  # as many steps are drawn one by one
_BANDS = 40  # tensors with a band of their own
_PLACES = 240  # tensors with a rectangle of their own in the arena
_NAMES = 64  # steps with their name below
_HUES = 7
_ROOM = 1.12  # above the arena, for its name
_UNITS = 1000.0  # of a drawing's height


def timeline(dissection: Dissection, arena: Plan | None, key: str) -> Markup:
    """Both drawings above one axis of steps, and the steps as a table."""
    heading = tag("h3", "Activations over time", id=f"{key}-time")
    lifetimes = dissection.lifetimes
    if not lifetimes or arena is None:
        return tag("section", heading, tag("p", "It tells of no activations.", class_="note"))
    found = columns(lifetimes, len(dissection.steps), _COLUMNS)
    scale = max(arena.size, *(column.live for column in found)) * _ROOM or 1.0
    drawn = tag(
        "div",
        _panel("Alive at each step", _live(lifetimes, arena, found, scale), scale),
        _panel("Place in the arena", _places(lifetimes, arena, found, scale), scale),
        _axis(dissection, found),
        class_="time",
        style=f"--n:{len(found)}",
    )
    table = _table(dissection, found)
    return tag(
        "section", heading, tag("p", _summary(dissection, arena, found)), drawn, table, aria_labelledby=f"{key}-time"
    )


def _summary(dissection: Dissection, arena: Plan, found: Sequence[Column]) -> str:
    peak = max(found, key=lambda column: (column.live, -column.step))
    rounding = f"; with {arena.alignment}-byte alignment no arena can be below {arena.bound:,}" if arena.bound else ""
    more = arena.size - arena.bound
    size = f"takes {counted(more, 'byte')} more, {share(more, arena.bound)}" if more else "is as small"
    name = f" ({brief(_step(dissection, peak.step), 60)})" if _step(dissection, peak.step) else ""
    most = f"Most is alive at step {peak.step:,}{name}: {format_size(peak.live)}"
    return f"{most}{rounding}. The arena planned here {size}."


def _panel(name: str, content: Markup, scale: float) -> Markup:
    ticks = (
        tag("span", short_size(tick), style=f"bottom:{100 * tick / scale:.2f}%", class_="tick")
        for tick in _ticks(scale / _ROOM)
    )
    return tag(
        "figure", tag("figcaption", name), tag("div", tag("div", *ticks, class_="ticks", aria_hidden="true"), content)
    )


def _ticks(most: float) -> list[int]:
    """Round numbers from 0 to ``most``, at most six."""
    step = next(one * 10**power for power in count() for one in (1, 2, 5) if most <= 5 * one * 10**power)
    return list(range(0, int(most) + 1, step))


def _live(lifetimes: Sequence[Lifetime], arena: Plan, found: Sequence[Column], scale: float) -> Markup:
    shown = _largest(lifetimes, _BANDS)
    paths = join(_band(band, lifetimes, scale) for band in stack(lifetimes, found, shown))
    picture = tag(
        "svg",
        paths,
        viewBox=f"0 0 {len(found)} {_UNITS:.0f}",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"Live bytes over {counted(len(found), 'column')}; the table below has the figures",
    )
    return tag("div", picture, *_lines(arena, scale), class_="plot live")


def _largest(lifetimes: Sequence[Lifetime], most: int) -> list[int]:
    weight = {i: tensor.size * (tensor.last - tensor.first + 1) for i, tensor in enumerate(lifetimes) if tensor.size}
    return sorted(weight, key=lambda i: (-weight[i], i))[:most]


def _band(band: Band, lifetimes: Sequence[Lifetime], scale: float) -> Markup:
    """Stairs along the top from left to right and back along the bottom; equal neighbours are one stair."""
    upper = _stairs(band.start, band.top, scale)
    lower = _stairs(band.start, band.bottom, scale)
    points = [*upper, *reversed(lower)]
    outline = "M" + "L".join(f"{x} {y:.1f}".replace(".0", "") for x, y in points) + "Z"
    if band.index < 0:
        name, tint = "[others]", _HUES
    else:
        tensor = lifetimes[band.index]
        name, tint = f"{brief(tensor.tensor, 96)}\n{counted(tensor.size, 'byte')}", hue(band.index)
    return tag("path", tag("title", name), d=outline, class_=f"c{tint}")


def _stairs(start: int, levels: Sequence[int], scale: float) -> list[tuple[int, float]]:
    points: list[tuple[int, float]] = []
    for offset, level in enumerate(levels):
        y = _UNITS * (1 - level / scale)
        if points and points[-1][1] == y:
            points[-1] = (start + offset + 1, y)
        else:
            points += [(start + offset, y), (start + offset + 1, y)]
    return points


def hue(index: int) -> int:
    """The colour of a tensor, the same in both drawings; in neighbours by birth different ones."""
    return index % _HUES


def _lines(arena: Plan, scale: float) -> Iterator[Markup]:
    same = arena.size == arena.bound
    upper = "arena = lower bound" if same else "arena"
    size, bound = sizes(arena.size, arena.bound)
    yield _line("arena", f"{upper} {size}", arena.size / scale)
    if not same:
        yield _line("bound", f"lower bound {bound}", arena.bound / scale)


def _line(kind: str, name: str, at: float) -> Markup:
    return tag("div", tag("span", name), class_=f"line {kind}", style=f"bottom:{100 * at:.2f}%")


def _places(lifetimes: Sequence[Lifetime], arena: Plan, found: Sequence[Column], scale: float) -> Markup:
    steps = found[-1].last + 1
    shown = _largest(lifetimes, _PLACES)
    cells = (_place(index, lifetimes[index], arena.offsets[index], steps, scale) for index in shown)
    line = _line("arena", f"arena {short_size(arena.size)}", arena.size / scale)
    sizable = sum(1 for tensor in lifetimes if tensor.size)
    rest = (
        tag("p", f"{sizable - len(shown):,} smaller ones are not drawn", class_="rest") if sizable > len(shown) else ""
    )
    return tag("div", *cells, line, rest, class_="plot places")


def _place(index: int, tensor: Lifetime, offset: int, steps: int, scale: float) -> Markup:
    edges = (
        100 * (1 - (offset + tensor.size) / scale),
        100 * (1 - (tensor.last + 1) / steps),
        100 * offset / scale,
        100 * tensor.first / steps,
    )
    when = f"step {tensor.first:,}" if tensor.first == tensor.last else f"steps {tensor.first:,} to {tensor.last:,}"
    title = f"{brief(tensor.tensor, 96)}\n{counted(tensor.size, 'byte')} at {offset:,}\n{when}"
    return tag(
        "div",
        name_of(tensor.tensor),
        tag("small", short_size(tensor.size)),
        class_=f"cell c{hue(index)}",
        style=f"inset:{' '.join(f'{max(round(edge, 2), 0.0) + 0.0:g}%' for edge in edges)}",
        title=title,
    )


def _axis(dissection: Dissection, found: Sequence[Column]) -> Markup:
    """Numbers of steps, and below them their names where there are few."""
    steps = found[-1].last + 1
    marks = (tag("span", f"{tick:,}", style=f"left:{100 * (tick + 0.5) / steps:.2f}%") for tick in _ticks(steps - 1))
    numbers = tag("div", *marks, class_="axis", aria_hidden="true")
    if steps > _NAMES or not any(dissection.steps):
        return numbers
    names = (tag("span", brief(_step(dissection, step), 26)) for step in range(steps))
    return join((numbers, tag("div", *names, class_="names", aria_hidden="true")))


def _step(dissection: Dissection, step: int) -> str:
    return dissection.steps[step] if step < len(dissection.steps) else ""


def _table(dissection: Dissection, found: Sequence[Column]) -> Markup:
    """One row a column, which page.js shows where the pointer is."""
    shown = _largest(dissection.lifetimes, 4 * _BANDS)
    rows = (
        tag(
            "tr",
            tag("td", f"{column.step:,}" if column.first == column.last else f"{column.first:,} to {column.last:,}"),
            tag("th", brief(_step(dissection, column.step), 60), scope="row"),
            tag("td", f"{column.live:,}"),
            tag("td", _alive(dissection.lifetimes, column, shown)),
        )
        for column in found
    )
    heads = (tag("th", name, scope="col") for name in ("Step", "Kernel", "Bytes alive", "Largest alive"))
    body = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows), class_="steps")
    return tag("details", tag("summary", "The same as a table, by step"), tag("div", body, class_="scroll"))


def _alive(lifetimes: Sequence[Lifetime], column: Column, shown: Sequence[int]) -> str:
    alive = [lifetimes[i] for i in shown if lifetimes[i].first <= column.step <= lifetimes[i].last]
    largest = sorted(alive, key=lambda tensor: (-tensor.size, tensor.tensor))[:4]
    said = [f"{brief(tensor.tensor, 40)} {tensor.size:,}" for tensor in largest]
    if column.count > len(largest):
        said.append(f"[{column.count - len(largest):,} others]")
    return ", ".join(said)
