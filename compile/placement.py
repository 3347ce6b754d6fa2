"""How tensors are placed in one arena: orders, improvement and search.

To place them best is NP-hard (dynamic storage allocation). A runtime takes one greedy order; here several compete,
one like LiteRT's among them. Where all miss the bound, the best order is improved by exchanges, as Arm's Vela does
("hill climb"), and small graphs are searched to the end. Every stage is limited by what it looks at, not by a clock,
so that the result is the same everywhere.
"""

from __future__ import annotations

import heapq
import random
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from targets.base import Lifetime

FEW = 64  # tensors that are searched to the end
NODES = 4_000  # of that search
PAIRS = 200_000  # of tensors alive together; with more, one pass has to do
CLIMB = 800_000  # pairs to look at while an order is improved

Offsets = tuple[int, ...]


def place(lifetimes: Sequence[Lifetime], alignment: int, bound: int) -> Offsets:
    """Offsets of all tensors in an arena that is as small as can be found; none is smaller than ``bound`` bytes.

    Exact for chains up to alignment, and for graphs whose search ends within ``NODES`` nodes.
    """
    rivals = _rivals(lifetimes)
    if rivals is None:
        return _swept(lifetimes, alignment)
    arena = _Arena(lifetimes, rivals, alignment, bound)
    two_ends = arena.two_ends()
    if two_ends is not None:
        return two_ends
    near = alignment if len(lifetimes) > FEW else 1  # what is less than that may be rounding alone
    start: list[int] = []
    best: Offsets = ()
    for order, best_fit in _orders(lifetimes):
        offsets = arena.placed(order, best_fit=best_fit)
        if not best or arena.size(offsets) < arena.size(best):
            best, start = offsets, order
        if arena.size(best) - bound < near:
            return best
    if arena.size(best) - bound >= alignment:
        best = min(best, _climb(arena, start), key=arena.size)
    return _Search(arena, best).run()


def _orders(lifetimes: Sequence[Lifetime]) -> Iterator[tuple[list[int], bool]]:
    """Orders to place tensors in, and whether into the smallest gap: greedy ones that runtimes use, and more.

    LiteRT goes by falling size; by falling load of the busiest step that a tensor sees, then by size, is "greedy by
    breadth" (Pisarchyk and Lee, "Efficient memory management for deep neural net inference", 2020).
    """
    indices = range(len(lifetimes))
    yield sorted(indices, key=lambda i: (-lifetimes[i].size, lifetimes[i].first)), True
    yield sorted(indices, key=lambda i: (-lifetimes[i].size, lifetimes[i].first)), False
    yield sorted(indices, key=lambda i: (lifetimes[i].first - lifetimes[i].last, -lifetimes[i].size)), False
    busiest = _busiest(lifetimes)
    yield sorted(indices, key=lambda i: (-busiest[i], -lifetimes[i].size)), False
    yield sorted(indices, key=lambda i: -lifetimes[i].size * (lifetimes[i].last - lifetimes[i].first + 1)), False
    yield sorted(indices, key=lambda i: (lifetimes[i].first, -lifetimes[i].size)), False
    yield sorted(indices, key=lambda i: (-lifetimes[i].last, -lifetimes[i].size)), False


def _busiest(lifetimes: Sequence[Lifetime]) -> list[int]:
    """For each tensor, the most bytes that are alive at one of its steps: always where some tensor is born."""
    births = sorted(range(len(lifetimes)), key=lambda index: lifetimes[index].first)
    steps = [lifetimes[index].first for index in births]
    loads, load = [], 0
    alive: list[tuple[int, int]] = []  # heap of (last step, size)
    for index in births:
        while alive and alive[0][0] < lifetimes[index].first:
            load -= heapq.heappop(alive)[1]
        load += lifetimes[index].size
        heapq.heappush(alive, (lifetimes[index].last, lifetimes[index].size))
        loads.append(load)
    most = [0] * len(lifetimes)
    rising: list[tuple[int, int]] = []  # (-position, load) of births from here on that outdo all between; nearest last
    for position in reversed(range(len(births))):
        while rising and rising[-1][1] <= loads[position]:
            rising.pop()
        rising.append((-position, loads[position]))
        until = bisect_right(steps, lifetimes[births[position]].last) - 1
        most[births[position]] = rising[bisect_left(rising, (-until, 0))][1]
    return most


def align(size: int, alignment: int) -> int:
    """The next multiple of ``alignment``."""
    return -(-size // alignment) * alignment


def _rivals(lifetimes: Sequence[Lifetime]) -> list[list[int]] | None:
    """For each tensor those alive at a common step; None when there are more pairs than ``PAIRS``."""
    rivals: list[list[int]] = [[] for _ in lifetimes]
    pairs = len(lifetimes)
    alive: list[int] = []
    for index in sorted(range(len(lifetimes)), key=lambda index: lifetimes[index].first):
        alive = [other for other in alive if lifetimes[other].last >= lifetimes[index].first]
        pairs += len(alive)
        if pairs > PAIRS:
            return None
        for other in alive:
            rivals[index].append(other)
            rivals[other].append(index)
        alive.append(index)
    return rivals


def _swept(lifetimes: Sequence[Lifetime], alignment: int) -> Offsets:
    """One pass over time: each newcomer into the smallest gap among the living, or on top of them."""
    offsets = [0] * len(lifetimes)
    gaps: list[tuple[int, int]] = []  # (size, start), sorted; no two touch
    starts: dict[int, int] = {}  # of a gap -> its end
    ends: dict[int, int] = {}  # the other way round
    dying: list[tuple[int, int]] = []  # heap of (last step, index)
    top = 0

    def forget(start: int) -> int:
        end = starts.pop(start)
        del ends[end], gaps[bisect_left(gaps, (end - start, start))]
        return end

    def free(start: int, end: int) -> None:
        end = forget(end) if end in starts else end
        if start in ends:
            start = ends[start]
            forget(start)
        if start < end:
            starts[start], ends[end] = end, start
            insort(gaps, (end - start, start))

    for index in sorted(range(len(lifetimes)), key=lambda index: (lifetimes[index].first, -lifetimes[index].size)):
        while dying and dying[0][0] < lifetimes[index].first:
            gone = heapq.heappop(dying)[1]
            free(offsets[gone], offsets[gone] + align(lifetimes[gone].size, alignment))
        size = align(lifetimes[index].size, alignment)
        fitting = bisect_left(gaps, (size, 0))
        if fitting < len(gaps):
            offsets[index] = start = gaps[fitting][1]
            free(start + size, forget(start))
        else:
            offsets[index] = start = ends.get(top, top)  # a gap below the top, and more
            if start < top:
                forget(start)
            top = start + size
        heapq.heappush(dying, (lifetimes[index].last, index))
    return tuple(offsets)


@dataclass(frozen=True)
class _Arena:
    """What is to be placed; ``rivals`` are, for each tensor, those alive at a common step."""

    lifetimes: Sequence[Lifetime]
    rivals: list[list[int]]
    alignment: int
    bound: int

    def size(self, offsets: Offsets) -> int:
        """Bytes up to the end of the topmost tensor."""
        return max((start + tensor.size for start, tensor in zip(offsets, self.lifetimes, strict=True)), default=0)

    def two_ends(self) -> Offsets | None:
        """In order of birth alternately at bottom and top of an arena as small as the bound, if they fit."""
        offsets = [0] * len(self.lifetimes)
        for turn, index in enumerate(sorted(range(len(offsets)), key=lambda index: self.lifetimes[index].first)):
            if turn % 2:
                offsets[index] = (self.bound - self.lifetimes[index].size) // self.alignment * self.alignment
        for index, start in enumerate(offsets):
            end = start + self.lifetimes[index].size
            if any(start < offsets[r] + self.lifetimes[r].size and offsets[r] < end for r in self.rivals[index]):
                return None
        return tuple(offsets)

    def placed(self, order: Sequence[int], *, best_fit: bool = False) -> Offsets:
        """Each tensor, in ``order``, among its rivals placed before: as low as possible, or in the smallest gap."""
        offsets = [-1] * len(self.lifetimes)
        for index in order:
            size, offset, found, narrowest = self.lifetimes[index].size, 0, -1, -1
            for start, end in sorted(
                (offsets[r], offsets[r] + self.lifetimes[r].size) for r in self.rivals[index] if offsets[r] >= 0
            ):
                if start >= offset + size:
                    if not best_fit:
                        break
                    if found < 0 or start - offset < narrowest:
                        found, narrowest = offset, start - offset
                offset = max(offset, align(end, self.alignment))
            offsets[index] = offset if found < 0 else found
        return tuple(offsets)

    def supports(self, offsets: Offsets) -> list[int]:
        """The tensors that end at the top of the arena, and those that they rest on, down to the bottom."""
        top = self.size(offsets)
        waiting = [index for index, tensor in enumerate(self.lifetimes) if offsets[index] + tensor.size == top]
        found = set(waiting)
        while waiting:
            index = waiting.pop()
            for rival in self.rivals[index]:
                end = align(offsets[rival] + self.lifetimes[rival].size, self.alignment)
                if rival not in found and end == offsets[index]:
                    found.add(rival)
                    waiting.append(rival)
        return sorted(found)


def _climb(arena: _Arena, order: Sequence[int]) -> Offsets:
    """Improve an order: exchange a tensor under the arena's top with another, and keep what is not worse."""
    current, offsets = list(order), arena.placed(order)
    size = arena.size(offsets)
    draw = random.Random(len(order))  # the same every time
    for _ in range(CLIMB // (len(order) + sum(map(len, arena.rivals)))):
        if size - arena.bound < arena.alignment:
            break
        places = {index: place for place, index in enumerate(current)}
        below = arena.supports(offsets)
        one = places[draw.choice(below)]
        other = places[draw.choice(below)] if draw.random() < 0.5 else draw.randrange(len(current))
        trial = list(current)
        trial[one], trial[other] = trial[other], trial[one]
        moved = arena.placed(trial)
        if arena.size(moved) <= size:
            current, offsets, size = trial, moved, arena.size(moved)
    return offsets


class _Search:
    """Branch and bound over the orders of tensors by rising offset.

    In a best plan that is pushed down as far as it goes, a tensor starts where its highest rival below ends. So
    it suffices to try orders in which offsets do not fall, placing each tensor on its rivals placed before.
    """

    def __init__(self, arena: _Arena, best: Offsets) -> None:
        self.arena, self.best, self.least = arena, best, arena.size(best)
        self.nodes = 0
        self.offsets = [-1] * len(best)

    def run(self) -> Offsets:
        if len(self.offsets) <= FEW:
            self.descend([0] * len(self.offsets), 0, 0, len(self.offsets))
        return self.best

    def descend(self, floors: list[int], lowest: int, top: int, left: int) -> None:
        """Place one more tensor; ``floors`` are the offsets that placed rivals force on those yet to place."""
        if left == 0:
            self.best, self.least = tuple(self.offsets), top
            return
        sizes = self.arena.lifetimes
        waiting = [index for index, offset in enumerate(self.offsets) if offset < 0]
        for index in sorted(waiting, key=lambda index: (max(floors[index], lowest), -sizes[index].size, index)):
            offset = max(floors[index], lowest)
            end = offset + sizes[index].size
            self.nodes += 1
            if self.least == self.arena.bound or self.nodes > NODES:
                return
            if end >= self.least:
                continue
            higher = list(floors)
            for rival in self.arena.rivals[index]:
                higher[rival] = max(higher[rival], align(end, self.arena.alignment))
            if any(max(higher[i], offset) + sizes[i].size >= self.least for i in waiting if i != index):
                continue
            self.offsets[index] = offset
            self.descend(higher, offset, max(top, end), left - 1)
            self.offsets[index] = -1
