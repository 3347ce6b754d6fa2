"""Rectangles of given areas that fill a rectangle, as square as they get: pure.

Squarified treemaps, M. Bruls, K. Huizing and J. J. van Wijk, Proc. Joint Eurographics and IEEE TCVG Symposium on
Visualization, 2000: rows are laid along the shorter side, and a row ends where one more would make its worst
rectangle longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Rect:
    """A rectangle by its upper left corner."""

    x: float
    y: float
    width: float
    height: float


def squarify(sizes: Sequence[float], width: float, height: float) -> tuple[Rect, ...]:
    """A rectangle for each of ``sizes``, in their order, that together fill ``width`` by ``height``.

    Args:
        sizes: not negative, best largest first; a rectangle's share of the area is its share of the sum.
        width: of the whole, above 0.
        height: of the whole, above 0.
    """
    total = float(sum(sizes))
    if total <= 0:
        return tuple(Rect(0.0, 0.0, 0.0, 0.0) for _ in sizes)
    areas = [size / total * width * height for size in sizes]
    placed: list[Rect] = []
    space = Rect(0.0, 0.0, width, height)
    while len(placed) < len(areas):
        start = len(placed)
        end = _end_of_row(areas, start, min(space.width, space.height))
        last = not any(areas[end:])
        row, space = _lay(areas[start:end], space, last)
        placed += row
    return tuple(placed)


def _end_of_row(areas: Sequence[float], start: int, side: float) -> int:
    """One past the last of the areas from ``start`` on that share a row along ``side``."""
    total, most, least, worst = 0.0, 0.0, float("inf"), float("inf")
    for end in range(start, len(areas)):
        area = areas[end]
        total, most, least = total + area, max(most, area), min(least, area)
        if least <= 0 or side <= 0:  # what has no area fits any row
            continue
        ratio = max(side * side * most / (total * total), total * total / (side * side * least))
        if ratio > worst:
            return end
        worst = ratio
    return len(areas)


def _lay(areas: Sequence[float], space: Rect, last: bool) -> tuple[list[Rect], Rect]:
    """Rectangles in one row along the shorter side of ``space``, and the space that they leave."""
    upright = space.width >= space.height
    side, length = (space.height, space.width) if upright else (space.width, space.height)
    total = sum(areas)
    depth = length if last else min(total / side, length) if side > 0 else 0.0
    rects: list[Rect] = []
    along = 0.0
    for area in areas:
        span = side * area / total if total > 0 else 0.0
        span = min(span, side - along)
        rects.append(
            Rect(space.x, space.y + along, depth, span) if upright else Rect(space.x + along, space.y, span, depth)
        )
        along += span
    if upright:
        return rects, Rect(space.x + depth, space.y, space.width - depth, space.height)
    return rects, Rect(space.x, space.y + depth, space.width, space.height - depth)
