"""Operators that make one number of many: reductions, pools, softmax, products of what is computed; and Resize.

A reduction is a buffer filled with its neutral element and a nest of loops over the whole input, in which the output
stands still along what is reduced. A pool is the same with the window as further loops.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from targets.c.emitter import Emitter, refuse
from targets.c.fixed import scale_of, shared_shift, zero_of
from targets.c.movement import axis_step, fill, order_of, padded, part
from targets.c.source import identifier
from targets.c.view import Dim, View, axes, dense, reshaped, strides
from targets.kernels import Kernel

_NEUTRAL = {"sum": 0.0, "largest": float("-inf"), "smallest": float("inf")}


def reduce(e: Emitter, kernel: Kernel) -> None:
    """ReduceMean, ReduceSum, ReduceMax, ReduceMin; the axes are kept with one element."""
    kind = {"ReduceMax": "largest", "ReduceMin": "smallest"}.get(kernel.operator, "sum")
    x, along = e.place(kernel.inputs[0]), e.numbers(kernel.inputs[1])
    made = reduced(e, kind, x, along)
    if kernel.operator == "ReduceMean":
        made = _divided(e, made, prod(x.shape[axis] for axis in along))
    e.shaped(kernel.output, made)


def reduced(e: Emitter, kind: str, x: View, along: Sequence[int]) -> View:
    """A new value, of one element on each of these axes."""
    shape = tuple(1 if axis in along else size for axis, size in enumerate(x.shape))
    made = e.fresh("int32_t" if x.ctype == "int8_t" else "float", shape, order_of(x))
    fill(e, made, _NEUTRAL[kind])
    form = "s8" if x.ctype == "int8_t" else "f32"
    e.nest(f"phiz_{kind}_{form}", [e.broadcast(made, x.shape), x], (1, 0))
    return made


def mean(e: Emitter, kernel: Kernel) -> None:
    """GlobalAveragePool: over all spatial axes."""
    x = e.place(kernel.inputs[0])
    along = list(range(2, len(x.shape)))
    _averaged(e, kernel, reduced(e, "sum", x, along), np.array([prod(x.shape[2:])]))


def softmax(e: Emitter, kernel: Kernel) -> None:
    """Exponentials less the largest, over their sum."""
    x, along = e.place(kernel.inputs[0]), [int(kernel.attributes["axis"]) % len(e.tensor(kernel.inputs[0]).shape)]
    highest = reduced(e, "largest", x, along)
    powers = e.elementwise("phiz_exp_sub_f32", "float", x.shape, [x, highest])
    total = reduced(e, "sum", powers, along)
    e.shaped(kernel.output, e.elementwise("phiz_div_f32", "float", x.shape, [powers, total]))


def max_pool(e: Emitter, kernel: Kernel) -> None:
    """The largest of each window."""
    x = e.place(kernel.inputs[0])
    lowest = -128.0 if x.ctype == "int8_t" else float("-inf")
    made = _windows(e, kernel, "largest", x, lowest, x.ctype)
    e.shaped(kernel.output, made)


def average_pool(e: Emitter, kernel: Kernel) -> None:
    """The mean of each window; at a border, of what lies inside unless padding counts."""
    x, parameters = e.place(kernel.inputs[0]), e.tensor(kernel.inputs[0]).quantization
    zero = 0.0 if parameters is None else float(zero_of(parameters))
    total = _windows(e, kernel, "sum", x, zero, "float" if parameters is None else "int32_t")
    width, pads = prod(kernel.attributes["kernel_shape"]), kernel.attributes["pads"]
    if not any(pads) or kernel.attributes.get("count_include_pad"):
        counts = np.array([width])
    else:
        counts = np.ones((), np.int64)
        half = len(pads) // 2
        for axis, size in enumerate(x.shape[2:]):
            own = np.pad(np.ones(size, np.int64), (pads[axis], pads[half + axis]))
            step, reach = kernel.attributes["strides"][axis], kernel.attributes["kernel_shape"][axis]
            sums = [own[start : start + reach].sum() for start in range(0, len(own) - reach + 1, step)]
            counts = counts[..., None] * np.array(sums)
        counts = counts.reshape(1, 1, *total.shape[2:])
    _averaged(e, kernel, total, counts, missing=width)


def _windows(e: Emitter, kernel: Kernel, kind: str, x: View, outside: float, ctype: str) -> View:
    attributes, spatial = kernel.attributes, range(len(x.shape) - 2)
    pads, widths, steps = attributes["pads"], attributes["kernel_shape"], attributes["strides"]
    apart = attributes.get("dilations") or (1,) * len(spatial)
    half = len(pads) // 2
    whole = padded(e, x, (0, 0, *pads[:half]), (0, 0, *pads[half:]), outside)
    if (found := axes(whole)) is None or any(len(dims) > 1 for dims in found):
        whole = e.copied(whole)
    shape = e.tensor(kernel.output).shape
    made = e.fresh(ctype, shape, order_of(whole))
    fill(e, made, outside if kind == "largest" else 0.0)
    # One more axis for each of the window's, along which the output stands still.
    given, taken = whole, made
    for axis in spatial:
        given = part(e, given, 2 + axis, 0, shape[2 + axis], steps[axis])
    sizes = (*shape, *widths)
    fine = strides(sizes)
    dims: list[list[Dim]] = [[], []]
    for axis, size in enumerate(sizes):
        window = axis - len(shape)
        if size > 1:
            moves = axis_step(given, axis) if window < 0 else axis_step(whole, 2 + window) * apart[window]
            dims[0].append(Dim(size, fine[axis], axis_step(taken, axis) if window < 0 else 0))
            dims[1].append(Dim(size, fine[axis], moves))
    views = [
        View(made.base, made.ctype, sizes, tuple(dims[0])),
        View(whole.base, whole.ctype, sizes, tuple(dims[1]), whole.offset),
    ]
    form = "s8" if x.ctype == "int8_t" else "f32"
    e.nest(f"phiz_{kind}_{form}", views, (0, 1))
    return made


def _averaged(e: Emitter, kernel: Kernel, total: View, counts: NDArray[np.int64], missing: int = 0) -> None:
    """Sums over their counts, as floats or narrowed to int8."""
    x, y = e.tensor(kernel.inputs[0]).quantization, e.tensor(kernel.output).quantization
    shape = e.tensor(kernel.output).shape
    if x is None:
        e.shaped(kernel.output, _divided(e, total, counts))
        return
    if y is None:
        raise refuse(kernel, "its output has no quantisation parameters")
    multipliers, shift = shared_shift(scale_of(x) / scale_of(y) / counts.astype(np.float64))
    table = e.table(f"{identifier(kernel.node)}_multiplier", multipliers)
    own = dense(table, "int32_t", counts.shape if counts.size > 1 else ())
    number = missing or int(counts.reshape(-1)[0])
    if zero_of(x):
        offset = e.fresh("int32_t", total.shape, order_of(total))
        e.nest("phiz_shift_s32", [offset, total], (0, 1), (str(-zero_of(x) * number),))
        total = offset
    made = e.elementwise("phiz_mean_s8", "int8_t", shape, [total, own], (str(shift), str(zero_of(y))))
    e.shaped(kernel.output, made)


def _divided(e: Emitter, total: View, counts: NDArray[np.int64] | int) -> View:
    number = np.asarray(counts).astype(np.float32)
    shape = number.shape if number.size > 1 else ()
    divisor = dense(e.table("count", number.reshape(shape)), "float", shape)
    return e.elementwise("phiz_div_f32", "float", total.shape, [total, divisor])


def matmul(e: Emitter, kernel: Kernel) -> None:
    """A product of two factors of equal rank: the output stands still along what is summed."""
    a, b = (e.place(name) for name in kernel.inputs)
    shape = e.tensor(kernel.output).shape
    lead, rows, inner, columns = shape[:-2], a.shape[-2], a.shape[-1], b.shape[-1]
    full = (*lead, rows, inner, columns)
    made = e.fresh("float", shape)
    fill(e, made, 0.0)
    views = [
        e.broadcast(reshaped(made, (*lead, rows, 1, columns)), full),
        e.broadcast(reshaped(a, (*a.shape[:-2], rows, inner, 1)), full),
        e.broadcast(reshaped(b, (*b.shape[:-2], 1, inner, columns)), full),
    ]
    fitting, dims = e.fitting(views[1:], views[:1])
    e.loops("phiz_multiply_sum_f32", fitting, dims)
    e.shaped(kernel.output, made)


def resize(e: Emitter, kernel: Kernel) -> None:
    """Linear, one axis after the other: each element lies between two."""
    x, shape = e.place(kernel.inputs[0]), e.tensor(kernel.output).shape
    aligned = kernel.attributes["coordinate_transformation_mode"] == "align_corners"
    for axis, (old, new) in enumerate(zip(x.shape, shape, strict=True)):
        if old == new:
            continue
        steps = np.arange(new, dtype=np.float64)
        at = steps * ((old - 1) / max(new - 1, 1)) if aligned else (steps + 0.5) * (old / new) - 0.5
        at = at.clip(0, old - 1)
        first = np.floor(at).astype(np.int32)
        second = np.minimum(first + 1, old - 1).astype(np.int32)
        tables = [("first", first), ("second", second), ("share", (at - first).astype(np.float32))]
        names = [e.table(f"{identifier(kernel.node)}_{word}{axis}", data) for word, data in tables]
        if (found := axes(x)) is None or len(found[axis]) > 1:
            x = e.copied(x)
        made = e.fresh(
            "float", tuple(new if other == axis else size for other, size in enumerate(x.shape)), order_of(x)
        )
        far, near = axis_step(made, axis), axis_step(x, axis)
        views = [part(e, made, axis, 0, 1), part(e, x, axis, 0, 1)]
        e.nest("phiz_mix_f32", views, (0, 1), (*names, str(new), str(far), str(near)))
        x = made
    e.shaped(kernel.output, x)
