"""Loops over several views of one shape, as C.

The views are cut into the same dimensions; neighbours that are one run in all of them are merged; the innermost loop is
a kernel's, which takes a count and for each view a pointer and a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from targets.c.view import Dim, View, boundaries, cut

_INDICES = "ijkmpqrstuvwxyz"


@dataclass(frozen=True)
class Loop:
    """One loop: how often, and the step of each view in memory elements."""

    size: int
    steps: tuple[int, ...]


def aligned(views: Sequence[View]) -> list[tuple[Dim, ...]] | None:
    """For each dimension that all can be cut into, that of each view; None where they cannot."""
    places = frozenset(place for view in views for place in boundaries(view))
    apart = [cut(view, places) for view in views]
    pieces = [view.dims for view in apart if view is not None]
    if len(pieces) < len(views) or any([d.logical for d in p] != [d.logical for d in pieces[0]] for p in pieces):
        return None
    if any([d.size for d in p] != [d.size for d in pieces[0]] for p in pieces):
        return None
    return list(zip(*pieces, strict=True))


def by_memory(dims: Sequence[tuple[Dim, ...]], views: Sequence[int]) -> list[tuple[Dim, ...]]:
    """``dims`` in the order in which the views of these numbers lie in memory, outermost first."""
    return sorted(dims, key=lambda group: tuple(-group[view].memory for view in views))


def merged(dims: Sequence[tuple[Dim, ...]]) -> list[Loop]:
    """Loops, outermost first, where neighbours of one run are one."""
    loops: list[Loop] = []
    for group in dims:
        inner = Loop(group[0].size, tuple(dim.memory for dim in group))
        outer = loops[-1] if loops else None
        if outer is not None and outer.steps == tuple(step * inner.size for step in inner.steps):
            loops[-1] = Loop(outer.size * inner.size, inner.steps)
        else:
            loops.append(inner)
    return loops


def place(view: View) -> str:
    """The address of a view's first element."""
    return f"{view.base} + {view.offset}" if view.offset else view.base


def render(kernel: str, views: Sequence[View], loops: Sequence[Loop], extra: Sequence[str] = ()) -> list[str]:
    """C that calls ``kernel(count, pointer, step, …, extra…)`` for every innermost run."""
    *outer, last = [*loops] or [Loop(1, (1,) * len(views))]
    opened = [
        f"{'    ' * depth}for (int32_t {index} = 0; {index} < {loop.size}; ++{index})"
        for depth, (index, loop) in enumerate(zip(_INDICES, outer, strict=False))
    ]
    arguments = [str(last.size)]
    for number, view in enumerate(views):
        steps = [(index, loop.steps[number]) for index, loop in zip(_INDICES, outer, strict=False)]
        moving = [f"{index} * {step}" if step != 1 else index for index, step in steps if step]
        arguments += [" + ".join([place(view), *moving]), str(last.steps[number])]
    return [*opened, f"{'    ' * len(opened)}{kernel}({', '.join([*arguments, *extra])});"]
