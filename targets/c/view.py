"""Where the elements of a value lie: a buffer, and how its memory is walked.

A :class:`View` says for each :class:`Dim` how many elements it has, how far apart they are in the row-major order of
the ONNX tensor (``logical``), and how far apart in memory. So a Reshape never moves anything, Transpose, Slice and
Expand only renumber, and a constant that is broadcast has steps of 0 in memory. Where a view cannot say it (an axis
whose parts lie apart), the functions here give None, and the caller copies the value into its row-major order first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod


@dataclass(frozen=True)
class Dim:
    """One dimension of a walk: ``size`` elements, ``logical`` and ``memory`` elements apart."""

    size: int
    logical: int
    memory: int


@dataclass(frozen=True)
class View:
    """A value in memory.

    Attributes:
        base: C identifier of the buffer.
        ctype: C type of its elements.
        shape: in ONNX's axis order.
        dims: all of more than one element, by falling logical distance.
        offset: of its first element in the buffer, in elements.
    """

    base: str
    ctype: str
    shape: tuple[int, ...]
    dims: tuple[Dim, ...]
    offset: int = 0

    @property
    def elements(self) -> int:
        """How many it has."""
        return prod(self.shape)


def strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Row-major strides in elements."""
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


def dense(base: str, ctype: str, shape: tuple[int, ...], order: Sequence[int] | None = None) -> View:
    """A buffer of its own, whose memory goes through the axes in ``order``, the last one fastest."""
    steps, dims, memory = strides(shape), [], 1
    for axis in reversed(range(len(shape)) if order is None else order):
        dims.append(Dim(shape[axis], steps[axis], memory))
        memory *= shape[axis]
    return View(base, ctype, shape, _sorted(dims))


def packed(base: str, ctype: str, shape: tuple[int, ...], like: Iterable[Dim]) -> View:
    """A buffer of its own, walked by ``like``'s logical distances, the last of them fastest in memory."""
    dims, memory = [], 1
    for dim in reversed(tuple(like)):
        dims.append(Dim(dim.size, dim.logical, memory))
        memory *= dim.size
    return View(base, ctype, shape, _sorted(dims))


def boundaries(view: View) -> frozenset[int]:
    """The logical distances at which it must be cut: where a run in memory begins or ends."""
    return frozenset(place for dim in _joined(view.dims) for place in (dim.logical, dim.logical * dim.size))


def axis_boundaries(shape: Sequence[int]) -> frozenset[int]:
    """Those of the axes of a shape."""
    return frozenset((prod(shape), *strides(shape)))


def cut(view: View, places: Iterable[int]) -> View | None:
    """The same walk, its dimensions split at each of ``places`` that lies inside one; None where that is uneven."""
    dims: list[Dim] = []
    known = sorted(places, reverse=True)
    for dim in _joined(view.dims):
        end = dim.logical * dim.size
        bounds = [end, *(place for place in known if dim.logical < place < end), dim.logical]
        for high, low in pairwise(bounds):
            if high % low or low % dim.logical:
                return None
            dims.append(Dim(high // low, low, low // dim.logical * dim.memory))
    return replace(view, dims=_sorted(dims))


def axes(view: View) -> tuple[tuple[Dim, ...], ...] | None:
    """The dimensions of each axis, outer first; none of an axis of size 1. None where one spans axes unevenly."""
    apart = cut(view, axis_boundaries(view.shape))
    if apart is None:
        return None
    return tuple(
        tuple(dim for dim in apart.dims if step <= dim.logical < step * size)
        for step, size in zip(strides(view.shape), view.shape, strict=True)
    )


def reshaped(view: View, shape: tuple[int, ...]) -> View:
    """The same elements in another shape; nothing moves."""
    return replace(view, shape=shape)


def transposed(view: View, perm: Sequence[int]) -> View | None:
    """The same memory with its axes in another order."""
    apart = axes(view)
    if apart is None:
        return None
    shape = tuple(view.shape[axis] for axis in perm)
    return _renumbered(view, shape, [apart[axis] for axis in perm], [view.shape[axis] for axis in perm])


def sliced(view: View, axis: int, start: int, count: int, step: int = 1) -> View | None:
    """``count`` of the elements of an axis."""
    apart = axes(view)
    if apart is None or len(apart[axis]) > 1:
        return None
    shape = tuple(count if at == axis else size for at, size in enumerate(view.shape))
    parts = list(apart)
    if not parts[axis]:  # an axis of one element
        return _renumbered(view, shape, parts, list(view.shape))
    (dim,) = parts[axis]
    parts[axis] = (Dim(count, dim.logical, dim.memory * step),) if count > 1 else ()
    moved = replace(view, offset=view.offset + start * dim.memory)
    return _renumbered(moved, shape, parts, list(view.shape))


def expanded(view: View, shape: tuple[int, ...]) -> View | None:
    """Broadcast to ``shape``, by numpy's rules."""
    short = len(shape) - len(view.shape)
    padded = replace(view, shape=(1,) * short + view.shape)
    if padded.shape == shape:
        return padded
    apart = axes(padded)
    if apart is None:
        return None
    parts = [
        (Dim(size, step, 0),) if own == 1 < size else dims
        for dims, own, size, step in zip(apart, padded.shape, shape, strides(padded.shape), strict=True)
    ]
    return _renumbered(padded, shape, parts, list(padded.shape))


def contiguous(dims: Sequence[Dim]) -> tuple[Dim, ...] | None:
    """``dims`` in the order of memory, outer first, if together they are one dense run; else None."""
    order = sorted(dims, key=lambda dim: -dim.memory)
    memory = 1
    for dim in reversed(order):
        if dim.memory != memory:
            return None
        memory *= dim.size
    return tuple(order)


def is_row_major(view: View) -> bool:
    """Whether it begins its buffer and memory goes through it in the order of the ONNX tensor, without gaps."""
    return view.offset == 0 and all(dim.memory == dim.logical for dim in view.dims)


def _renumbered(view: View, shape: tuple[int, ...], parts: Sequence[tuple[Dim, ...]], was: Sequence[int]) -> View:
    """``view`` in a new shape, whose axes have the dimensions ``parts``, cut from axes of the sizes ``was``."""
    dims = []
    for own, step, size, old in zip(parts, strides(shape), shape, was, strict=True):
        if len(own) == 1:
            dims.append(Dim(own[0].size, step, own[0].memory))
        elif own:
            if size != old:
                raise ValueError("an axis in several parts keeps its size")
            innermost = own[0].logical * own[0].size // size  # the axis' own distance, before
            dims += [Dim(dim.size, dim.logical // innermost * step, dim.memory) for dim in own]
    return View(view.base, view.ctype, shape, _sorted(dims), view.offset)


def _joined(dims: Iterable[Dim]) -> tuple[Dim, ...]:
    """Neighbours that are one run in memory as one dimension, so that they can be cut elsewhere."""
    joined: list[Dim] = []
    for dim in dims:
        before = joined[-1] if joined else None
        if before is not None and before.memory == dim.size * dim.memory and before.logical == dim.size * dim.logical:
            joined[-1] = Dim(before.size * dim.size, dim.logical, dim.memory)
        else:
            joined.append(dim)
    return tuple(joined)


def _sorted(dims: Iterable[Dim]) -> tuple[Dim, ...]:
    return tuple(sorted((dim for dim in dims if dim.size > 1), key=lambda dim: -dim.logical))
