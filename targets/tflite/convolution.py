"""Products with constant weights: CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED.

A 1-D convolution is a 2-D one of height 1. Weights are laid out when the file is written, and so is the permutation
that a flattened channels-last tensor needs before a FULLY_CONNECTED.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from targets.kernels import Kernel, Quantization
from targets.tflite.emitter import FUSED, Emitter, Permute
from targets.tflite.layout import UNIT, boundaries, canonical, cut, gather, ordered, row_major
from targets.tflite.movement import surround

SAME, VALID = 0, 1
NHWC = {3: (0, UNIT, 2, 1), 4: (0, 2, 3, 1)}
"""The order that spatial operators work in, by ONNX rank."""


def conv(emitter: Emitter, kernel: Kernel) -> None:
    """CONV_2D, grouped where the input has more channels than the filter; DEPTHWISE_CONV_2D at one channel a group."""
    index = emitter.take(kernel.inputs[0], NHWC[len(emitter.hub(kernel.inputs[0]).shape)])
    index, padding = padded(emitter, kernel, index)
    convolve(emitter, kernel, index, padding, planar(kernel.attributes["strides"]), np.asarray)


def convolve(
    emitter: Emitter, kernel: Kernel, index: int, padding: int, strides: tuple[int, int], arrange: Permute
) -> None:
    """The convolution of the NHWC tensor ``index`` with weights that ``arrange`` makes ``[O, I, *kernel]``."""
    name, weight = kernel.inputs[:2]
    group, channels = kernel.attributes["group"], emitter.tensors[index].shape[3]
    depthwise = group > 1 and group == channels
    dilations = planar(kernel.attributes["dilations"])
    output = emitter.hub(kernel.output)

    def physical(data: NDArray[np.generic]) -> NDArray[np.generic]:
        data = nhwc(arrange(data))
        return np.moveaxis(data, 0, -1)[..., 0, :][None] if depthwise else data

    filters = emitter.constant(weight, physical, axis=3 if depthwise else 0)
    inputs = [index, filters, biases(emitter, kernel)]
    integer = emitter.hub(name).quantization is not None
    fields = {
        "Padding": padding,
        "StrideH": strides[0],
        "StrideW": strides[1],
        "DilationHFactor": dilations[0],
        "DilationWFactor": dilations[1],
        "FusedActivationFunction": FUSED[kernel.activation],
    }
    result = emitter.result(kernel.output, ordered(output.shape, NHWC[len(output.shape)]))
    if depthwise:
        fields["DepthMultiplier"] = output.shape[1] // group
        version = 3 if integer else 2 if max(dilations) > 1 else 1
        emitter.emit("DEPTHWISE_CONV_2D", version, inputs, result, "DepthwiseConv2DOptions", **fields)
    else:
        version = 6 if group > 1 else 3 if integer else 1
        emitter.emit("CONV_2D", version, inputs, result, "Conv2DOptions", **fields)


def nhwc(filters: NDArray[np.generic]) -> NDArray[np.generic]:
    """``[O, I, *kernel]`` as ``[O, height, width, I]``."""
    filters = np.moveaxis(filters, 1, -1)
    return filters[:, None] if filters.ndim == 3 else filters


def gemm(emitter: Emitter, kernel: Kernel) -> None:
    """FULLY_CONNECTED; it flattens its input by itself, in whatever order the input's elements lie.

    With int8 weights and float activations it quantises what it reads by itself, and reads per-channel scales so only
    from version 12 on: an older runtime takes the scales for one, so it must not take the file.
    """
    name, weight, *bias = kernel.inputs
    shape = emitter.hub(name).shape
    layout = emitter.places[name].layout
    pieces = cut(canonical(layout), boundaries(row_major(shape)))
    rows = [dim for dim in pieces or () if dim.stride >= shape[1]]
    if pieces is None or pieces[: len(rows)] != tuple(rows) or len(rows) > 1:
        layout = row_major(shape)
        rows, pieces = [], canonical(layout[1:])
    columns = gather(pieces[len(rows) :])
    index = emitter.laid_out(name, layout)
    inputs = [index, emitter.constant(weight, lambda data: data[:, columns])]
    inputs += [emitter.constant(value, np.asarray) for value in bias] or [-1]
    integer = [emitter.hub(operand).quantization is not None for operand in (name, weight)]
    version = 12 if integer == [False, True] else 6 if not bias else 4 if integer[0] else 1
    result = emitter.result(kernel.output, row_major(emitter.hub(kernel.output).shape))
    fields: dict[str, int] = {"FusedActivationFunction": FUSED[kernel.activation]}
    if version == 12:
        fields["AsymmetricQuantizeInputs"] = True
    emitter.emit("FULLY_CONNECTED", version, inputs, result, "FullyConnectedOptions", **fields)


def biases(emitter: Emitter, kernel: Kernel) -> int:
    """The bias of a convolution, or zeros: the runtime insists on one."""
    name, weight, *bias = kernel.inputs
    if bias:
        return emitter.constant(bias[0], np.asarray)
    channels = emitter.hub(kernel.output).shape[1]
    return no_bias(emitter, channels, emitter.hub(name).quantization, emitter.hub(weight).quantization)


def no_bias(emitter: Emitter, channels: int, source: Quantization | None, weight: Quantization | None) -> int:
    """Zeros, in the type that the product has."""
    if source is None or weight is None:
        return emitter.literal(np.zeros(channels, np.float32))
    scale = source.scale * weight.scale
    if weight.axis is not None:
        scale = np.resize(scale, channels)  # a transposed convolution's groups have the same scales
    parameters = Quantization(scale, np.zeros(scale.shape, np.int64), None if weight.axis is None else 0)
    return emitter.literal(np.zeros(channels, np.int32), parameters)


def padded(emitter: Emitter, kernel: Kernel, index: int, *, fill: float = 0.0, same: bool = True) -> tuple[int, int]:
    """The NHWC input ``index`` of a windowed operator, and its padding mode.

    That is VALID without pads, SAME where ``same`` allows it and it is exact, else VALID behind a PAD.
    """
    attributes, shape = kernel.attributes, emitter.hub(kernel.inputs[0]).shape
    window, pads = attributes["kernel_shape"], attributes["pads"]
    dilations = attributes.get("dilations", (1,) * len(window))
    if not any(pads):
        return index, VALID
    if same and tuple(pads) == same_pads(shape[2:], window, attributes["strides"], dilations):
        return index, SAME
    rank = len(window)
    amount_of = {axis + 2: (pads[axis], pads[axis + rank]) for axis in range(rank)}
    amounts = [amount_of.get(axis, (0, 0)) for axis in NHWC[len(shape)]]
    grown = [size + sum(amount) for size, amount in zip(emitter.tensors[index].shape, amounts, strict=True)]
    result = emitter.tensor(emitter.like(index, tuple(grown)))
    return surround(emitter, index, amounts, fill, result), VALID


def same_pads(
    spatial: Sequence[int], window: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[int, ...]:
    """The pads, begin… then end…, that TFLite's SAME stands for.

    Empty where the last window of an axis ends before the input does: older XNNPACK takes what is then less than
    nothing for very much, and computes nonsense.
    """
    totals = [
        (-(-size // stride) - 1) * stride + (width - 1) * dilation + 1 - size
        for size, width, stride, dilation in zip(spatial, window, strides, dilations, strict=True)
    ]
    if min(totals) < 0:
        return ()
    return (*(total // 2 for total in totals), *(total - total // 2 for total in totals))


def planar(values: Sequence[int]) -> tuple[int, int]:
    """A per-axis attribute of one or two spatial axes as height and width."""
    height, width = (1, *values) if len(values) == 1 else values
    return height, width
