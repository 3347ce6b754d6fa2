"""Operators that move elements or only rename where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise
from math import gcd, prod

import numpy as np
from numpy.typing import NDArray

from targets.kernels import Kernel
from targets.tflite.emitter import Emitter, Place
from targets.tflite.layout import UNIT, Dim, ordered, row_major, sizes, transposed

MOST_JOINED = 5  # as many inputs as XNNPACK's CONCATENATION takes


def concat(emitter: Emitter, kernel: Kernel) -> None:
    """CONCATENATION in the order of the largest input."""
    order = emitter.order(emitter.leader(kernel.inputs))
    parts = [emitter.take(name, order) for name in kernel.inputs]
    index = joined(emitter, parts, order.index(kernel.attributes["axis"]))
    emitter.places[kernel.output] = Place(index, ordered(emitter.hub(kernel.output).shape, order))


def expand(emitter: Emitter, kernel: Kernel) -> None:
    """Copies joined along each axis that grows: XNNPACK has no BROADCAST_TO."""
    name, shape = kernel.inputs[0], emitter.hub(kernel.output).shape
    order = emitter.order(name)
    index = emitter.take(name, order)
    for at, axis in enumerate(order):
        if axis != UNIT and emitter.hub(name).shape[axis] < shape[axis]:
            index = repeated(emitter, index, at, shape[axis])
    emitter.places[kernel.output] = Place(index, ordered(shape, order))


def gather(emitter: Emitter, kernel: Kernel) -> None:
    """Slices, copies and their joins, where a few of them say it; else GATHER, which XNNPACK lacks."""
    name, order = kernel.inputs[0], emitter.order(kernel.inputs[0])
    indices = tuple(int(index) for index in emitter.value(kernel.inputs[1]))
    index = picked(emitter, emitter.take(name, order), order.index(kernel.attributes["axis"]), indices)
    emitter.places[kernel.output] = Place(index, ordered(emitter.hub(kernel.output).shape, order))


def pad(emitter: Emitter, kernel: Kernel) -> None:
    """PAD or PADV2 in the order in which the input lies."""
    source = emitter.hub(kernel.inputs[0])
    rank = len(source.shape)
    pads = [int(size) for size in emitter.value(kernel.inputs[1])]
    fill = emitter.scalar(kernel.inputs[2]) if len(kernel.inputs) > 2 else 0.0
    order = emitter.order(kernel.inputs[0])
    amounts = [(pads[axis], pads[rank + axis]) if axis != UNIT else (0, 0) for axis in order]
    index = emitter.take(kernel.inputs[0], order)
    layout = ordered(emitter.hub(kernel.output).shape, order)
    if any(pads):
        surround(emitter, index, amounts, fill, emitter.result(kernel.output, layout))
    else:
        emitter.places[kernel.output] = Place(index, layout)


def reshape(emitter: Emitter, kernel: Kernel) -> None:
    """Free: the logical order of elements is what a Reshape preserves."""
    place = emitter.places[kernel.inputs[0]]
    emitter.places[kernel.output] = Place(place.index, tuple(Dim(dim.size, dim.stride) for dim in place.layout))


def transpose(emitter: Emitter, kernel: Kernel) -> None:
    """Free wherever no dimension spans several axes unevenly: the same memory under other strides."""
    name, perm = kernel.inputs[0], kernel.attributes["perm"]
    shape, place = emitter.hub(name).shape, emitter.places[name]
    layout = transposed(shape, place.layout, perm)
    if layout is None:
        place = Place(emitter.laid_out(name, row_major(shape)), row_major(shape))
        layout = transposed(shape, place.layout, perm) or ()
    emitter.places[kernel.output] = Place(emitter.reshaped(place.index, sizes(layout)), layout)


def slice_(emitter: Emitter, kernel: Kernel) -> None:
    """SLICE; every n-th element is the first of each group of n, since XNNPACK's slices have no step."""
    name = kernel.inputs[0]
    parameters = (emitter.value(parameter).tolist() for parameter in kernel.inputs[1:])
    cuts = {axis: (start, end, step) for start, end, axis, step in zip(*parameters, strict=True)}
    order = emitter.order(name)
    index = emitter.take(name, order)
    output = ordered(emitter.hub(kernel.output).shape, order)
    shape = list(sizes(ordered(emitter.hub(name).shape, order)))
    for at, axis in enumerate(order):
        start, _, step = cuts.get(axis, (0, 0, 1))
        if step > 1:
            index = every(emitter, index, at, start, step, output[at].size)
            shape[at], cuts[axis] = output[at].size, (0, output[at].size, 1)
    begin = [cuts.get(axis, (0, 0, 1))[0] for axis in order]
    if tuple(shape) == sizes(output):
        emitter.places[kernel.output] = Place(index, output)
    else:
        crop(emitter, index, begin, sizes(output), emitter.result(kernel.output, output))


def joined(emitter: Emitter, parts: Sequence[int], at: int) -> int:
    """CONCATENATION along dimension ``at``, of few at a time."""
    parts = list(parts)
    while len(parts) > MOST_JOINED:
        firsts = [parts[start : start + MOST_JOINED] for start in range(0, len(parts), MOST_JOINED)]
        parts = [joined(emitter, group, at) for group in firsts]
    if len(parts) == 1:
        return parts[0]
    shape = list(emitter.tensors[parts[0]].shape)
    shape[at] = sum(emitter.tensors[part].shape[at] for part in parts)
    whole = emitter.tensor(emitter.like(parts[0], tuple(shape)))
    emitter.emit("CONCATENATION", emitter.version_at(parts[0]), parts, whole, "ConcatenationOptions", Axis=at)
    return whole


def repeated(emitter: Emitter, index: int, at: int, count: int) -> int:
    """The tensor ``count`` times in a row along dimension ``at``: copies of copies."""
    made = {1: index}

    def copies(number: int) -> int:
        if number not in made:
            share = -(-number // MOST_JOINED)
            rest = [number % share] if number % share else []
            made[number] = joined(emitter, [copies(part) for part in [share] * (number // share) + rest], at)
        return made[number]

    return copies(count)


def picked(emitter: Emitter, index: int, at: int, indices: tuple[int, ...]) -> int:
    """The elements at ``indices`` of dimension ``at``."""
    shape = emitter.tensors[index].shape
    before, after = shape[:at], shape[at + 1 :]
    steps = {second - first for first, second in pairwise(indices)}
    if indices == tuple(range(shape[at])):
        return index
    if len(steps) < 2 and all(step > 0 for step in steps):
        return every(emitter, index, at, indices[0], max(steps, default=1), len(indices))
    times = gcd(*(len(list(run)) for _, run in groupby(indices)))
    if times > 1:
        index = picked(emitter, index, at, indices[::times])
        index = emitter.reshaped(index, (prod(before), len(indices) // times, 1, prod(after)))
        return emitter.reshaped(repeated(emitter, index, 2, times), (*before, len(indices), *after))
    breaks = [place for place in range(1, len(indices)) if indices[place] != indices[place - 1] + 1]
    if len(breaks) < MOST_JOINED:
        runs = [indices[start:end] for start, end in pairwise([0, *breaks, len(indices)])]
        return joined(emitter, [picked(emitter, index, at, run) for run in runs], at)
    result = emitter.tensor(emitter.like(index, (*before, len(indices), *after)))
    inputs = (index, emitter.literal(np.array(indices, np.int32)))
    emitter.emit("GATHER", emitter.version_at(index), inputs, result, "GatherOptions", Axis=at)
    return result


def crop(emitter: Emitter, index: int, begin: Sequence[int], size: Sequence[int], result: int) -> int:
    """SLICE: ``size`` elements from ``begin`` on, per dimension."""
    bounds = emitter.literal(np.array(begin, np.int32)), emitter.literal(np.array(size, np.int32))
    version = 5 if len(begin) > 4 else emitter.version_at(index)
    emitter.emit("SLICE", version, (index, *bounds), result, "SliceOptions")
    return result


def every(emitter: Emitter, index: int, at: int, start: int, step: int, count: int) -> int:
    """``count`` elements from ``start`` on in steps of ``step``, along dimension ``at``.

    The dimension is cropped or padded to ``count`` groups of ``step``, whose first elements are kept.
    """
    shape = emitter.tensors[index].shape
    before, after = shape[:at], shape[at + 1 :]
    available = min(count * step, shape[at] - start)
    if available < shape[at]:
        begin = [start if place == at else 0 for place in range(len(shape))]
        size = (*before, available, *after)
        index = crop(emitter, index, begin, size, emitter.tensor(emitter.like(index, size)))
    if available < count * step:
        amounts = [(0, count * step - available) if place == at else (0, 0) for place in range(len(shape))]
        whole = emitter.tensor(emitter.like(index, (*before, count * step, *after)))
        index = surround(emitter, index, amounts, 0.0, whole)
    if step == 1:
        return index
    # Groups of ``step`` neighbours: [outer, count, step, inner].
    groups = (prod(before), count, step, prod(after))
    index = emitter.reshaped(index, groups)
    firsts = (groups[0], count, 1, groups[3])
    index = crop(emitter, index, (0, 0, 0, 0), firsts, emitter.tensor(emitter.like(index, firsts)))
    return emitter.reshaped(index, (*before, count, *after))


def surround(emitter: Emitter, index: int, amounts: Sequence[tuple[int, int]], fill: float, result: int) -> int:
    """PAD where the value is zero, which int8 takes to mean the zero point.

    Another value comes from constants by CONCATENATION, one dimension after the other: XNNPACK has no PADV2.
    """
    tensor = emitter.tensors[index]
    if fill == 0:
        version = 4 if len(amounts) > 4 else emitter.version_at(index)
        emitter.emit("PAD", version, (index, emitter.literal(np.array(amounts, np.int32))), result, "PadOptions")
        return result
    value: NDArray[np.generic] = np.array(fill, np.float32)
    if tensor.quantization is not None:
        scale, zero_point = float(tensor.quantization.scale[0]), int(tensor.quantization.zero_point[0])
        value = np.array(np.clip(np.rint(fill / scale) + zero_point, -128, 127), np.int8)
    grown = [at for at, amount in enumerate(amounts) if any(amount)]
    for at in grown:
        shape = list(emitter.tensors[index].shape)
        ends = []
        for amount in amounts[at]:
            block = np.broadcast_to(value, [amount if place == at else size for place, size in enumerate(shape)])
            ends.append([emitter.literal(np.ascontiguousarray(block), tensor.quantization)] if amount else [])
        shape[at] += sum(amounts[at])
        whole = result if at == grown[-1] else emitter.tensor(emitter.like(index, tuple(shape)))
        inputs = [*ends[0], index, *ends[1]]
        emitter.emit("CONCATENATION", emitter.version_at(index), inputs, whole, "ConcatenationOptions", Axis=at)
        index = whole
    return index
