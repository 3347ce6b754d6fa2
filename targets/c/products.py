"""Convolutions, their transposes, and fully connected layers: rows of inputs times packed weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from targets.c.emitter import Emitter, ctype_of, refuse
from targets.c.fixed import zero_of
from targets.c.movement import padded, zero_inserted
from targets.c.nest import place as address
from targets.c.packing import ACTIVATIONS, PARAMETERS, Tables, Weights, blockwise, bounds, integer_parameters, weights
from targets.c.source import identifier
from targets.c.view import View, axes, contiguous, reshaped
from targets.kernels import Kernel

ROWS = 8  # positions whose inputs are gathered at a time


@dataclass(frozen=True)
class Rows:
    """What a product reads: for each of ``count`` rows, ``outer`` by ``inner`` taps of ``run`` elements.

    Attributes:
        view: the value; its ``offset`` is that of the first row.
        count: of rows.
        step: elements from one row to the next.
        outer: taps along the first spatial axis, ``far`` elements apart.
        far: see there.
        inner: taps along the second, ``near`` elements apart.
        near: see there.
        run: contiguous elements of a tap.
    """

    view: View
    count: int
    step: int
    outer: int
    far: int
    inner: int
    near: int
    run: int

    @property
    def whole(self) -> bool:
        """Whether a row is one run."""
        return (self.outer == 1 or self.far == self.inner * self.run) and (self.inner == 1 or self.near == self.run)


def gemm(e: Emitter, kernel: Kernel) -> None:
    """A fully connected layer; what was flattened before it is read as it lies, and its weights stand in that order."""
    x = e.place(kernel.inputs[0])
    parts = axes(x)
    run = contiguous(parts[1]) if parts is not None else None
    if parts is None or run is None or len(parts[0]) > 1:
        x = e.copied(x)
        parts = axes(x)
        run = contiguous(parts[1]) if parts is not None else None
    if parts is None or run is None:
        raise refuse(kernel, "its input does not lie in rows")
    order = np.zeros(1, np.int64)
    for dim in run:
        order = (order[:, None] + np.arange(dim.size) * dim.logical).reshape(-1)
    rows, inputs = x.shape
    made = weights(e, kernel)
    made = Weights(made.scheme, made.matrix[:, :, order], made.scale, made.bias)
    outputs = made.matrix.shape[1]
    y = e.fresh(ctype_of(e.tensor(kernel.output)), (rows, outputs))
    step = parts[0][0].memory if parts[0] else inputs
    _emit(e, kernel, made, Rows(x, rows, step, 1, 0, 1, 0, inputs), y, outputs, [])
    e.shaped(kernel.output, y)


def conv(e: Emitter, kernel: Kernel) -> None:
    """A convolution over one or two axes; of one, it is a picture of one line."""
    attributes, x = kernel.attributes, e.place(kernel.inputs[0])
    kernels, strides, dilations = (_pair(attributes[name]) for name in ("kernel_shape", "strides", "dilations"))
    pads = attributes["pads"]
    before, after = _pair(pads[: len(pads) // 2], 0), _pair(pads[len(pads) // 2 :], 0)
    picture = reshaped(x, (*x.shape[:2], *_pair(x.shape[2:])))
    if any((*before, *after)):
        picture = padded(e, picture, (0, 0, *before), (0, 0, *after), _zero(e, kernel))
    made = weights(e, kernel)
    y = convolved(e, kernel, picture, made, kernels, strides, dilations)
    e.shaped(kernel.output, y)


def conv_transpose(e: Emitter, kernel: Kernel) -> None:
    """The convolution of its input with zeros in between, by the weights turned round."""
    attributes, x = kernel.attributes, e.place(kernel.inputs[0])
    kernels, strides, dilations = (_pair(attributes[name]) for name in ("kernel_shape", "strides", "dilations"))
    pads, more = attributes["pads"], _pair(attributes["output_padding"], 0)
    half = len(pads) // 2
    reach = [(size - 1) * step for size, step in zip(kernels, dilations, strict=True)]
    before = [far - pad for far, pad in zip(reach, _pair(pads[:half], 0), strict=True)]
    after = [far - pad + extra for far, pad, extra in zip(reach, _pair(pads[half:], 0), more, strict=True)]
    picture = reshaped(x, (*x.shape[:2], *_pair(x.shape[2:])))
    apart = zero_inserted(e, picture, strides, before, after, _zero(e, kernel))
    e.shaped(kernel.output, convolved(e, kernel, apart, weights(e, kernel), kernels, (1, 1), dilations))


def convolved(
    e: Emitter,
    kernel: Kernel,
    x: View,
    made: Weights,
    kernels: tuple[int, int],
    strides: tuple[int, int],
    dilations: tuple[int, int],
) -> View:
    """A convolution of ``[N, C, H, W]`` without padding; what it gives lies channels last."""
    groups, outputs, _ = made.matrix.shape
    parts = axes(x)
    if parts is None or any(len(part) > 1 for part in parts) or any(dim.memory != 1 for dim in parts[1]):
        x = e.copied(x, (0, 2, 3, 1))
        parts = axes(x)
    if parts is None:
        raise refuse(kernel, "its input does not lie in lines")
    batch, channels, *sizes = x.shape
    own = channels // groups
    heights, widths = (
        (size - (width - 1) * dilation - 1) // stride + 1
        for size, width, dilation, stride in zip(sizes, kernels, dilations, strides, strict=True)
    )
    item, line, step = (parts[axis][0].memory if parts[axis] else 0 for axis in (0, 2, 3))
    y = e.fresh(ctype_of(e.tensor(kernel.output)), (batch, groups * outputs, heights, widths), (0, 2, 3, 1))
    rows = Rows(x, widths, strides[1] * step, kernels[0], dilations[0] * line, kernels[1], dilations[1] * step, own)
    loops = [(batch, item, heights * widths * groups * outputs)]
    if heights > 1 and strides[0] * line == widths * rows.step:  # lines that follow each other without a gap
        rows = replace(rows, count=heights * widths)
    else:
        loops.append((heights, strides[0] * line, widths * groups * outputs))
    if own == 1 and outputs == 1 and groups > 1:
        _emit_depthwise(e, kernel, made, rows, y, loops)
    else:
        loops.append((groups, own, outputs))
        _emit(e, kernel, made, rows, y, groups * outputs, loops)
    return y


def _emit(
    e: Emitter, kernel: Kernel, made: Weights, rows: Rows, y: View, width: int, loops: list[tuple[int, int, int]]
) -> None:
    """The product of all rows, within ``loops`` of (count, step of x, step of y); the last one is that over groups."""
    groups, _, inputs = made.matrix.shape
    moving = [(index, *loop) for index, loop in zip("ijk", loops, strict=False) if loop[0] > 1]
    grouped = moving[-1][0] if groups > 1 else ""
    opened = [f"for (int32_t {index} = 0; {index} < {count}; ++{index})" for index, count, _, _ in moving]
    x_at = " + ".join([address(rows.view), *(f"{index} * {step}" for index, _, step, _ in moving)])
    y_at = " + ".join([y.base, *(f"{index} * {step}" for index, _, _, step in moving)])
    names = Tables(e, kernel, made, grouped)
    if rows.whole:
        inside = "    " if opened else ""
        e.emit(*opened, f"{inside}{names.call(str(rows.count), x_at, rows.step, y_at, width)}")
        return
    form = "s8" if rows.view.ctype == "int8_t" else "f32"
    some = min(ROWS, rows.count)
    patch = e.scratch(rows.view.ctype, some * inputs)
    taps = f"{rows.outer}, {rows.far}, {rows.inner}, {rows.near}, {rows.run}"
    lines = [
        f"for (int32_t t = 0; t < {rows.count}; t += {some}) {{",
        f"    const int32_t few = {rows.count} - t < {some} ? {rows.count} - t : {some};",
        f"    phiz_gather_{form}(few, {rows.step}, {taps}, {x_at} + t * {rows.step}, {patch});",
        f"    {names.call('few', patch, inputs, f'{y_at} + t * {width}', width)}",
        "}",
    ]
    inside = "    " if opened else ""
    e.emit(*opened, *(f"{inside}{line}" for line in lines))


def _emit_depthwise(
    e: Emitter, kernel: Kernel, made: Weights, rows: Rows, y: View, loops: list[tuple[int, int, int]]
) -> None:
    channels = made.matrix.shape[0]
    moving = [(index, *loop) for index, loop in zip("ij", loops, strict=False) if loop[0] > 1]
    opened = [f"for (int32_t {index} = 0; {index} < {count}; ++{index})" for index, count, _, _ in moving]
    x_at = " + ".join([address(rows.view), *(f"{index} * {step}" for index, _, step, _ in moving)])
    y_at = " + ".join([y.base, *(f"{index} * {step}" for index, _, _, step in moving)])
    label = identifier(kernel.node or kernel.operator)
    taps = f"{rows.count}, {rows.step}, {rows.outer}, {rows.far}, {rows.inner}, {rows.near}, {channels}, {x_at}"
    matrix = made.matrix.reshape(channels, -1).T
    if made.scheme == "w8a8":
        parts = integer_parameters(e, kernel, made, 1)
        named = [e.table(f"{label}_{part}", data) for part, data in zip(PARAMETERS, parts, strict=True)]
        limits = ", ".join(map(str, bounds(e, kernel)))
        weight = e.table(f"{label}_weight", matrix.astype(np.int8))
        call = f"phiz_depthwise_s8({taps}, {weight}, {', '.join(named)}, {limits}, {y_at}, {channels});"
    else:
        real = matrix.astype(np.float32) * (1 if made.scale is None else made.scale.reshape(1, -1))
        weight = e.table(f"{label}_weight", np.asarray(real, np.float32))
        bias = blockwise(None if made.bias is None else made.bias.reshape(1, channels))
        shift = "0" if bias is None else e.table(f"{label}_bias", bias)
        call = f"phiz_depthwise_f32({taps}, {weight}, {shift}, {ACTIVATIONS[kernel.activation]}, {y_at}, {channels});"
    e.emit(*opened, f"{'    ' if opened else ''}{call}")


def _zero(e: Emitter, kernel: Kernel) -> int:
    """What stands for 0 in a product's input."""
    parameters = e.tensor(kernel.inputs[0]).quantization
    return 0 if parameters is None else zero_of(parameters)


def _pair(values: Any, missing: int = 1) -> tuple[int, int]:
    """Two numbers; of one axis, that of a picture of one line."""
    return (missing, int(values[0])) if len(values) == 1 else (int(values[0]), int(values[1]))
