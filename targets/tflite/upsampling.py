"""Operators that make a signal longer: TRANSPOSE_CONV and RESIZE_BILINEAR."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from targets.kernels import Kernel
from targets.tflite.convolution import NHWC, SAME, VALID, biases, convolve, nhwc, planar, same_pads
from targets.tflite.emitter import Emitter
from targets.tflite.layout import ordered
from targets.tflite.movement import crop, surround
from targets.tflite.writer import Spec


def conv_transpose(emitter: Emitter, kernel: Kernel) -> None:
    """TRANSPOSE_CONV; pads that SAME cannot say are cropped from the whole output.

    It has neither groups nor dilation: those are a convolution of the input with zeros in between.
    """
    attributes = kernel.attributes
    name, weight = kernel.inputs[:2]
    source, output = emitter.hub(name).shape, emitter.hub(kernel.output)
    strides, surplus = attributes["strides"], attributes["output_padding"]
    beyond = any(more >= stride for more, stride in zip(surplus, strides, strict=True))
    if attributes["group"] > 1 or max(attributes["dilations"]) > 1 or beyond:
        _among_zeros(emitter, kernel)
        return
    index = emitter.take(name, NHWC[len(source)])
    begins, spatial = _whole(kernel, source[2:], output.shape[2:])
    whole = (source[0], *planar(spatial), output.shape[1])
    # [C, O, *kernel] as [O, C, *kernel], which is what a convolution has.
    filters = emitter.constant(weight, lambda data: nhwc(np.swapaxes(data, 0, 1)))
    inputs = (emitter.literal(np.array(whole, np.int32)), filters, index, biases(emitter, kernel))
    down, right = planar(strides)
    fields = {"Padding": SAME if begins is None else VALID, "StrideH": down, "StrideW": right}
    result = emitter.result(kernel.output, ordered(output.shape, NHWC[len(source)]))
    shape = emitter.tensors[result].shape
    target = result if shape == whole else emitter.tensor(Spec(whole, output.dtype, output.quantization))
    emitter.emit("TRANSPOSE_CONV", 3, inputs, target, "TransposeConvOptions", **fields)
    if target != result:
        crop(emitter, target, (0, *(0,) * (4 - len(source)), *(begins or ()), 0), shape, result)


def resize(emitter: Emitter, kernel: Kernel) -> None:
    """RESIZE_BILINEAR; as in ONNX, what lies beyond the edge is the edge."""
    output = emitter.hub(kernel.output).shape
    order = NHWC[len(output)]
    size = emitter.literal(np.array(planar(output[2:]), np.int32))
    inputs = (emitter.take(kernel.inputs[0], order), size)
    result = emitter.result(kernel.output, ordered(output, order))
    if kernel.attributes["coordinate_transformation_mode"] == "half_pixel":
        emitter.emit("RESIZE_BILINEAR", 3, inputs, result, "ResizeBilinearOptions", HalfPixelCenters=True)
    else:
        emitter.emit("RESIZE_BILINEAR", 1, inputs, result, "ResizeBilinearOptions", AlignCorners=True)


def _whole(
    kernel: Kernel, source: Sequence[int], output: Sequence[int]
) -> tuple[tuple[int, ...] | None, tuple[int, ...]]:
    """How many elements to crop in front, None where SAME does without; and the sizes before the crop."""
    window, strides, pads = (kernel.attributes[name] for name in ("kernel_shape", "strides", "pads"))
    begins = tuple(pads[: len(window)])
    reach = tuple((size - 1) * stride + width for size, stride, width in zip(source, strides, window, strict=True))
    ends = (begin + size for begin, size in zip(begins, output, strict=True))
    steps = tuple(-(-size // stride) for size, stride in zip(output, strides, strict=True))
    overlap = all(width >= stride for width, stride in zip(window, strides, strict=True))  # else XNNPACK has no SAME
    same = tuple(pads) == same_pads(output, window, strides, (1,) * len(window))
    if any(pads) and same and overlap and steps == tuple(source):
        return None, tuple(output)
    return begins, tuple(map(max, reach, ends))


def _among_zeros(emitter: Emitter, kernel: Kernel) -> None:
    """The definition of a transposed convolution: an ordinary one, mirrored, of the input spread by its strides."""
    attributes = kernel.attributes
    source, output = emitter.hub(kernel.inputs[0]).shape, emitter.hub(kernel.output).shape
    index = emitter.take(kernel.inputs[0], NHWC[len(source)])
    amounts = []
    for axis, (size, stride) in enumerate(zip(source[2:], attributes["strides"], strict=True)):
        at = NHWC[len(source)].index(axis + 2)
        index = _spread(emitter, index, at, stride)
        reach = (attributes["kernel_shape"][axis] - 1) * attributes["dilations"][axis]
        before = reach - attributes["pads"][axis]
        amounts.append((before, output[axis + 2] + reach - before - size * stride))
    index = _framed(emitter, index, [(0, 0), *[(0, 0)] * (2 - len(amounts)), *amounts, (0, 0)])
    group = attributes["group"]

    def mirrored(data: NDArray[np.generic]) -> NDArray[np.generic]:
        """``[C, O/group, *kernel]`` as ``[O, C/group, *kernel]``."""
        parts = data.reshape(group, len(data) // group, *data.shape[1:]).swapaxes(1, 2)
        return np.flip(parts.reshape(-1, *parts.shape[2:]), tuple(range(2, data.ndim)))

    convolve(emitter, kernel, index, VALID, (1, 1), mirrored)


def _spread(emitter: Emitter, index: int, at: int, stride: int) -> int:
    """``stride - 1`` zeros behind each element along dimension ``at``."""
    if stride == 1:
        return index
    shape = emitter.tensors[index].shape
    view = (prod(shape[:at]), shape[at], 1, prod(shape[at + 1 :]))
    spread = (*view[:2], stride, view[3])
    index = emitter.reshaped(index, view)
    amounts = [(0, stride - 1) if place == 2 else (0, 0) for place in range(4)]
    index = surround(emitter, index, amounts, 0.0, emitter.tensor(emitter.like(index, spread)))
    return emitter.reshaped(index, (*shape[:at], shape[at] * stride, *shape[at + 1 :]))


def _framed(emitter: Emitter, index: int, amounts: Sequence[tuple[int, int]]) -> int:
    """Zeros around a tensor; negative amounts crop."""
    shape = emitter.tensors[index].shape
    begin = [max(-before, 0) for before, _ in amounts]
    kept = tuple(size + min(before, 0) + min(after, 0) for size, (before, after) in zip(shape, amounts, strict=True))
    if kept != shape:
        index = crop(emitter, index, begin, kept, emitter.tensor(emitter.like(index, kept)))
    positive = [(max(before, 0), max(after, 0)) for before, after in amounts]
    grown = tuple(size + sum(amount) for size, amount in zip(kept, positive, strict=True))
    if grown == kept:
        return index
    return surround(emitter, index, positive, 0.0, emitter.tensor(emitter.like(index, grown)))
