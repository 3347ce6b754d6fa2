"""Arena plans: literal cases, brute force on small ones, and a checker that must catch each fault."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def test_very_many_tensors_at_once_are_stacked() -> None:
    crowd = lives(*((8, 0, 5) for _ in range(1_100)))  # 604,450 pairs
    made = plan(crowd, alignment=8)
    check(made, crowd)
    assert made.size == made.bound == 8 * 1_100


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
