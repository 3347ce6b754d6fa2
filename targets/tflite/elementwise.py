"""Element-wise operators: they work on the memory as it lies, and only operands that differ follow one another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from targets.kernels import Kernel, Quantization
from targets.tflite.emitter import FUSED, Emitter
from targets.tflite.layout import UNIT, Layout, ordered, sizes
from targets.tflite.writer import Spec

Lower = Callable[[Emitter, Kernel], None]

_TO_UNIT_INTERVAL = 2  # TFLite's code of the fused activation RELU_N1_TO_1
_BOOL = 6  # TFLite's code of the type
_HUGE = np.full(1, 2.0**127, np.float32)
_BOUNDED = {(0.0, 6.0): "RELU6", (-1.0, 1.0): "RELU_N1_TO_1"}
# Operators whose options table is their own; the others' are empty or shared, and left out.
_OPTIONS = {"ADD": "AddOptions", "MUL": "MulOptions", "SUB": "SubOptions", "DIV": "DivOptions"}
# From these versions on they broadcast beyond four dimensions.
_FIVE_DIMENSIONS = {"SUB": 3, "DIV": 2, "MAXIMUM": 3, "MINIMUM": 3}


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


def prelu(emitter: Emitter, kernel: Kernel) -> None:
    """PRELU, or LEAKY_RELU where all channels have one slope."""
    if prod(emitter.hub(kernel.inputs[1]).shape) > 1:
        binary("PRELU")(emitter, kernel)
        return
    place = emitter.places[kernel.inputs[0]]
    result, slope = emitter.result(kernel.output, place.layout), emitter.scalar(kernel.inputs[1])
    emitter.emit("LEAKY_RELU", 1, (place.index,), result, "LeakyReluOptions", Alpha=slope)


def gelu(emitter: Emitter, kernel: Kernel) -> None:
    """GELU, by the error function or by tanh."""
    place = emitter.places[kernel.inputs[0]]
    result, rough = emitter.result(kernel.output, place.layout), kernel.attributes["approximate"] == "tanh"
    emitter.emit("GELU", 1, (place.index,), result, "GeluOptions", Approximate=rough)


def clip(emitter: Emitter, kernel: Kernel) -> None:
    """One of the bounded ReLUs that XNNPACK has, or MAXIMUM and MINIMUM."""
    name, *bounds = kernel.inputs
    low, high = (emitter.scalar(bound) for bound in bounds)
    if (low, high) in _BOUNDED:
        unary(_BOUNDED[low, high])(emitter, kernel)
        return
    place = emitter.places[name]
    least, most = (emitter.fit(bound, place.layout) for bound in bounds)
    raised = emitter.activation(kernel.output, place.layout)
    emitter.emit("MAXIMUM", _version("MAXIMUM", emitter, (place.index, least)), (place.index, least), raised)
    result = emitter.result(kernel.output, place.layout)
    emitter.emit("MINIMUM", _version("MINIMUM", emitter, (raised, most)), (raised, most), result)


def sign(emitter: Emitter, kernel: Kernel) -> None:
    """Twice 2^127 times the value, bounded by -1 and 1: exact for every float32, and XNNPACK has no SIGN."""
    place = emitter.places[kernel.inputs[0]]
    huge = emitter.literal(_HUGE)
    index = place.index
    for result in (emitter.activation(kernel.output, place.layout), emitter.result(kernel.output, place.layout)):
        inputs = (index, huge)
        emitter.emit("MUL", 1, inputs, result, "MulOptions", FusedActivationFunction=_TO_UNIT_INTERVAL)
        index = result


def cast(emitter: Emitter, kernel: Kernel) -> None:
    """CAST of bool to float."""
    place = emitter.places[kernel.inputs[0]]
    result = emitter.result(kernel.output, place.layout)
    emitter.emit("CAST", 1, (place.index,), result, "CastOptions", InDataType=_BOOL)


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
    """An element-wise operator of two or three inputs, which follow the largest; constants follow for free."""

    def lower(emitter: Emitter, kernel: Kernel) -> None:
        inputs, layout = together(emitter, kernel)
        output = emitter.hub(kernel.output)
        version = _version(code, emitter, inputs)
        if code == "MUL" and output.quantization is not None:
            first, second = (float(emitter.quantization(name).scale[0]) for name in kernel.inputs)
            version = 3 if first * second >= float(output.quantization.scale[0]) else 2
        result = emitter.result(kernel.output, layout)
        fused = {"FusedActivationFunction": FUSED[kernel.activation]} if code in _OPTIONS else {}
        emitter.emit(code, version, inputs, result, _OPTIONS.get(code, ""), **fused)

    return lower


def together(emitter: Emitter, kernel: Kernel) -> tuple[list[int], Layout]:
    """The operands in the order of the largest activation, and the layout of what they broadcast to."""
    output = emitter.hub(kernel.output)
    shapes = [emitter.hub(name).shape for name in kernel.inputs]
    leader = emitter.leader(kernel.inputs)
    shape = emitter.hub(leader).shape
    if shape == output.shape and all(other == shape or prod(other) == 1 for other in shapes):
        layout = emitter.places[leader].layout
        return [emitter.fit(name, layout) for name in kernel.inputs], layout
    order = lifted(emitter.order(leader), len(output.shape) - len(shape))
    inputs = [
        emitter.take(name, lowered(order, len(output.shape) - len(other)))
        for name, other in zip(kernel.inputs, shapes, strict=True)
    ]
    return inputs, ordered(output.shape, order)


def lifted(order: tuple[int, ...], missing: int) -> tuple[int, ...]:
    """An order as seen from a shape with ``missing`` more leading axes, which come first."""
    return (*range(missing), *(axis if axis == UNIT else axis + missing for axis in order))


def lowered(order: tuple[int, ...], missing: int) -> tuple[int, ...]:
    """An order as seen from a shape that lacks the first ``missing`` axes: they become UNIT."""
    return tuple(UNIT if axis < missing else axis - missing for axis in order)


def _version(code: str, emitter: Emitter, inputs: Sequence[int]) -> int:
    shapes = {emitter.tensors[index].shape for index in inputs}
    if code in _FIVE_DIMENSIONS and len(shapes) > 1 and max(map(len, shapes)) > 4:
        return _FIVE_DIMENSIONS[code]
    return emitter.version_at(inputs[0])
