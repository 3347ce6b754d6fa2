"""Where the elements of a tensor lie in memory.

ONNX is channels-first, TFLite channels-last. Instead of transposing between the two, every tensor remembers how its
physical dimensions walk through the logical, row-major order of its ONNX elements: a :class:`Dim` has a size and a
stride *in logical elements*. So ``[1, 8, 100]`` held channels-last is ``(1, _), (1, _), (100, 1), (8, 100)``.

In these terms a Reshape never moves anything (the logical order of elements is what it preserves), a Transpose only
renumbers strides, and whether two layouts differ in memory, or only in unit dimensions, is a comparison.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import numpy as np
from numpy.typing import NDArray

UNIT = -1
"""In an order: an inserted dimension of size 1 that is no ONNX axis."""


@dataclass(frozen=True)
class Dim:
    """One physical dimension.

    Attributes:
        size: its length.
        stride: logical elements from one index to the next; says nothing where ``size`` is 1.
        axis: where ``size`` is 1, the ONNX axis that it stands for, or UNIT. Other dimensions tell by their stride.
    """

    size: int
    stride: int
    axis: int = UNIT


Layout = tuple[Dim, ...]


def strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Row-major strides in elements."""
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


def ordered(shape: Sequence[int], order: Sequence[int]) -> Layout:
    """The layout whose dimensions are the axes of ``shape`` in ``order``, which may contain UNIT."""
    steps = strides(shape)
    return tuple(Dim(1, 1) if axis == UNIT else Dim(shape[axis], steps[axis], axis) for axis in order)


def row_major(shape: Sequence[int]) -> Layout:
    """ONNX's own layout."""
    return ordered(shape, range(len(shape)))


def sizes(layout: Layout) -> tuple[int, ...]:
    """The physical shape."""
    return tuple(dim.size for dim in layout)


def bare(layout: Iterable[Dim]) -> Layout:
    """Without unit dimensions."""
    return tuple(Dim(dim.size, dim.stride) for dim in layout if dim.size > 1)


def canonical(layout: Iterable[Dim]) -> Layout:
    """Without unit dimensions, and neighbours that are contiguous merged: equal iff the memory is equal."""
    merged: list[Dim] = []
    for dim in bare(layout):
        joins = merged and merged[-1].stride == dim.size * dim.stride
        merged.append(Dim(merged.pop().size * dim.size, dim.stride) if joins else dim)
    return tuple(merged)


def boundaries(layout: Iterable[Dim]) -> frozenset[int]:
    """The logical distances at which a dimension begins or ends."""
    return frozenset(place for dim in layout for place in (dim.stride, dim.stride * dim.size))


def cut(dims: Iterable[Dim], places: Iterable[int]) -> Layout | None:
    """``dims`` split at each of ``places`` that lies inside one; None where that is uneven."""
    pieces: list[Dim] = []
    for dim in dims:
        end = dim.stride * dim.size
        bounds = [end, *sorted((place for place in places if dim.stride < place < end), reverse=True), dim.stride]
        for high, low in pairwise(bounds):
            if high % low:
                return None
            pieces.append(Dim(high // low, low, dim.axis))
    return tuple(pieces)


def order_of(shape: Sequence[int], layout: Layout) -> tuple[int, ...] | None:
    """The order of the axes of ``shape`` in memory, each exactly once, and UNIT for other unit dimensions.

    None where an axis is not in one piece. ``ordered(shape, order_of(shape, layout))`` has the same memory as
    ``layout``, and the same physical shape where that is possible.
    """
    steps = strides(shape)
    axis_at = {(shape[axis], steps[axis]): axis for axis in range(len(shape)) if shape[axis] > 1}
    free = [axis for axis in range(len(shape)) if shape[axis] == 1]
    if all(dim.size == 1 or (dim.size, dim.stride) in axis_at for dim in layout):
        claimed = {dim.axis for dim in layout if dim.size == 1 and dim.axis in free}
        spare = [axis for axis in free if axis not in claimed]
        order = []
        for dim in layout:
            if dim.size > 1:
                order.append(axis_at[dim.size, dim.stride])
            elif dim.axis in claimed:
                claimed.remove(dim.axis)
                order.append(dim.axis)
            else:
                order.append(spare.pop(0) if spare else UNIT)
    else:
        apart = cut(canonical(layout), boundaries(row_major(shape)))
        if apart is None or any((dim.size, dim.stride) not in axis_at for dim in apart):
            return None
        order, spare = [axis_at[dim.size, dim.stride] for dim in apart], free
    for axis in spare:
        later = [place for place, other in enumerate(order) if other > axis]
        order.insert(later[0] if later else len(order), axis)
    return tuple(order)


def transposed(shape: Sequence[int], layout: Layout, perm: Sequence[int]) -> Layout | None:
    """The same memory seen through an ONNX Transpose; None where a dimension spans axes unevenly."""
    apart = cut(layout, boundaries(row_major(shape)))
    if apart is None:
        return None
    old, new = strides(shape), strides([shape[axis] for axis in perm])
    result = []
    for dim in apart:
        if dim.size == 1:
            known = dim.axis != UNIT and dim.axis < len(shape) and shape[dim.axis] == 1
            result.append(Dim(1, 1, perm.index(dim.axis) if known else UNIT))
        else:
            axis = next(a for a, size in enumerate(shape) if old[a] <= dim.stride < old[a] * size)
            result.append(Dim(dim.size, dim.stride // old[axis] * new[perm.index(axis)]))
    return tuple(result)


def gather(layout: Layout) -> NDArray[np.int64]:
    """The logical element index at each physical position, ``[elements]``."""
    index = np.zeros((), np.int64)
    for dim in canonical(layout):
        index = index[..., None] + np.arange(dim.size, dtype=np.int64) * dim.stride
    return index.reshape(-1)
