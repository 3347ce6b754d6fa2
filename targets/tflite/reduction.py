"""Operators along whole axes: sums, means and extremes, SOFTMAX and BATCH_MATMUL."""

from __future__ import annotations

import numpy as np

from targets.kernels import Kernel
from targets.tflite.elementwise import Lower
from targets.tflite.emitter import Emitter
from targets.tflite.layout import UNIT, ordered, row_major


def reduce(code: str) -> Lower:
    """MEAN, SUM, REDUCE_MAX or REDUCE_MIN over constant axes, wherever they lie."""

    def lower(emitter: Emitter, kernel: Kernel) -> None:
        _reduce(emitter, kernel, code, emitter.value(kernel.inputs[1]).tolist())

    return lower


def global_average_pool(emitter: Emitter, kernel: Kernel) -> None:
    """MEAN over the spatial axes."""
    _reduce(emitter, kernel, "MEAN", range(2, len(emitter.hub(kernel.inputs[0]).shape)))


def softmax(emitter: Emitter, kernel: Kernel) -> None:
    """SOFTMAX, with its axis last in memory."""
    name, axis = kernel.inputs[0], kernel.attributes["axis"]
    order = (*(other for other in emitter.order(name) if other != axis), axis)
    index = emitter.take(name, order)
    result = emitter.result(kernel.output, ordered(emitter.hub(name).shape, order))
    emitter.emit("SOFTMAX", 1, (index,), result, "SoftmaxOptions", Beta=1.0)


def matmul(emitter: Emitter, kernel: Kernel) -> None:
    """BATCH_MATMUL, which takes either factor transposed where it already lies so."""
    factors = [_factor(emitter, name) for name in kernel.inputs]
    fields = {field: True for field, (_, turned) in zip(("AdjX", "AdjY"), factors, strict=True) if turned}
    result = emitter.result(kernel.output, row_major(emitter.hub(kernel.output).shape))
    inputs = [index for index, _ in factors]
    emitter.emit("BATCH_MATMUL", 1, inputs, result, "BatchMatMulOptions", **fields)


def _factor(emitter: Emitter, name: str) -> tuple[int, bool]:
    rank = len(emitter.hub(name).shape)
    straight = tuple(range(rank))
    turned = (*straight[:-2], rank - 1, rank - 2)
    lies = straight if emitter.is_constant(name) else tuple(axis for axis in emitter.order(name) if axis != UNIT)
    return emitter.take(name, turned if lies == turned else straight), lies == turned


def _reduce(emitter: Emitter, kernel: Kernel, code: str, axes: range | list[int]) -> None:
    name = kernel.inputs[0]
    order = emitter.order(name)
    places = np.array([at for at, axis in enumerate(order) if axis in axes], np.int32)
    inputs = (emitter.take(name, order), emitter.literal(places))
    result = emitter.result(kernel.output, ordered(emitter.hub(kernel.output).shape, order))
    emitter.emit(code, emitter.version(kernel.output), inputs, result, "ReducerOptions", KeepDims=True)
