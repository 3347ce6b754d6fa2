"""What is alive at each step of an execution, brought to as many columns as a page is wide: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from targets.base import Lifetime


@dataclass(frozen=True)
class Column:
    """Steps ``first`` to ``last`` (inclusive), shown by the one among them with most bytes alive.

    Attributes:
        first: step.
        last: step.
        step: the fullest of them, the first of such.
        live: bytes alive at ``step``.
        count: tensors alive at ``step``.
    """

    first: int
    last: int
    step: int
    live: int
    count: int


def columns(lifetimes: Sequence[Lifetime], steps: int, most: int) -> tuple[Column, ...]:
    """At most ``most`` columns of nearly equal numbers of steps; one a step where there is room.

    Args:
        lifetimes: any.
        steps: how many there are at least; a later lifetime makes it more.
        most: columns, above 0.
    """
    steps = max([steps, *(tensor.last + 1 for tensor in lifetimes)])
    live = _alive(steps, [(tensor.first, tensor.last, tensor.size) for tensor in lifetimes])
    count = _alive(steps, [(tensor.first, tensor.last, 1) for tensor in lifetimes])
    number = min(steps, most)
    found = []
    for column in range(number):
        first, last = column * steps // number, (column + 1) * steps // number - 1
        step = max(range(first, last + 1), key=lambda step: (live[step], -step))
        found.append(Column(first, last, step, live[step], count[step]))
    return tuple(found)


def _alive(steps: int, spans: Sequence[tuple[int, int, int]]) -> list[int]:
    """For each step the sum of the amounts whose (first, last, amount) holds it."""
    changes = [0] * (steps + 1)
    for first, last, amount in spans:
        changes[first] += amount
        changes[last + 1] -= amount
    return list(accumulate(changes))[:steps]


@dataclass(frozen=True)
class Band:
    """A tensor in a stack of what is alive: from ``bottom[i]`` to ``top[i]`` bytes in column ``start + i``.

    Attributes:
        index: of its lifetime; -1 for all that have no band of their own.
        start: first column.
        bottom: in each column.
        top: in each column.
    """

    index: int
    start: int
    bottom: tuple[int, ...]
    top: tuple[int, ...]


def stack(lifetimes: Sequence[Lifetime], found: Sequence[Column], shown: Sequence[int]) -> tuple[Band, ...]:
    """The lifetimes of ``shown`` one upon the other, the longest at the bottom, and the others on top of them.

    In every column the topmost band ends at the column's live bytes.
    """
    level = [0] * len(found)
    bands: list[Band] = []
    order = sorted(shown, key=lambda i: (lifetimes[i].first - lifetimes[i].last, lifetimes[i].first, i))
    for index in order:
        tensor = lifetimes[index]
        alive = [c for c, column in enumerate(found) if tensor.first <= column.step <= tensor.last]
        if alive and tensor.size:
            bottom = tuple(level[c] for c in alive)
            for c in alive:
                level[c] += tensor.size
            bands.append(Band(index, alive[0], bottom, tuple(level[c] for c in alive)))
    if any(level[c] < column.live for c, column in enumerate(found)):
        bands.append(Band(-1, 0, tuple(level), tuple(column.live for column in found)))
    return tuple(bands)
