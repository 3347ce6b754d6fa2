"""Operators that move elements. Reshape, Transpose, Slice and Expand only look at memory otherwise; the rest copies."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from targets.c.emitter import COPIES, Emitter, ctype_of
from targets.c.source import identifier, real
from targets.c.view import View, axes, dense, sliced, transposed
from targets.kernels import Kernel


def reshape(e: Emitter, kernel: Kernel) -> None:
    """Nothing moves: the order of the elements is what it preserves."""
    e.shaped(kernel.output, e.place(kernel.inputs[0]))


def transpose(e: Emitter, kernel: Kernel) -> None:
    """Nothing moves."""
    x, perm = e.place(kernel.inputs[0]), kernel.attributes["perm"]
    turned = transposed(x, perm) or transposed(e.copied(x), perm)
    if turned is not None:
        e.shaped(kernel.output, turned)


def slice_(e: Emitter, kernel: Kernel) -> None:
    """Nothing moves."""
    x = e.place(kernel.inputs[0])
    starts, ends, along, steps = (e.numbers(name) for name in kernel.inputs[1:5])
    for start, end, axis, step in zip(starts, ends, along, steps, strict=True):
        x = part(e, x, axis, start, -(-(min(end, x.shape[axis]) - start) // step), step)
    e.shaped(kernel.output, x)


def expand(e: Emitter, kernel: Kernel) -> None:
    """Nothing moves: what is repeated has a step of 0."""
    x, shape = e.place(kernel.inputs[0]), e.tensor(kernel.output).shape
    e.shaped(kernel.output, e.broadcast(x, shape))


def concat(e: Emitter, kernel: Kernel) -> None:
    """Each input to its place in one buffer, which lies as the first of them that is computed does."""
    axis, shape = int(kernel.attributes["axis"]), e.tensor(kernel.output).shape
    known = [name for name in kernel.inputs if name in e.places]
    order = order_of(e.places[known[0]]) if known else tuple(range(len(shape)))
    for name in kernel.inputs:
        if name in e.program.inputs and name not in e.places:
            enter_state(e, name, order)
    views = [e.place(name) for name in kernel.inputs]
    joined = e.fresh(views[0].ctype, shape, order)
    start = 0
    for view in views:
        if size := view.shape[axis]:
            e.copy(part(e, joined, axis, start, size), view)
        start += size
    e.shaped(kernel.output, joined)


def pad(e: Emitter, kernel: Kernel) -> None:
    """A constant around the elements; negative pads crop."""
    pads = e.numbers(kernel.inputs[1])
    half = len(pads) // 2
    value = e.constant(kernel.inputs[2]) if len(kernel.inputs) > 2 and kernel.inputs[2] else None
    number = 0.0 if value is None else float(value.reshape(-1)[0])
    parameters = e.tensor(kernel.inputs[0]).quantization
    if parameters is not None:
        integer = round(number / float(parameters.scale[0])) + int(parameters.zero_point[0])
        number = max(-128, min(127, integer))
    e.shaped(kernel.output, padded(e, e.place(kernel.inputs[0]), pads[:half], pads[half:], number))


def gather(e: Emitter, kernel: Kernel) -> None:
    """Some elements of an axis; where they are evenly apart nothing moves."""
    axis, x = int(kernel.attributes.get("axis", 0)), e.place(kernel.inputs[0])
    picked = e.numbers(kernel.inputs[1])
    apart = {after - before for before, after in pairwise(picked)}
    step = next(iter(apart)) if len(apart) == 1 else 1
    if len(picked) == 1 or (len(apart) == 1 and step > 0):
        e.shaped(kernel.output, part(e, x, axis, picked[0], len(picked), step))
        return
    order = order_of(x)
    made = e.fresh(x.ctype, e.tensor(kernel.output).shape, order)
    x = x if _single(x, axis) else e.copied(x)
    where = e.table(f"{identifier(kernel.node)}_where", np.array(picked, np.int32))
    far, near = axis_step(made, axis), axis_step(x, axis)
    first, source = part(e, made, axis, 0, 1), part(e, x, axis, 0, 1)
    form = COPIES[x.ctype].removeprefix("phiz_copy_")
    e.nest(f"phiz_pick_{form}", [first, source], (0, 1), (where, str(len(picked)), str(far), str(near)))
    e.shaped(kernel.output, made)


def part(e: Emitter, view: View, axis: int, start: int, count: int, step: int = 1) -> View:
    """Some elements of an axis, of a copy where the walk does not say where they lie."""
    cut = sliced(view, axis, start, count, step)
    if cut is None:
        cut = sliced(e.copied(view), axis, start, count, step)
    if cut is None:
        raise ValueError("a row-major view can be sliced")
    return cut


def padded(e: Emitter, view: View, before: Sequence[int], after: Sequence[int], value: float) -> View:
    """``view`` with so many elements of ``value`` around it, in a buffer that lies alike."""
    for axis, (low, high) in enumerate(zip(before, after, strict=True)):
        if low < 0 or high < 0:
            start = max(-low, 0)
            view = part(e, view, axis, start, view.shape[axis] - start - max(-high, 0))
    lows, highs = ([max(number, 0) for number in side] for side in (before, after))
    if not any((*lows, *highs)):
        return view
    shape = tuple(low + size + high for low, size, high in zip(lows, view.shape, highs, strict=True))
    whole = e.fresh(view.ctype, shape, order_of(view))
    fill(e, whole, value)
    inner = whole
    for axis, (low, size) in enumerate(zip(lows, view.shape, strict=True)):
        inner = part(e, inner, axis, low, size)
    e.copy(inner, view)
    return whole


def zero_inserted(
    e: Emitter, view: View, strides: Sequence[int], before: Sequence[int], after: Sequence[int], value: float
) -> View:
    """A picture ``[N, C, H, W]`` whose elements are ``strides`` apart, with ``value`` between and around them."""
    batch, channels, *sizes = view.shape
    wide = [
        (size - 1) * stride + 1 + low + high
        for size, stride, low, high in zip(sizes, strides, before, after, strict=True)
    ]
    whole = e.fresh(view.ctype, (batch, channels, *wide), (0, 2, 3, 1))
    fill(e, whole, value)
    inner = whole
    for axis, (low, stride, size) in enumerate(zip(before, strides, wide, strict=True), start=2):
        first = -(-max(-low, 0) // stride)  # the first element that is not cropped away
        last = min(view.shape[axis] - 1, (size - 1 - low) // stride)
        if last < first:
            return whole
        view = part(e, view, axis, first, last - first + 1)
        inner = part(e, inner, axis, low + first * stride, last - first + 1, stride)
    e.copy(inner, view)
    return whole


def fill(e: Emitter, view: View, value: float) -> None:
    """The same number in all of a dense buffer."""
    form = {"float": "f32", "int8_t": "s8", "int32_t": "s32"}[view.ctype]
    number = real(value) if view.ctype == "float" else str(int(value))
    e.emit(f"phiz_fill_{form}({view.elements}, {view.base}, 1, {number});")


def order_of(view: View) -> tuple[int, ...]:
    """The axes in the order of memory, as well as one can say; those of one element first."""
    apart = axes(view)
    if apart is None:
        return tuple(range(len(view.shape)))
    far = [max((dim.memory for dim in dims), default=0) for dims in apart]
    sizes = [0 if size > 1 else 1 for size in view.shape]
    return tuple(sorted(range(len(far)), key=lambda axis: (-sizes[axis], -far[axis])))


def enter_state(e: Emitter, name: str, order: Sequence[int]) -> None:
    """A state lies as what it is joined with: its layout is nobody else's business."""
    tensor = e.tensor(name)
    e.places[name] = dense(e.fields[name], ctype_of(tensor), tensor.shape, order)


def axis_step(view: View, axis: int) -> int:
    """How far neighbours on an axis lie apart."""
    apart = axes(view)
    return apart[axis][0].memory if apart is not None and apart[axis] else 0


def _single(view: View, axis: int) -> bool:
    apart = axes(view)
    return apart is not None and len(apart[axis]) <= 1
