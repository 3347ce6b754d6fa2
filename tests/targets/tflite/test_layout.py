"""Layouts against numpy: the layout says which logical element lies where, numpy says which one should."""

from __future__ import annotations

from math import prod

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from targets.tflite.layout import (
    UNIT,
    Dim,
    bare,
    boundaries,
    canonical,
    cut,
    gather,
    order_of,
    ordered,
    row_major,
    sizes,
    transposed,
)

SHAPES = st.lists(st.integers(1, 4), min_size=0, max_size=4).map(tuple)


@st.composite
def orders(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A shape, and an order of its axes with UNIT here and there."""
    shape = draw(SHAPES)
    order = draw(st.permutations([*range(len(shape)), *[UNIT] * draw(st.integers(0, 2))]))
    return shape, tuple(order)


def logical(shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(prod(shape)).reshape(shape)


@given(orders())
def test_an_ordered_layout_is_a_numpy_transpose(case: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    shape, order = case
    expected = logical(shape).transpose([axis for axis in order if axis != UNIT])
    np.testing.assert_array_equal(gather(ordered(shape, order)), expected.reshape(-1))
    assert prod(sizes(ordered(shape, order))) == prod(shape)


@given(orders())
def test_the_order_of_a_layout_is_read_back(case: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    shape, order = case
    layout = ordered(shape, order)
    assert order_of(shape, layout) == order
    # Without unit dimensions the memory is the same, and so is that of the order that is found.
    found = order_of(shape, bare(layout))
    assert found is not None
    assert sorted(found) == list(range(len(shape)))
    assert canonical(ordered(shape, found)) == canonical(layout)


@given(orders(), st.randoms(use_true_random=False))
def test_a_transpose_renumbers_without_moving(case: tuple[tuple[int, ...], tuple[int, ...]], random: object) -> None:
    shape, order = case
    perm = list(range(len(shape)))
    random.shuffle(perm)  # type: ignore[attr-defined]  # hypothesis types its Random as object here
    layout = ordered(shape, order)
    result = transposed(shape, layout, perm)
    assert result is not None
    memory = logical(shape).reshape(-1)[gather(layout)]
    # Element j of the transposed tensor is element logical(shape).transpose(perm).flat[j] of the original.
    np.testing.assert_array_equal(logical(shape).transpose(perm).reshape(-1)[gather(result)], memory)


def test_layouts_that_differ_in_unit_dimensions_are_the_same_memory() -> None:
    assert canonical(ordered((1, 1, 100), (0, UNIT, 2, 1))) == canonical(row_major((1, 1, 100)))
    assert canonical(ordered((1, 8, 100), (0, UNIT, 2, 1))) != canonical(row_major((1, 8, 100)))


def test_a_flattened_channels_last_tensor_has_no_order() -> None:
    layout = ordered((1, 8, 5), (0, UNIT, 2, 1))
    assert order_of((1, 40), layout) is None
    assert order_of((8, 5), layout) == (UNIT, UNIT, 1, 0)
    np.testing.assert_array_equal(gather(layout), np.arange(40).reshape(8, 5).T.reshape(-1))


def test_dimensions_are_cut_only_where_they_divide() -> None:
    six = (Dim(6, 1),)
    assert cut(six, boundaries([Dim(2, 3), Dim(3, 1)])) == (Dim(2, 3), Dim(3, 1))
    assert cut(six, boundaries([Dim(4, 1)])) is None
    # An axis that straddles the halves of a transposed memory cannot be followed.
    assert transposed((3, 4), (Dim(6, 1), Dim(2, 6)), (1, 0)) is None
