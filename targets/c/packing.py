"""The constants of a product, as its kernels read them: packed weights, and what makes sums int8 or float again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from targets.c.emitter import Emitter, refuse
from targets.c.fixed import narrowing, scale_of, zero_of
from targets.c.source import identifier
from targets.capabilities import scheme_of
from targets.kernels import Kernel

BLOCK = 16  # outputs that are computed together
QUAD = 4  # inputs of an int8 output that lie together
ACTIVATIONS = {"": 0, "Relu": 1, "Relu6": 2}
PARAMETERS = ("bias", "multiplier", "shift")
_FORMS = {"float": ("f32", np.float32), "w8": ("w8", np.int8), "float16": ("w16", np.float16)}
_INT32 = 2**31 - 1


@dataclass(frozen=True)
class Weights:
    """A product's constants, as they are stored.

    Attributes:
        scheme: of the product.
        matrix: ``[groups, outputs, inputs]``, the inputs in the order in which they are read.
        scale: of each output, ``[groups, outputs]``; None where there is none.
        bias: ``[groups, outputs]``; None where there is none.
    """

    scheme: str
    matrix: NDArray[Any]
    scale: NDArray[np.float32] | None
    bias: NDArray[Any] | None


def weights(e: Emitter, kernel: Kernel) -> Weights:
    """A product's constants, grouped by output; the inputs of a convolution are channels last."""
    scheme = scheme_of(kernel, e.program)
    name = e.dequantized.get(kernel.inputs[1], kernel.inputs[1])
    stored = e.tensor(name)
    if stored.data is None:
        raise refuse(kernel, "its weights are not constant")
    data, groups = np.asarray(stored.data), int(kernel.attributes.get("group", 1))
    if kernel.operator == "ConvTranspose":  # [C, O / group, …] to the weights of the convolution
        split = data.reshape(groups, data.shape[0] // groups, *data.shape[1:])
        data = np.flip(np.moveaxis(split, 1, 2), tuple(range(3, split.ndim)))
        data = data.reshape(groups * data.shape[1], *data.shape[2:])
    matrix = np.moveaxis(data, 1, -1).reshape(groups, data.shape[0] // groups, -1)
    bias = e.constant(kernel.inputs[2]) if len(kernel.inputs) > 2 else None
    scale = None
    if stored.quantization is not None:
        outputs = matrix.shape[1] if kernel.operator == "ConvTranspose" else groups * matrix.shape[1]
        values = np.broadcast_to(stored.quantization.scale, (outputs,))
        scale = np.resize(values, matrix.shape[:2]).astype(np.float32)
        if matrix.min(initial=0) < -127 or (stored.quantization.zero_point != 0).any():
            raise refuse(kernel, "its int8 weights are not symmetric")
    return Weights(scheme, matrix, scale, None if bias is None else np.asarray(bias).reshape(matrix.shape[:2]))


def blockwise(array: NDArray[Any] | None) -> NDArray[Any] | None:
    """Numbers of outputs, ``[groups, outputs]``, with zeros up to whole blocks."""
    return None if array is None else np.pad(array, ((0, 0), (0, -array.shape[1] % BLOCK)))


class Tables:
    """The tables of one product and the call that names them."""

    def __init__(self, e: Emitter, kernel: Kernel, made: Weights, grouped: str) -> None:
        self.e, self.kernel, self.made, self.grouped = e, kernel, made, grouped
        self.label = identifier(kernel.node or kernel.operator)

    def call(self, rows: str, x: str, step: int, y: str, width: int) -> str:
        """A call for so many rows."""
        _, outputs, inputs = self.made.matrix.shape
        first = f"{rows}, {inputs}, {x}, {step}, {outputs}"
        last = f"{y}, {width}"
        activation = ACTIVATIONS[self.kernel.activation]
        if self.made.scheme == "w8a8":
            parts = integer_parameters(self.e, self.kernel, self.made, BLOCK)
            names = [self.table(part, data) for part, data in zip(PARAMETERS, parts, strict=True)]
            limits = ", ".join(map(str, bounds(self.e, self.kernel)))
            return f"phiz_matmul_s8({first}, {self.quads()}, {', '.join(names)}, {limits}, {last});"
        bias = self.table("bias", blockwise(self.made.bias))
        if self.made.scheme == "w8-dynamic":
            total = self.table("sum", blockwise(self.made.matrix.sum(axis=2, dtype=np.int32)))
            work = self.e.scratch("int8_t", inputs)
            scale = self.table("scale", blockwise(self.made.scale))
            constants = f"{self.quads()}, {scale}, {total}, {bias}, {activation}, {work}"
            return f"phiz_matmul_dynamic({first}, {constants}, {last});"
        form, dtype = _FORMS[self.made.scheme]
        constants = f"{self.columns(dtype)}, {self.table('scale', blockwise(self.made.scale))}, {bias}, {activation}"
        return f"phiz_matmul_{form}({first}, {constants}, {last});"

    def quads(self) -> str:
        """int8 weights as [blocks][quads][16 outputs][4 inputs]."""
        groups, outputs, inputs = self.made.matrix.shape
        filled = np.pad(self.made.matrix, ((0, 0), (0, -outputs % BLOCK), (0, -inputs % QUAD)))
        blocks = filled.reshape(groups, -1, BLOCK, filled.shape[2] // QUAD, QUAD)
        return self.table("weight", np.swapaxes(blocks, 2, 3).astype(np.int8))

    def columns(self, dtype: Any) -> str:
        """Weights for float arithmetic as [blocks][inputs][16 outputs]."""
        groups, outputs, inputs = self.made.matrix.shape
        filled = np.pad(self.made.matrix, ((0, 0), (0, -outputs % BLOCK), (0, 0)))
        blocks = filled.reshape(groups, -1, BLOCK, inputs)
        return self.table("weight", np.swapaxes(blocks, 2, 3).astype(dtype))

    def table(self, part: str, array: NDArray[Any] | None) -> str:
        """The address of a table, within it of the group's part."""
        if array is None:
            return "0"
        name = self.e.table(f"{self.label}_{part}", array)
        return f"{name} + {self.grouped} * {array[0].size}" if self.grouped else name


def integer_parameters(
    e: Emitter, kernel: Kernel, made: Weights, block: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Biases with the zero point of the input folded in, multipliers and shifts; each group filled up to whole blocks.

    Raises:
        UnsupportedNode: sums would leave 32 bits, and saturating them would change what comes out.
    """
    x, y = e.tensor(kernel.inputs[0]).quantization, e.tensor(kernel.output).quantization
    if x is None or y is None or made.scale is None:
        raise refuse(kernel, "it lacks quantisation parameters")
    factors = made.scale.astype(np.float64) * scale_of(x) / scale_of(y)
    matrix = made.matrix.astype(np.int64)
    bias = np.zeros(matrix.shape[:2], np.int64) if made.bias is None else made.bias.astype(np.int64)
    bias = bias - zero_of(x) * matrix.sum(axis=2)
    room = _INT32 - 128 * np.abs(matrix).sum(axis=2)
    outside = np.abs(bias) > room
    if (room < 0).any() or (outside & (factors * room < 1024)).any():
        raise refuse(kernel, "its sums do not fit into 32 bits; give it the scheme w8")
    bias = bias.clip(-room, room)
    narrow = narrowing(factors)
    filled = [
        np.pad(part, ((0, 0), (0, -part.shape[1] % block)), constant_values=value)
        for part, value in ((bias, 0), (narrow.multiplier, 0), (narrow.shift, 31))
    ]
    return filled[0].astype(np.int32), filled[1].astype(np.int32), filled[2].astype(np.uint8)


def bounds(e: Emitter, kernel: Kernel) -> tuple[int, int, int]:
    """Zero point, least and largest integer of what a kernel with its activation writes."""
    parameters = e.tensor(kernel.output).quantization
    if parameters is None:
        raise refuse(kernel, "its output has no quantisation parameters")
    zero, low, high = zero_of(parameters), -128, 127
    if kernel.activation:
        low = max(low, min(zero, 127))
    if kernel.activation == "Relu6":
        high = min(high, max(low, zero + round(6 / scale_of(parameters))))
    return zero, low, high
