"""Lines over time: boxes one below the other, over the outline of what was heard and above the seconds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compile.audit.render.page.markup import Markup, join, tag
from compile.audit.render.words import brief

SECOND = 11.0  # rem: how wide a second is at least
HIGH = 1000.0  # units of a drawing
HUES = 6  # classes s0, s1 … of charts.css; st is who is the measure of others
_SLICES = 400  # of the sound


def panel(
    name: str,
    lines: Mapping[str, NDArray[np.floating[Any]]],
    hues: Mapping[str, str],
    seconds: float,
    step: float,
    behind: str = "",
    least: float = 0.5,
) -> Markup:
    """Lines over time in one box.

    Args:
        name: of what is drawn, and may change from 0 to 1 or beyond.
        lines: values ``[steps]`` by who made them; the first is drawn last, over the others.
        hues: classes of charts.css by the same names.
        seconds: how wide the box is.
        step: seconds from one value to the next.
        behind: what else to draw, a thousand units a second and a thousand high.
        least: what the box reaches up to at least, so that what hardly moves is seen to.
    """
    low = min(0.0, *(float(line.min()) for line in lines.values()))
    high = max(least, *(float(line.max()) for line in lines.values()))
    high += 0.05 * (high - low) or 1.0
    paths = join(
        tag(
            "path",
            tag("title", brief(who, 60)),
            d=_line(line, low, high, seconds, step),
            class_=f"{hues[who]} dashed" if hues[who] == "st" else hues[who],
        )
        for who, line in reversed(list(lines.items()))
    )
    picture = _picture(join((behind, paths)), seconds, f"{name} over time")
    marks = (
        tag("span", f"{value:g}", class_="scale", style=f"bottom:{100 * (value - low) / (high - low):.1f}%")
        for value in _round_numbers(low, high)
    )
    return tag("div", picture, *marks, tag("span", name, class_="name"), class_="row")


def _round_numbers(low: float, high: float) -> Iterator[float]:
    """At most four, as far apart as 1, 2 or 5 of a power of ten, and 0 among them where it is between."""
    tenth = 10.0 ** math.floor(math.log10((high - low) / 3))
    apart = next(size * tenth for size in (1, 2, 5, 10) if 3 * size * tenth >= high - low)
    yield from (index * apart for index in range(math.ceil(low / apart), math.floor(high / apart) + 1))


def _picture(content: Markup, seconds: float, label: str) -> Markup:
    return tag(
        "svg",
        content,
        viewBox=f"0 0 {1000 * seconds:.0f} {HIGH:.0f}",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
    )


def _line(line: NDArray[np.floating[Any]], low: float, high: float, seconds: float, step: float) -> str:
    height = HIGH * (1 - (line - low) / (high - low))
    points = (f"{1000 * min(index * step, seconds):.0f} {y:.0f}" for index, y in enumerate(height))
    return "M" + "L".join(points)


def sound(audio: NDArray[np.float32]) -> Markup:
    """The outline of a waveform ``[time]``."""
    count = max(1, min(_SLICES, len(audio)))
    edges = np.linspace(0, len(audio), count + 1).astype(int)[:-1]
    peaks = np.maximum.reduceat(np.abs(audio), edges)
    peaks = peaks / max(float(peaks.max()), 1e-3)
    upper = [f"{index} {50 - 48 * peak:.1f}" for index, peak in enumerate(peaks)]
    lower = [f"{index} {50 + 48 * peak:.1f}" for index, peak in reversed(list(enumerate(peaks)))]
    path = tag("path", d="M" + "L".join([*upper, *lower]) + "Z", class_="sound")
    return tag("svg", path, viewBox=f"0 0 {count} 100", preserveAspectRatio="none")


def seconds_below(seconds: float) -> Markup:
    """The axis of all boxes above."""
    return tag("div", *_marks(seconds), class_="seconds", aria_hidden="true")


def _marks(seconds: float) -> Iterator[Markup]:
    for half in range(math.floor(2 * seconds) + 1):
        yield tag("span", f"{half / 2:g} s", style=f"left:{100 * half / 2 / seconds:.2f}%")


def key(entries: Iterable[tuple[str, str]], *others: Markup) -> Markup:
    """What each colour means: (class, name)."""
    lines = (
        tag("li", tag("i", class_=f"{hue} dashed" if hue == "st" else hue), brief(name, 60)) for hue, name in entries
    )
    return tag("ul", *lines, *(tag("li", other) for other in others), class_="key")
