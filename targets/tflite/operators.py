"""Which function says which hub operator in TFLite. Each reads its inputs' places and writes its output's.

An operator is added here and in ``targets/capabilities.py``. Versions in the functions are those from which a runtime
knows the operator with these types: for nearly all, 1 in float and 2 in int8 (``op_version.cc`` of TensorFlow Lite).

Functions are XNNPACK's, which in the far reaches of float32 are not ONNX's: SIN and COS lose their meaning beyond 1e7,
LOGISTIC has none beyond 1e26, EXP and SQRT overflow within a factor of 2 of the limit, numbers below 1e-38 are zero,
and MAXIMUM and MINIMUM of NaN and a number are the number.
"""

from __future__ import annotations

from collections.abc import Mapping

from targets.tflite.convolution import conv, gemm
from targets.tflite.elementwise import (
    Lower,
    binary,
    cast,
    clip,
    dequantize,
    gelu,
    leaky_relu,
    prelu,
    quantize,
    relu,
    sign,
    unary,
)
from targets.tflite.movement import concat, expand, gather, pad, reshape, slice_, transpose
from targets.tflite.pooling import average_pool, max_pool
from targets.tflite.reduction import global_average_pool, matmul, reduce, softmax
from targets.tflite.upsampling import conv_transpose, resize

LOWER: Mapping[str, Lower] = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Gemm": gemm,
    "MatMul": matmul,
    "Relu": relu,
    "LeakyRelu": leaky_relu,
    "PRelu": prelu,
    "Clip": clip,
    "Gelu": gelu,
    "Sign": sign,
    "Sigmoid": unary("LOGISTIC"),
    "Tanh": unary("TANH"),
    "Elu": unary("ELU"),
    "Exp": unary("EXP"),
    "Log": unary("LOG"),
    "Sqrt": unary("SQRT"),
    "Abs": unary("ABS"),
    "Sin": unary("SIN"),
    "Cos": unary("COS"),
    "Floor": unary("FLOOR"),
    "Ceil": unary("CEIL"),
    "Round": unary("ROUND"),
    "Not": unary("LOGICAL_NOT"),
    "Cast": cast,
    "Add": binary("ADD"),
    "Mul": binary("MUL"),
    "Sub": binary("SUB"),
    "Div": binary("DIV"),
    "Max": binary("MAXIMUM"),
    "Min": binary("MINIMUM"),
    "Pow": binary("POW"),
    "Less": binary("LESS"),
    "LessOrEqual": binary("LESS_EQUAL"),
    "Greater": binary("GREATER"),
    "GreaterOrEqual": binary("GREATER_EQUAL"),
    "Equal": binary("EQUAL"),
    "And": binary("LOGICAL_AND"),
    "Or": binary("LOGICAL_OR"),
    "Where": binary("SELECT_V2"),
    "Concat": concat,
    "Pad": pad,
    "Reshape": reshape,
    "Transpose": transpose,
    "Slice": slice_,
    "Gather": gather,
    "Expand": expand,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalAveragePool": global_average_pool,
    "ReduceMean": reduce("MEAN"),
    "ReduceSum": reduce("SUM"),
    "ReduceMax": reduce("REDUCE_MAX"),
    "ReduceMin": reduce("REDUCE_MIN"),
    "Softmax": softmax,
    "Resize": resize,
    "QuantizeLinear": quantize,
    "DequantizeLinear": dequantize,
}
