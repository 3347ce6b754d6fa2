"""Which function says which hub operator in TFLite. Each reads its inputs' places and writes its output's.

An operator is added here and in ``targets/capabilities.py``. Versions in the functions are those from which a runtime
knows the operator with these types: for nearly all, 1 in float and 2 in int8.
"""

from __future__ import annotations

from collections.abc import Mapping

from targets.tflite.convolution import conv, gemm
from targets.tflite.elementwise import Lower, binary, dequantize, leaky_relu, quantize, relu, unary
from targets.tflite.movement import concat, pad, reshape, slice_, transpose
from targets.tflite.pooling import average_pool, global_average_pool, max_pool

LOWER: Mapping[str, Lower] = {
    "Conv": conv,
    "Gemm": gemm,
    "Relu": relu,
    "LeakyRelu": leaky_relu,
    "Sigmoid": unary("LOGISTIC"),
    "Tanh": unary("TANH"),
    "Add": binary("ADD"),
    "Mul": binary("MUL"),
    "Concat": concat,
    "Pad": pad,
    "Reshape": reshape,
    "Transpose": transpose,
    "Slice": slice_,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalAveragePool": global_average_pool,
    "QuantizeLinear": quantize,
    "DequantizeLinear": dequantize,
}
