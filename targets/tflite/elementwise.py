"""Element-wise operators: they work on the memory as it lies, and only operands that differ follow one another."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from targets.kernels import Kernel, Quantization
from targets.tflite.emitter import FUSED, Emitter
from targets.tflite.layout import UNIT, ordered, sizes
from targets.tflite.writer import Spec

Lower = Callable[[Emitter, Kernel], None]


def unary(code: str) -> Lower:
    """An element-wise operator of one input: it works on the memory as it lies."""

    def lower(emitter: Emitter, kernel: Kernel) -> None:
        place = emitter.places[kernel.inputs[0]]
        emitter.emit(code, emitter.version(kernel.output), (place.index,), emitter.result(kernel.output, place.layout))

    return lower


def relu(emitter: Emitter, kernel: Kernel) -> None:
    """RELU in float. In int8, where XNNPACK lacks it, the ADD of a zero with the activation fused."""
    name = kernel.inputs[0]
    parameters = emitter.hub(name).quantization
    if parameters is None:
        unary("RELU")(emitter, kernel)
        return
    place = emitter.places[name]
    zero = emitter.literal(np.zeros(1, np.int8), Quantization(parameters.scale, np.zeros(1, np.int64), None))
    result = emitter.result(kernel.output, place.layout)
    emitter.emit("ADD", 2, (place.index, zero), result, "AddOptions", FusedActivationFunction=1)


def leaky_relu(emitter: Emitter, kernel: Kernel) -> None:
    """LEAKY_RELU in float, and in int8 the same between a DEQUANTIZE and a QUANTIZE.

    XNNPACK's int8 LEAKY_RELU rounds its two factors to 1/256 and is a step off for some 6 % of its inputs, which over
    a dozen layers becomes several steps. The detour is exact, and it takes no measurable time.
    """
    place = emitter.places[kernel.inputs[0]]
    result = emitter.result(kernel.output, place.layout)
    alpha = float(kernel.attributes["alpha"])
    if emitter.hub(kernel.output).quantization is None:
        emitter.emit("LEAKY_RELU", 1, (place.index,), result, "LeakyReluOptions", Alpha=alpha)
        return
    real, leaked = (emitter.tensor(Spec(sizes(place.layout), np.dtype(np.float32))) for _ in range(2))
    emitter.emit("DEQUANTIZE", 2, (place.index,), real)
    emitter.emit("LEAKY_RELU", 1, (real,), leaked, "LeakyReluOptions", Alpha=alpha)
    emitter.emit("QUANTIZE", 1, (leaked,), result)


def dequantize(emitter: Emitter, kernel: Kernel) -> None:
    """Of an activation: an operator. Of a constant: remembered, and emitted in the layout that its consumer wants."""
    if emitter.is_constant(kernel.inputs[0]):
        emitter.dequantized[kernel.output] = kernel.inputs[0]
        return
    place = emitter.places[kernel.inputs[0]]
    emitter.emit("DEQUANTIZE", 2, (place.index,), emitter.result(kernel.output, place.layout))


def quantize(emitter: Emitter, kernel: Kernel) -> None:
    """QUANTIZE, on the memory as it lies."""
    place = emitter.places[kernel.inputs[0]]
    emitter.emit("QUANTIZE", 1, (place.index,), emitter.result(kernel.output, place.layout))


def binary(code: str) -> Lower:
    """Add and Mul: the larger operand keeps its order, the others follow; constants follow for free."""

    def lower(emitter: Emitter, kernel: Kernel) -> None:
        output = emitter.hub(kernel.output)
        shapes = [emitter.hub(name).shape for name in kernel.inputs]
        leader = emitter.leader(kernel.inputs)
        if all(shape == output.shape or prod(shape) == 1 for shape in shapes):
            layout = emitter.places[leader].layout
            inputs = [emitter.fit(name, layout) for name in kernel.inputs]
        else:
            order = lifted(emitter.order(leader), len(output.shape) - len(emitter.hub(leader).shape))
            layout = ordered(output.shape, order)
            inputs = [
                emitter.take(name, lowered(order, len(output.shape) - len(shape)))
                for name, shape in zip(kernel.inputs, shapes, strict=True)
            ]
        version = emitter.version(kernel.output)
        if code == "MUL" and output.quantization is not None:
            first, second = (float(emitter.quantization(name).scale[0]) for name in kernel.inputs)
            version = 3 if first * second >= float(output.quantization.scale[0]) else 2
        result = emitter.result(kernel.output, layout)
        fused = FUSED[kernel.activation]
        emitter.emit(code, version, inputs, result, f"{code.title()}Options", FusedActivationFunction=fused)

    return lower


def lifted(order: tuple[int, ...], missing: int) -> tuple[int, ...]:
    """An order as seen from a shape with ``missing`` more leading axes, which come first."""
    return (*range(missing), *(axis if axis == UNIT else axis + missing for axis in order))


def lowered(order: tuple[int, ...], missing: int) -> tuple[int, ...]:
    """An order as seen from a shape that lacks the first ``missing`` axes: they become UNIT."""
    return tuple(UNIT if axis < missing else axis - missing for axis in order)
