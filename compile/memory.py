"""Where activations live: the least memory they can need, a plan that places them, and a checker of plans.

Two activations may share bytes when their lifetimes do not meet. :func:`plan` assigns offsets in one arena;
:func:`check` re-verifies a plan by other code than that which made it. In-place execution is not assumed, so that a
runtime which has it needs less.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from compile.errors import Bug
from targets.base import Lifetime

ALIGNMENT = 64  # bytes; what LiteRT's arena and ONNX Runtime's allocator give every tensor
NODES = 4_000  # of the exact search
PAIRS = 500_000  # of tensors alive together; more would take seconds to place


@dataclass(frozen=True)
class Plan:
    """An arena.

    Attributes:
        offsets: byte offset of each tensor, in the order of the lifetimes that were planned.
        size: bytes of the arena.
        bound: no plan whatsoever is smaller than this many bytes.
        alignment: every offset is a multiple of it.
    """

    offsets: tuple[int, ...]
    size: int
    bound: int
    alignment: int


def lower_bound(lifetimes: Sequence[Lifetime], alignment: int = 1) -> int:
    """The bytes that any arena needs: the most that is alive in one step.

    Tensors stacked at aligned offsets each take their rounded size, except the topmost, which may end unrounded: at
    best it is the one with the most rounding.
    """
    most = total = 0
    ends: list[tuple[int, int]] = []  # heaps of what is alive: (last step, rounded size), (-rounding, last step)
    roundings: list[tuple[int, int]] = []
    for tensor in sorted(lifetimes, key=lambda tensor: tensor.first):
        while ends and ends[0][0] < tensor.first:
            total -= heapq.heappop(ends)[1]
        rounded = _align(tensor.size, alignment)
        heapq.heappush(ends, (tensor.last, rounded))
        heapq.heappush(roundings, (tensor.size - rounded, tensor.last))
        while roundings[0][1] < tensor.first:
            heapq.heappop(roundings)
        total += rounded
        most = max(most, total + roundings[0][0])
    return most


def plan(lifetimes: Sequence[Lifetime], alignment: int = ALIGNMENT) -> Plan:
    """Place every tensor; deterministic.

    The best of the two ends of an arena (exact for a chain, up to alignment), several greedy orders and, where those
    miss the bound, a search that is exact if it ends within ``NODES`` nodes.

    Raises:
        Bug: a lifetime ends before it begins, or has a negative size.
    """
    for tensor in lifetimes:
        if tensor.size < 0 or tensor.last < tensor.first:
            raise Bug(f"impossible lifetime of tensor '{tensor.tensor}': {tensor}")
    bound = lower_bound(lifetimes, alignment)
    rivals = _rivals(lifetimes)
    if rivals is None:
        return _stack(lifetimes, bound, alignment)
    best = _two_ends(lifetimes, rivals, bound, alignment) or _stack(lifetimes, bound, alignment)
    for key in _ORDERS:
        if best.size == bound:
            return best
        order = sorted(range(len(lifetimes)), key=lambda index: (key(lifetimes[index]), index))
        offsets = _first_fit(lifetimes, rivals, order, alignment)
        candidate = Plan(offsets, _size(lifetimes, offsets), bound, alignment)
        best = min(best, candidate, key=lambda plan: plan.size)
    return _Search(lifetimes, rivals, best).run()


def check(plan: Plan, lifetimes: Sequence[Lifetime]) -> None:
    """Verify a plan, trusting nothing of how it was made.

    Sweeps over time with the living tensors ordered by offset: a newcomer must fit between its neighbours.

    Raises:
        Bug: two tensors share bytes while both live, one sticks out of the arena or lies at an unaligned offset, or the
            arena is smaller than the bound it claims.
    """
    if len(plan.offsets) != len(lifetimes):
        raise Bug(f"the plan has {len(plan.offsets)} offsets for {len(lifetimes)} tensors")
    if plan.size < plan.bound:
        raise Bug(f"the arena of {plan.size} bytes is below its lower bound of {plan.bound}")
    placed = [(start, start + t.size, t) for start, t in zip(plan.offsets, lifetimes, strict=True)]
    for start, end, tensor in placed:
        if start < 0 or end > plan.size:
            raise Bug(f"tensor '{tensor.tensor}' at [{start}, {end}) is outside the arena of {plan.size} bytes")
        if start % plan.alignment:
            raise Bug(f"tensor '{tensor.tensor}' at {start} is not aligned to {plan.alignment}")
    events = [(t.first, 1, start, end) for start, end, t in placed if t.size]
    events += [(t.last + 1, 0, start, end) for start, end, t in placed if t.size]  # at one step, leave before entering
    alive: list[tuple[int, int]] = []
    for step, entering, start, end in sorted(events):
        position = bisect_left(alive, (start, end))
        if not entering:
            del alive[position]
            continue
        below = position > 0 and alive[position - 1][1] > start
        above = position < len(alive) and alive[position][0] < end
        if below or above:
            raise Bug(f"two living tensors share bytes of [{start}, {end}) at step {step}")
        insort(alive, (start, end))


_ORDERS: tuple[Callable[[Lifetime], tuple[int, ...]], ...] = (
    lambda tensor: (-tensor.size,),
    lambda tensor: (tensor.first - tensor.last, -tensor.size),
    lambda tensor: (-tensor.size * (tensor.last - tensor.first + 1),),
    lambda tensor: (tensor.first, -tensor.size),
    lambda tensor: (-tensor.last, -tensor.size),
)


def _align(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment


def _size(lifetimes: Sequence[Lifetime], offsets: Sequence[int]) -> int:
    return max((start + tensor.size for start, tensor in zip(offsets, lifetimes, strict=True)), default=0)


def _rivals(lifetimes: Sequence[Lifetime]) -> list[list[int]] | None:
    """For each tensor those alive at a common step; None when there are more pairs than ``PAIRS``."""
    rivals: list[list[int]] = [[] for _ in lifetimes]
    pairs = 0
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


def _stack(lifetimes: Sequence[Lifetime], bound: int, alignment: int) -> Plan:
    """All tensors side by side: always valid, and wasteful."""
    offsets, top = [], 0
    for tensor in lifetimes:
        offsets.append(top)
        top += _align(tensor.size, alignment)
    return Plan(tuple(offsets), _size(lifetimes, offsets), bound, alignment)


def _two_ends(lifetimes: Sequence[Lifetime], rivals: list[list[int]], bound: int, alignment: int) -> Plan | None:
    """Tensors in order of birth alternately at bottom and top of an arena as small as the bound, if they fit."""
    offsets = [0] * len(lifetimes)
    for turn, index in enumerate(sorted(range(len(lifetimes)), key=lambda index: lifetimes[index].first)):
        if turn % 2:
            offsets[index] = (bound - lifetimes[index].size) // alignment * alignment
    for index, start in enumerate(offsets):
        end = start + lifetimes[index].size
        if any(start < offsets[r] + lifetimes[r].size and offsets[r] < end for r in rivals[index]):
            return None
    return Plan(tuple(offsets), _size(lifetimes, offsets), bound, alignment)


def _first_fit(
    lifetimes: Sequence[Lifetime], rivals: list[list[int]], order: Sequence[int], alignment: int
) -> tuple[int, ...]:
    """Give each tensor, in ``order``, the lowest offset at which no placed rival is in its way."""
    offsets = [-1] * len(lifetimes)
    for index in order:
        offset = 0
        for start, end in sorted(
            (offsets[r], offsets[r] + lifetimes[r].size) for r in rivals[index] if offsets[r] >= 0
        ):
            if start >= offset + lifetimes[index].size:
                break
            offset = max(offset, _align(end, alignment))
        offsets[index] = offset
    return tuple(offsets)


class _Search:
    """Branch and bound over the orders of tensors by rising offset.

    In a best plan that is pushed down as far as it goes, a tensor starts where its highest rival below ends. So
    it suffices to try orders in which offsets do not fall, placing each tensor on its rivals placed before.
    """

    def __init__(self, lifetimes: Sequence[Lifetime], rivals: list[list[int]], best: Plan) -> None:
        self.lifetimes, self.rivals, self.best = lifetimes, rivals, best
        self.nodes = 0
        self.offsets = [-1] * len(lifetimes)

    def run(self) -> Plan:
        if len(self.lifetimes) <= 64:
            self.descend([0] * len(self.lifetimes), 0, 0, len(self.lifetimes))
        return self.best

    def descend(self, floors: list[int], lowest: int, top: int, left: int) -> None:
        """Place one more tensor; ``floors`` are the offsets that placed rivals force on those yet to place."""
        if left == 0:
            self.best = Plan(tuple(self.offsets), top, self.best.bound, self.best.alignment)
            return
        waiting = [index for index, offset in enumerate(self.offsets) if offset < 0]
        for index in sorted(
            waiting, key=lambda index: (max(floors[index], lowest), -self.lifetimes[index].size, index)
        ):
            offset = max(floors[index], lowest)
            end = offset + self.lifetimes[index].size
            self.nodes += 1
            if self.best.size == self.best.bound or self.nodes > NODES:
                return
            if end >= self.best.size:
                continue
            higher = list(floors)
            for rival in self.rivals[index]:
                higher[rival] = max(higher[rival], _align(end, self.best.alignment))
            if any(max(higher[i], offset) + self.lifetimes[i].size >= self.best.size for i in waiting if i != index):
                continue
            self.offsets[index] = offset
            self.descend(higher, offset, max(top, end), left - 1)
            self.offsets[index] = -1
