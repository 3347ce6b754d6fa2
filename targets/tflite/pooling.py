"""Pooling, in the forms that XNNPACK takes: MAX_POOL_2D in both types, AVERAGE_POOL_2D only in float."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from targets.kernels import Kernel, Quantization
from targets.tflite.convolution import NHWC, VALID, no_bias, padded, planar
from targets.tflite.emitter import Emitter
from targets.tflite.layout import ordered
from targets.tflite.writer import Spec

FLOAT32 = np.dtype(np.float32)


def max_pool(emitter: Emitter, kernel: Kernel) -> None:
    """MAX_POOL_2D; pads that SAME cannot say are filled with the least value there is."""
    index = emitter.take(kernel.inputs[0], _nhwc(emitter, kernel))
    index, padding = padded(emitter, kernel, index, fill=float(np.finfo(np.float32).min))
    version, result = emitter.version(kernel.output), _result(emitter, kernel)
    emitter.emit("MAX_POOL_2D", version, (index,), result, "Pool2DOptions", **_fields(kernel, padding))


def average_pool(emitter: Emitter, kernel: Kernel) -> None:
    """AVERAGE_POOL_2D in float; in int8, which XNNPACK lacks, one of two exact forms.

    A depthwise convolution with weights 1 and scale 1/size is a single operator that rounds once. It cannot leave
    pads out of the count; then the float form stands between a DEQUANTIZE and a QUANTIZE.
    """
    index = emitter.take(kernel.inputs[0], _nhwc(emitter, kernel))
    result = _result(emitter, kernel)
    if emitter.hub(kernel.output).quantization is None:
        _mean(emitter, kernel, index, result)
    elif _counts_pads(kernel) or not any(kernel.attributes["pads"]):
        _depthwise_mean(emitter, kernel, index, result)
    else:
        real = emitter.tensor(Spec(emitter.tensors[index].shape, FLOAT32))
        emitter.emit("DEQUANTIZE", 2, (index,), real)
        mean = emitter.tensor(Spec(emitter.tensors[result].shape, FLOAT32))
        _mean(emitter, kernel, real, mean)
        emitter.emit("QUANTIZE", 1, (mean,), result)


def _mean(emitter: Emitter, kernel: Kernel, index: int, result: int) -> None:
    """Float: the operator counts a PAD but not the pads of SAME; where neither is right, a factor corrects it."""
    counts = _counts_pads(kernel)
    index, padding = padded(emitter, kernel, index, same=not counts)
    corrected = any(kernel.attributes["pads"]) and padding == VALID and not counts
    pooled = emitter.tensor(Spec(emitter.tensors[result].shape, FLOAT32)) if corrected else result
    emitter.emit("AVERAGE_POOL_2D", 1, (index,), pooled, "Pool2DOptions", **_fields(kernel, padding))
    if corrected:
        factor = emitter.literal(_correction(emitter, kernel))
        emitter.emit("MUL", 1, (pooled, factor), result, "MulOptions")


def _depthwise_mean(emitter: Emitter, kernel: Kernel, index: int, result: int) -> None:
    index, padding = padded(emitter, kernel, index)
    height, width = planar(kernel.attributes["kernel_shape"])
    channels = emitter.tensors[index].shape[-1]
    source = emitter.quantization(kernel.inputs[0])
    parameters = Quantization(np.array([1 / (height * width)], np.float32), np.zeros(1, np.int64), None)
    ones = emitter.literal(np.ones((1, height, width, channels), np.int8), parameters)
    down, right = planar(kernel.attributes["strides"])
    fields = {"Padding": padding, "StrideH": down, "StrideW": right, "DepthMultiplier": 1}
    inputs = (index, ones, no_bias(emitter, channels, source, parameters))
    emitter.emit("DEPTHWISE_CONV_2D", 3, inputs, result, "DepthwiseConv2DOptions", **fields)


def _correction(emitter: Emitter, kernel: Kernel) -> NDArray[np.float32]:
    """Window size over the number of true elements in it, ``[1, height, width, 1]`` of the output."""
    attributes = kernel.attributes
    spatial = emitter.hub(kernel.inputs[0]).shape[2:]
    factor: NDArray[np.float64] = np.ones(1)
    for at, (size, count) in enumerate(zip(spatial, emitter.hub(kernel.output).shape[2:], strict=True)):
        window = attributes["kernel_shape"][at]
        start = np.arange(count) * attributes["strides"][at] - attributes["pads"][at]
        true = np.minimum(start + window, size) - np.maximum(start, 0)
        factor = np.multiply.outer(factor, window / true)
    return factor.reshape(1, -1, count, 1).astype(np.float32)


def _counts_pads(kernel: Kernel) -> bool:
    return bool(kernel.attributes["count_include_pad"])


def _nhwc(emitter: Emitter, kernel: Kernel) -> tuple[int, ...]:
    return NHWC[len(emitter.hub(kernel.inputs[0]).shape)]


def _result(emitter: Emitter, kernel: Kernel) -> int:
    return emitter.result(kernel.output, ordered(emitter.hub(kernel.output).shape, _nhwc(emitter, kernel)))


def _fields(kernel: Kernel, padding: int) -> dict[str, Any]:
    (height, width), (down, right) = planar(kernel.attributes["kernel_shape"]), planar(kernel.attributes["strides"])
    return {"Padding": padding, "StrideH": down, "StrideW": right, "FilterHeight": height, "FilterWidth": width}
