"""The MIL operation of each hub operator: one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from targets.coreml import products, shapes, weights
from targets.coreml.operands import Operands

_MAX_RANK = 5


def emit(builder: Any, operands: Operands) -> Any:
    """The MIL value, or numpy constant, of a node.

    Raises:
        UnsupportedNode: Core ML has no equal of it.
    """
    translate = _TRANSLATIONS.get(operands.node.op_type)
    if translate is None:
        raise operands.refuse("the target has no such operator")
    for value in (*operands.node.inputs, *operands.node.outputs):
        if value is not None and value.shape is not None and len(value.shape) > _MAX_RANK:
            raise operands.refuse(f"'{value.name}' has rank {len(value.shape)}, Core ML's tensors have at most 5")
    try:
        return translate(builder, operands)
    except (AttributeError, NotImplementedError, TypeError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise operands.refuse(f"coremltools says: {reason}") from error


def _unary(operation: str) -> Callable[[Any, Operands], Any]:
    """An operation with one input and no parameters."""
    return lambda builder, node: getattr(builder, operation)(x=node[0])


def _binary(operation: str) -> Callable[[Any, Operands], Any]:
    return lambda builder, node: getattr(builder, operation)(x=node[0], y=node[1])


def _reduce(operation: str) -> Callable[[Any, Operands], Any]:
    return lambda builder, node: getattr(builder, operation)(x=node[0], axes=node.integers(1), keep_dims=True)


def _log(builder: Any, node: Operands) -> Any:
    """``log(x + epsilon)``, in which epsilon must be nothing: its default would turn the -inf of 0 into -103."""
    return builder.log(x=node[0], epsilon=node.real(0))


def _gelu(builder: Any, node: Operands) -> Any:
    modes = {"none": "EXACT", "tanh": "TANH_APPROXIMATION"}
    return builder.gelu(x=node[0], mode=modes[node.attributes.get("approximate", "none")])


def _clip(builder: Any, node: Operands) -> Any:
    low, high = (np.asarray(node[index]).item() for index in (1, 2))
    if (low, high) == (0, 6):
        return builder.relu6(x=node[0])
    return builder.clip(x=node[0], alpha=node.real(low), beta=node.real(high))


def _prelu(builder: Any, node: Operands) -> Any:
    """``prelu``, which takes one slope a channel of images only: what is none becomes one, and then itself again."""
    slope = np.asarray(node[1])
    if slope.size == 1:
        return builder.leaky_relu(x=node[0], alpha=node.real(slope))
    x, shape = node[0], list(node[0].shape)
    if slope.size != slope.shape[0] or slope.shape[0] != shape[1]:
        raise node.refuse("Core ML has one slope a channel, or one for all")
    if len(shape) != 4:
        x = builder.reshape(x=x, shape=[*shape[:2], 1, int(np.prod(shape[2:]))])
    x = builder.prelu(x=x, alpha=slope.reshape(-1))
    return builder.reshape(x=x, shape=shape) if len(shape) != 4 else x


def _where(builder: Any, node: Operands) -> Any:
    return builder.select(cond=node[0], a=node[1], b=node[2])


def _cast(builder: Any, node: Operands) -> Any:
    """Of bool to float: the dialect has no other."""
    return builder.cast(x=node[0], dtype={"float16": "fp16", "float32": "fp32"}[node.precision])


_TRANSLATIONS: Mapping[str, Callable[[Any, Operands], Any]] = {
    "Conv": products.conv,
    "ConvTranspose": products.conv_transpose,
    "Gemm": products.gemm,
    "MatMul": products.matmul,
    "MaxPool": products.pool("max_pool"),
    "AveragePool": products.pool("avg_pool"),
    "GlobalAveragePool": products.global_average_pool,
    "Concat": shapes.concat,
    "Expand": shapes.expand,
    "Gather": shapes.gather,
    "Pad": shapes.pad,
    "Reshape": shapes.reshape,
    "Resize": shapes.resize,
    "Slice": shapes.cut,
    "Transpose": shapes.transpose,
    "QuantizeLinear": weights.quantize,
    "DequantizeLinear": weights.dequantize,
    "LeakyRelu": lambda builder, node: builder.leaky_relu(x=node[0], alpha=node.real(node.attributes["alpha"])),
    "Elu": lambda builder, node: builder.elu(x=node[0], alpha=node.real(node.attributes.get("alpha", 1.0))),
    "Softmax": lambda builder, node: builder.softmax(x=node[0], axis=int(node.attributes["axis"])),
    "Log": _log,
    "Gelu": _gelu,
    "Clip": _clip,
    "PRelu": _prelu,
    "Where": _where,
    "Cast": _cast,
    **{
        name: _unary(operation)
        for name, operation in (
            *(("Relu", "relu"), ("Sigmoid", "sigmoid"), ("Tanh", "tanh"), ("Exp", "exp"), ("Sqrt", "sqrt")),
            *(("Abs", "abs"), ("Sin", "sin"), ("Cos", "cos"), ("Floor", "floor"), ("Ceil", "ceil")),
            *(("Round", "round"), ("Sign", "sign"), ("Not", "logical_not")),
        )
    },
    **{
        name: _binary(operation)
        for name, operation in (
            *(("Add", "add"), ("Sub", "sub"), ("Mul", "mul"), ("Div", "real_div"), ("Pow", "pow")),
            *(("Max", "maximum"), ("Min", "minimum"), ("Equal", "equal"), ("And", "logical_and"), ("Or", "logical_or")),
            *(("Less", "less"), ("LessOrEqual", "less_equal"), ("Greater", "greater")),
            ("GreaterOrEqual", "greater_equal"),
        )
    },
    **{
        name: _reduce(operation)
        for name, operation in (
            *(("ReduceMean", "reduce_mean"), ("ReduceSum", "reduce_sum")),
            *(("ReduceMax", "reduce_max"), ("ReduceMin", "reduce_min")),
        )
    },
}
