"""Which function lowers which hub operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from targets.c import elementwise, movement, products, reductions
from targets.c.emitter import Emitter
from targets.kernels import Kernel

LOWER: Mapping[str, Callable[[Emitter, Kernel], None]] = {
    "Conv": products.conv,
    "ConvTranspose": products.conv_transpose,
    "Gemm": products.gemm,
    "MatMul": reductions.matmul,
    "Add": elementwise.add,
    "Mul": elementwise.mul,
    **dict.fromkeys(("Relu", "LeakyRelu", "Sigmoid", "Tanh"), elementwise.activation),
    **dict.fromkeys(("Sub", "Div", "Max", "Min", "Pow", "PRelu", "Clip", "Where", "Gelu"), elementwise.real_function),
    **dict.fromkeys(("Elu", "Exp", "Log", "Sqrt", "Abs", "Sin", "Cos"), elementwise.real_function),
    **dict.fromkeys(("Floor", "Ceil", "Round", "Sign"), elementwise.real_function),
    **dict.fromkeys(("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal"), elementwise.truth),
    **dict.fromkeys(("And", "Or", "Not"), elementwise.truth),
    "Cast": elementwise.cast,
    "QuantizeLinear": elementwise.quantize,
    "DequantizeLinear": elementwise.dequantize,
    "Reshape": movement.reshape,
    "Transpose": movement.transpose,
    "Slice": movement.slice_,
    "Expand": movement.expand,
    "Concat": movement.concat,
    "Pad": movement.pad,
    "Gather": movement.gather,
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"), reductions.reduce),
    "GlobalAveragePool": reductions.mean,
    "MaxPool": reductions.max_pool,
    "AveragePool": reductions.average_pool,
    "Softmax": reductions.softmax,
    "Resize": reductions.resize,
}
