"""Operators that compute each element from one of each operand, and conversions between floats and integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from targets.c.emitter import Emitter, refuse
from targets.c.fixed import MOST, addition, look_up, narrowing, scale_of, zero_of
from targets.c.packing import bounds
from targets.c.source import identifier, real
from targets.kernels import Kernel

Array = NDArray[np.float32]

_KERNELS: Mapping[str, str] = {
    "Relu": "relu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Elu": "elu",
    "Exp": "exp",
    "Log": "log",
    "Sqrt": "sqrt",
    "Abs": "abs",
    "Sin": "sin",
    "Cos": "cos",
    "Floor": "floor",
    "Ceil": "ceil",
    "Round": "round",
    "Sign": "sign",
    "Add": "add",
    "Sub": "sub",
    "Mul": "mul",
    "Div": "div",
    "Max": "max",
    "Min": "min",
    "Pow": "pow",
    "PRelu": "leaky",
    "Clip": "clip",
    "Where": "where",
}
_TRUTHS: Mapping[str, str] = {
    "Less": "less_f32",
    "LessOrEqual": "less_equal_f32",
    "Greater": "greater_f32",
    "GreaterOrEqual": "greater_equal_f32",
    "Equal": "equal_f32",
    "And": "and_u8",
    "Or": "or_u8",
    "Not": "not_u8",
}
_FUSED = {"": "", "Relu": "_relu", "Relu6": "_relu6"}


def real_function(e: Emitter, kernel: Kernel) -> None:
    """In float32; parameters are operands of one element."""
    operands = [e.place(name) for name in kernel.inputs]
    name = _KERNELS.get(kernel.operator, "")
    if kernel.operator == "LeakyRelu":
        name, operands = "leaky", [*operands, e.fixed(kernel.attributes["alpha"])]
    if kernel.operator == "Gelu":
        name = "gelu_tanh" if kernel.attributes.get("approximate") == "tanh" else "gelu"
    kernel_name = f"phiz_{name}{_FUSED[kernel.activation]}_f32"
    e.shaped(kernel.output, e.elementwise(kernel_name, "float", e.tensor(kernel.output).shape, operands))


def truth(e: Emitter, kernel: Kernel) -> None:
    """Comparisons and what is made of them: bytes of 0 or 1."""
    operands = [e.place(name) for name in kernel.inputs]
    name = f"phiz_{_TRUTHS[kernel.operator]}"
    e.shaped(kernel.output, e.elementwise(name, "uint8_t", e.tensor(kernel.output).shape, operands))


def cast(e: Emitter, kernel: Kernel) -> None:
    """Truth values as 0 and 1."""
    shape = e.tensor(kernel.output).shape
    e.shaped(kernel.output, e.elementwise("phiz_cast_u8", "float", shape, [e.place(kernel.inputs[0])]))


def activation(e: Emitter, kernel: Kernel) -> None:
    """Relu, LeakyRelu, Sigmoid and Tanh: of int8 by a table of 256 numbers."""
    x, y = e.tensor(kernel.inputs[0]).quantization, e.tensor(kernel.output).quantization
    if x is None or y is None:
        real_function(e, kernel)
        return
    alpha = np.float32(kernel.attributes.get("alpha", 0.01))
    functions: Mapping[str, Callable[[Array], Array]] = {
        "Relu": lambda v: np.maximum(v, np.float32(0)),
        "LeakyRelu": lambda v: np.where(v < 0, v * alpha, v),
        "Sigmoid": lambda v: np.float32(1) / (np.float32(1) + np.exp(-v)),
        "Tanh": np.tanh,
    }
    with np.errstate(over="ignore"):
        numbers = look_up(functions[kernel.operator], x, y)
    table = e.table(f"{identifier(kernel.node)}_values", numbers)
    shape, operand = e.tensor(kernel.output).shape, e.place(kernel.inputs[0])
    e.shaped(kernel.output, e.elementwise("phiz_look_up", "int8_t", shape, [operand], (table,)))


def add(e: Emitter, kernel: Kernel) -> None:
    """A sum: of int8 with two multipliers and one shift."""
    x, z = (e.tensor(name).quantization for name in kernel.inputs)
    y = e.tensor(kernel.output).quantization
    if x is None or z is None or y is None:
        real_function(e, kernel)
        return
    if max(scale_of(x), scale_of(z)) / scale_of(y) > MOST:  # what cancels would cancel too coarsely
        raise refuse(kernel, f"a step of its inputs is more than {MOST:.0f} of its sum; give it the scheme float")
    made = addition(x, z, y)
    _, low, high = bounds(e, kernel)
    extra = (*map(str, (made.a, made.b, made.c, made.shift, low, high)),)
    _binary(e, kernel, "phiz_add_s8", extra)


def mul(e: Emitter, kernel: Kernel) -> None:
    """A product: of int8 by one multiplier."""
    x, z = (e.tensor(name).quantization for name in kernel.inputs)
    y = e.tensor(kernel.output).quantization
    if x is None or z is None or y is None:
        real_function(e, kernel)
        return
    made = narrowing(np.array([scale_of(x) * scale_of(z) / scale_of(y)]))
    extra = (zero_of(x), zero_of(z), int(made.multiplier[0]), int(made.shift[0]), zero_of(y))
    _binary(e, kernel, "phiz_mul_s8", tuple(map(str, extra)))


def quantize(e: Emitter, kernel: Kernel) -> None:
    """Floats to int8."""
    parameters = e.tensor(kernel.output).quantization
    if parameters is None or parameters.axis is not None:
        raise refuse(kernel, "it lacks parameters for the whole tensor")
    extra = (real(parameters.scale[0]), str(zero_of(parameters)))
    shape = e.tensor(kernel.output).shape
    made = e.elementwise("phiz_quantize", "int8_t", shape, [e.place(kernel.inputs[0])], extra)
    e.shaped(kernel.output, made)


def dequantize(e: Emitter, kernel: Kernel) -> None:
    """int8 to floats; a constant only when somebody reads it who cannot take it narrow."""
    if e.tensor(kernel.inputs[0]).data is not None:
        e.dequantized[kernel.output] = kernel.inputs[0]
        return
    parameters = e.tensor(kernel.inputs[0]).quantization
    if parameters is None or parameters.axis is not None:
        raise refuse(kernel, "it lacks parameters for the whole tensor")
    extra = (real(parameters.scale[0]), str(zero_of(parameters)))
    shape = e.tensor(kernel.output).shape
    e.shaped(kernel.output, e.elementwise("phiz_dequantize", "float", shape, [e.place(kernel.inputs[0])], extra))


def _binary(e: Emitter, kernel: Kernel, name: str, extra: tuple[str, ...]) -> None:
    operands = [e.place(operand) for operand in kernel.inputs]
    e.shaped(kernel.output, e.elementwise(name, "int8_t", e.tensor(kernel.output).shape, operands, extra))
