"""Views against numpy: whatever is reshaped, transposed, sliced and broadcast, its elements are found in memory."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from targets.c.nest import aligned, merged
from targets.c.view import View, dense, expanded, packed, reshaped, sliced, transposed

Drawn = tuple[View, NDArray[Any]]


def elements(view: View) -> NDArray[np.int64]:
    """The places in memory of the elements, in the row-major order of the tensor."""
    number = np.arange(prod(view.shape))
    places = np.full(number.shape, view.offset)
    for dim in view.dims:
        places += number // dim.logical % dim.size * dim.memory
    return places


@st.composite
def views(draw: Any) -> Drawn:
    """A buffer in any order of its axes, after a few operators; and what numpy makes of its contents."""
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    order = draw(st.permutations(range(len(shape))))
    view = dense("v", "float", shape, order)
    memory = np.arange(prod(shape))
    array = memory.reshape([shape[axis] for axis in order]).transpose(np.argsort(order))
    for _ in range(draw(st.integers(0, 4))):
        made, array = draw(st.sampled_from([flattened, turned, cut, repeated]))(draw, view, array)
        if made is None:  # what cannot be said without a copy is copied
            return dense("v", "float", view.shape), np.arange(prod(view.shape)).reshape(view.shape)
        view = made
    return view, array


def flattened(draw: Any, view: View, array: Any) -> tuple[View | None, Any]:
    sizes = [size for size in array.shape if size > 1] or [1]
    at = draw(st.integers(0, len(sizes) - 1))
    shape = (*sizes[:at], prod(sizes[at:])) if draw(st.booleans()) else (prod(sizes), 1)
    return reshaped(view, shape), array.reshape(shape)


def turned(draw: Any, view: View, array: Any) -> tuple[View | None, Any]:
    perm = draw(st.permutations(range(array.ndim)))
    return transposed(view, perm), array.transpose(perm)


def cut(draw: Any, view: View, array: Any) -> tuple[View | None, Any]:
    axis = draw(st.integers(0, array.ndim - 1))
    start, step = draw(st.integers(0, array.shape[axis] - 1)), draw(st.integers(1, 2))
    count = draw(st.integers(1, (array.shape[axis] - start - 1) // step + 1))
    picked = np.take(array, range(start, start + count * step, step), axis)
    return sliced(view, axis, start, count, step), picked


def repeated(draw: Any, view: View, array: Any) -> tuple[View | None, Any]:
    shape = (2, *(3 if size == 1 and draw(st.booleans()) else size for size in array.shape))
    return expanded(view, shape), np.broadcast_to(array, shape)


@settings(max_examples=300)
@given(views())
def test_elements_are_found(drawn: Drawn) -> None:
    view, array = drawn
    assert view.shape == array.shape
    assert elements(view).tolist() == array.reshape(-1).tolist()


@settings(max_examples=200)
@given(views())
def test_loops_visit_each_element_once(drawn: Drawn) -> None:
    view, array = drawn
    copy = packed("w", "float", view.shape, view.dims)
    dims = aligned([copy, view])
    assert dims is not None
    places = np.zeros((1, 2), np.int64)
    for loop in merged(dims):
        steps = np.arange(loop.size)[:, None] * np.array(loop.steps)
        places = (places[:, None] + steps).reshape(-1, 2)
    found = dict(np.add(places, [0, view.offset]).tolist())
    assert [found[at] for at in range(array.size)] == array.reshape(-1).tolist()
