"""Arena plans: literal cases, brute force on small ones, and a checker that must catch each fault."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from itertools import pairwise, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compile import placement
from compile.errors import Bug
from compile.memory import ALIGNMENT, Plan, check, lower_bound, plan
from targets.base import Lifetime


def lives(*rows: tuple[int, int, int]) -> list[Lifetime]:
    return [Lifetime(f"t{index}", size, first, last) for index, (size, first, last) in enumerate(rows)]


_LIVES = st.lists(
    st.tuples(st.integers(0, 300), st.integers(0, 12), st.integers(0, 6)).map(
        lambda row: (row[0], row[1], row[1] + row[2])
    ),
    max_size=14,
).map(lambda rows: lives(*rows))


def brute_force(lifetimes: list[Lifetime], alignment: int) -> int:
    """The least arena over every order, each tensor at the lowest place that those alive with it leave free."""

    def meet(a: Lifetime, b: Lifetime) -> bool:
        return bool(set(range(a.first, a.last + 1)) & set(range(b.first, b.last + 1)))

    best = 10**9
    for order in permutations(lifetimes):
        placed: list[tuple[int, Lifetime]] = []
        for tensor in order:
            others = [(at, other) for at, other in placed if meet(tensor, other)]
            offset = 0
            while any(at < offset + tensor.size and offset < at + other.size for at, other in others):
                offset += alignment
            placed.append((offset, tensor))
        best = min(best, max(at + tensor.size for at, tensor in placed))
    return best


def test_a_chain_needs_its_two_greatest_neighbours() -> None:
    chain = lives((10, 0, 0), (3, 0, 1), (5, 1, 2), (8, 2, 3), (1, 3, 3))
    assert lower_bound(chain) == 13  # 10 + 3 and 5 + 8
    assert plan(chain, alignment=1).size == 13


def test_tensors_that_never_meet_share_bytes() -> None:
    made = plan(lives((100, 0, 0), (70, 1, 1)), alignment=1)
    assert (made.size, made.bound) == (100, 100)


def test_rounding_up_to_the_alignment_is_not_charged_to_the_top() -> None:
    both = lives((100, 0, 0), (100, 0, 0))
    assert lower_bound(both, 64) == 228
    assert plan(both, 64).size == 228


def test_nothing_needs_nothing() -> None:
    assert plan([]) == Plan((), 0, 0, ALIGNMENT)


@given(_LIVES)
def test_the_bound_is_what_counting_says(lifetimes: list[Lifetime]) -> None:
    counted = [sum(t.size for t in lifetimes if t.first <= step <= t.last) for step in range(20)]
    assert lower_bound(lifetimes) == max(counted)


@given(_LIVES, st.sampled_from([1, 16, 64]))
def test_a_plan_passes_its_checker(lifetimes: list[Lifetime], alignment: int) -> None:
    made = plan(lifetimes, alignment)
    check(made, lifetimes)
    assert made.bound == lower_bound(lifetimes, alignment)
    assert plan(lifetimes, alignment) == made


@settings(max_examples=60, deadline=None)
@given(_LIVES.filter(lambda lifetimes: 0 < len(lifetimes) <= 5), st.sampled_from([1, 16]))
def test_small_graphs_are_planned_exactly(lifetimes: list[Lifetime], alignment: int) -> None:
    assert plan(lifetimes, alignment).size == brute_force(lifetimes, alignment)


@given(st.lists(st.integers(1, 10_000), min_size=2, max_size=200))
def test_chains_are_planned_exactly(sizes: list[int]) -> None:
    chain = lives(*((size, max(step - 1, 0), step) for step, size in enumerate(sizes)))
    assert plan(chain, alignment=1).size == max(a + b for a, b in pairwise(sizes))


def crowd(count: int, duration: int, seed: int = 1) -> list[Lifetime]:
    """Tensors of 16 bytes to 64 kB, each log-uniform, that live ``duration`` steps on average."""
    draw = random.Random(seed)
    firsts = [draw.randrange(count) for _ in range(count)]
    return lives(
        *((int(2 ** draw.uniform(4, 16)), f, min(count - 1, f + int(draw.expovariate(1 / duration)))) for f in firsts)
    )


def residual(count: int, seed: int = 2) -> list[Lifetime]:
    """A deep network: most tensors are read by the next layer, some up to 8 layers later."""
    draw = random.Random(seed)
    return lives(*((int(2 ** draw.uniform(8, 14)), i, i + draw.choice([1, 1, 1, 2, 3, 8])) for i in range(count)))


@pytest.mark.parametrize(
    ("lifetimes", "ratio"),
    [
        (residual(60), 1.01),
        (residual(1_000), 1.01),
        (residual(5_000), 1.01),
        (crowd(300, 30), 1.05),
        (crowd(3_000, 3), 1.01),
        (crowd(1_500, 400), 1.25),  # 400,000 pairs: one pass
        (crowd(20_000, 40), 1.25),
    ],
    ids=lambda value: str(len(value)) if isinstance(value, list) else "",
)
def test_large_graphs_come_near_the_bound_in_bounded_time(lifetimes: list[Lifetime], ratio: float) -> None:
    """Ratios leave a quarter of what was measured; 5 seconds of CPU are ten times as much as it takes."""
    start = time.process_time()
    made = plan(lifetimes)
    assert time.process_time() - start < 5
    check(made, lifetimes)
    assert made.size <= ratio * made.bound


def test_what_lives_throughout_costs_its_own_size() -> None:
    """1,000 kept weights beside a network of 3,000 layers: 4 million pairs if they were planned with the others."""
    network = residual(3_000)
    final = max(tensor.last for tensor in network)
    kept = lives(*((64 * (index % 50 + 1), 0, final) for index in range(1_000)))
    made, alone = plan([*network, *kept]), plan(network)
    check(made, [*network, *kept])
    assert made.size == alone.size + sum(tensor.size for tensor in kept)


@given(_LIVES, st.sampled_from([1, 16, 64]))
def test_one_pass_over_time_is_a_plan_too(lifetimes: list[Lifetime], alignment: int) -> None:
    """What is done for graphs of very many tensors, on small ones."""
    crowded = lives(*((t.size, t.first, t.last) for t in lifetimes))
    offsets = placement._swept(crowded, alignment)
    size = max((start + tensor.size for start, tensor in zip(offsets, crowded, strict=True)), default=0)
    check(Plan(offsets, size, lower_bound(crowded, alignment), alignment), crowded)


@settings(max_examples=150)
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 20), st.integers(0, 6)), min_size=8, max_size=24))
def test_no_single_greedy_order_is_better(rows: list[tuple[int, int, int]]) -> None:
    """Among them that of most runtimes: by falling size, as low as possible."""
    lifetimes = lives(*((64 * size, first, first + length) for size, first, length in rows))
    made = plan(lifetimes)
    for key in (lambda t: -t.size, lambda t: t.first, lambda t: -t.last, lambda t: t.first - t.last):
        placed: list[tuple[int, Lifetime]] = []
        for tensor in sorted(lifetimes, key=key):
            met = sorted((at, at + t.size) for at, t in placed if t.first <= tensor.last and tensor.first <= t.last)
            offset = 0
            for start, end in met:
                if offset + tensor.size <= start:
                    break
                offset = max(offset, end)
            placed.append((offset, tensor))
        assert made.size <= max(at + t.size for at, t in placed)


_GOOD = lives((64, 0, 1), (64, 1, 2), (64, 2, 3))


@pytest.mark.parametrize(
    ("offsets", "size", "complaint"),
    [
        ((0, 0, 64), 128, "share bytes"),
        ((0, 64, 64), 128, "share bytes"),
        ((0, 32, 0), 128, "not aligned"),
        ((0, 128, 0), 128, "outside the arena"),
        ((0, -64, 0), 128, "outside the arena"),
        ((0, 64), 128, "2 offsets for 3"),
        ((0, 64, 0), 100, "below its lower bound"),
    ],
)
def test_the_checker_catches(offsets: tuple[int, ...], size: int, complaint: str) -> None:
    with pytest.raises(Bug, match=complaint):
        check(Plan(offsets, size, 128, 64), _GOOD)


@given(_LIVES, st.data())
def test_the_checker_agrees_with_comparing_all_pairs(lifetimes: list[Lifetime], data: st.DataObject) -> None:
    offsets = tuple(data.draw(st.integers(0, 400)) for _ in lifetimes)
    size = max((at + t.size for at, t in zip(offsets, lifetimes, strict=True)), default=0)
    placed = list(zip(offsets, lifetimes, strict=True))
    clash = any(
        a < b + u.size and b < a + t.size and t.first <= u.last and u.first <= t.last and t.size and u.size
        for i, (a, t) in enumerate(placed)
        for b, u in placed[:i]
    )
    try:
        check(Plan(offsets, size, 0, 1), lifetimes)
    except Bug:
        assert clash
    else:
        assert not clash


@pytest.mark.parametrize("broken", [Lifetime("x", 1, 3, 2), Lifetime("x", -1, 0, 0)])
def test_an_impossible_lifetime_is_our_bug(broken: Lifetime) -> None:
    with pytest.raises(Bug, match="impossible lifetime of tensor 'x'"):
        plan([broken])


def test_a_plan_is_not_its_own_judge() -> None:
    made = plan(_GOOD)
    with pytest.raises(Bug):
        check(replace(made, offsets=(0, 0, 0)), _GOOD)
