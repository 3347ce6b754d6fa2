"""Where activations live: the least memory they can need, a plan that places them, and a checker of plans.

Two activations may share bytes when their lifetimes do not meet. :func:`plan` assigns offsets in one arena
(``placement.py`` says how); :func:`check` re-verifies a plan by other code than that which made it. What a runtime
computes in place is one lifetime to begin with.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass

from compile.errors import Bug
from compile.placement import FEW, align, place
from targets.base import Lifetime

ALIGNMENT = 64  # bytes; what LiteRT's arena and ONNX Runtime's allocator give every tensor


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
        rounded = align(tensor.size, alignment)
        heapq.heappush(ends, (tensor.last, rounded))
        heapq.heappush(roundings, (tensor.size - rounded, tensor.last))
        while roundings[0][1] < tensor.first:
            heapq.heappop(roundings)
        total += rounded
        most = max(most, total + roundings[0][0])
    return most


def plan(lifetimes: Sequence[Lifetime], alignment: int = ALIGNMENT) -> Plan:
    """Place every tensor; deterministic.

    Where there are many, those alive from the first step to the last are stacked at the bottom: wherever they lie, they
    cost the others as much (up to their rounding).

    Raises:
        Bug: a lifetime ends before it begins, or has a negative size.
    """
    for tensor in lifetimes:
        if tensor.size < 0 or tensor.last < tensor.first:
            raise Bug(f"impossible lifetime of tensor '{tensor.tensor}': {tensor}")
    bound = lower_bound(lifetimes, alignment)
    whole = (min((t.first for t in lifetimes), default=0), max((t.last for t in lifetimes), default=0))
    lasting = [index for index, t in enumerate(lifetimes) if (t.first, t.last) == whole and len(lifetimes) > FEW]
    lasting.sort(key=lambda index: align(lifetimes[index].size, alignment) - lifetimes[index].size)  # the roundest top
    offsets = [0] * len(lifetimes)
    base = 0
    for index in lasting:
        offsets[index] = base
        base += align(lifetimes[index].size, alignment)
    passing = sorted(set(range(len(lifetimes))) - set(lasting))
    others = [lifetimes[index] for index in passing]
    for index, offset in zip(passing, place(others, alignment, lower_bound(others, alignment)), strict=True):
        offsets[index] = base + offset
    size = max((start + t.size for start, t in zip(offsets, lifetimes, strict=True)), default=0)
    return Plan(tuple(offsets), size, bound, alignment)


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
