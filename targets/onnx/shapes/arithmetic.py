"""Shapes of what computes element by element, of reductions and of conversions."""

from __future__ import annotations

from collections.abc import Mapping

from targets.onnx.shapes.view import BOOL, FLOAT, INT64, UINT8, Node, Rule, Shape, Unknown, Value, axis_of, broadcast


def _same(node: Node) -> tuple[Value, ...]:
    return (node.value(0),)


def _elementwise(node: Node) -> tuple[Value, ...]:
    shapes = [node.shape(index) for index in range(len(node.inputs))]
    if not shapes or (node.attribute("axis") or node.attribute("broadcast")):  # as before opset 7
        raise Unknown
    return ((node.type(0), broadcast(*shapes)),)


def _comparison(node: Node) -> tuple[Value, ...]:
    return ((BOOL, _elementwise(node)[0][1]),)


def _truth(node: Node) -> tuple[Value, ...]:
    return ((BOOL, node.shape(0)),)


def _where(node: Node) -> tuple[Value, ...]:
    return ((node.type(1), broadcast(node.shape(0), node.shape(1), node.shape(2))),)


def _cast(node: Node) -> tuple[Value, ...]:
    to = node.integer("to", 0)
    if not to:
        raise Unknown
    return ((to, node.shape(0)),)


def _cast_like(node: Node) -> tuple[Value, ...]:
    return ((node.type(1), node.shape(0)),)


def _dropout(node: Node) -> tuple[Value, ...]:
    return node.value(0), (BOOL if node.opset >= 10 else node.type(0), node.shape(0))


def _normalization(node: Node) -> tuple[Value, ...]:
    """Output, and for a LayerNormalization the mean and the inverse deviation over the last axes."""
    shape = node.shape(0)
    axis = axis_of(node.integer("axis", -1), len(shape))
    return node.value(0), *[(FLOAT, shape[:axis] + (1,) * (len(shape) - axis))] * 2


def _reduced(shape: Shape, axes: Shape | None, keep: bool) -> Shape:
    gone = {axis_of(axis, len(shape)) for axis in axes} if axes else set(range(len(shape)))
    sizes = (1 if axis in gone else size for axis, size in enumerate(shape) if keep or axis not in gone)
    return tuple(sizes)


def _reduce(node: Node) -> tuple[Value, ...]:
    axes = node.listed("axes", 1)
    if not axes and node.integer("noop_with_empty_axes", 0):
        return (node.value(0),)
    return ((node.type(0), _reduced(node.shape(0), axes, node.integer("keepdims", 1) != 0)),)


def _arg(node: Node) -> tuple[Value, ...]:
    axis = (node.integer("axis", 0),)
    return ((INT64, _reduced(node.shape(0), axis, node.integer("keepdims", 1) != 0)),)


def _quantize(node: Node) -> tuple[Value, ...]:
    asked = node.integer("output_dtype", 0)
    return ((asked or (node.type(2) if node.has(2) else UINT8), node.shape(0)),)


def _dequantize(node: Node) -> tuple[Value, ...]:
    return ((node.integer("output_dtype", 0) or node.type(1), node.shape(0)),)


def _quantize_at_run_time(node: Node) -> tuple[Value, ...]:
    return (UINT8, node.shape(0)), (FLOAT, ()), (UINT8, ())


def _qlinear_binary(node: Node) -> tuple[Value, ...]:
    return ((node.type(0), broadcast(node.shape(0), node.shape(3))),)


_UNARY = """
    Abs Acos Acosh Asin Asinh Atan Atanh BatchNormalization BitwiseNot Ceil Celu Clip Cos Cosh CumSum Elu Erf Exp Floor
    GroupNormalization Gelu HardSigmoid HardSwish Hardmax Identity InstanceNormalization LRN LeakyRelu Log LogSoftmax
    LpNormalization MeanVarianceNormalization Mish Neg PRelu RMSNormalization Reciprocal Relu Round Selu Shrink Sigmoid
    Sign Sin Sinh Softmax Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu Trilu
    com.microsoft.FastGelu com.microsoft.Gelu com.microsoft.QuickGelu com.microsoft.BiasGelu
    com.microsoft.QLinearSigmoid com.microsoft.QLinearLeakyRelu com.microsoft.QLinearSoftmax
"""
_REDUCTIONS = """
    ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare
"""
RULES: Mapping[str, Rule] = {
    **dict.fromkeys(_UNARY.split(), _same),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean", "Mod", "Pow"), _elementwise),
    **dict.fromkeys(("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal", "And", "Or", "Xor"), _comparison),
    **dict.fromkeys(("Not", "IsNaN", "IsInf"), _truth),
    **dict.fromkeys(_REDUCTIONS.split(), _reduce),
    **dict.fromkeys(("ArgMax", "ArgMin"), _arg),
    **dict.fromkeys(("com.microsoft.QLinearAdd", "com.microsoft.QLinearMul"), _qlinear_binary),
    **dict.fromkeys(("QuantizeLinear", "com.microsoft.QuantizeLinear"), _quantize),
    **dict.fromkeys(("DequantizeLinear", "com.microsoft.DequantizeLinear"), _dequantize),
    "Cast": _cast,
    "CastLike": _cast_like,
    "Dropout": _dropout,
    "DynamicQuantizeLinear": _quantize_at_run_time,
    "LayerNormalization": _normalization,
    "Where": _where,
}
