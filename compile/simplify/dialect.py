"""Is this graph in the hub dialect? The gate between simplify and everything after it."""

from __future__ import annotations

import onnx_ir as ir

from compile.errors import UnsupportedNode, UserError
from compile.model import constant, shape_of, source_of

_STAGE = "any target (onnx, tflite, coreml)"
# Which inputs must be constant, besides those a runtime computes.
_CONSTANT_INPUTS = {
    "Conv": (1, 2),
    "Gemm": (1, 2),
    "Pad": (1, 2),
    "Reshape": (1,),
    "Slice": (1, 2, 3, 4),
}
_SPATIAL = ("Conv", "MaxPool", "AveragePool", "GlobalAveragePool")
_OPERANDS = ("Add", "Mul", "Concat")
OPERATORS = (
    *_SPATIAL,
    *("Gemm", "Relu", "LeakyRelu", "Sigmoid", "Tanh", "Add", "Mul", "Concat", "Pad", "Reshape", "Transpose", "Slice"),
)


def check(model: ir.Model) -> None:
    """Raise UnsupportedNode for the first node outside the dialect, UserError for a value without a static shape."""
    for node in model.graph:
        reason = _reason(node)
        if reason:
            raise UnsupportedNode(node.op_type, node.name or "", reason, source=source_of(node), stage=_STAGE)
    for value in model.graph.outputs:
        if value.producer() is None:
            raise UserError(
                "it is a constant or an input, nothing computes it", where=f"output '{value.name}'", fix="drop it"
            )


def _reason(node: ir.Node) -> str:
    if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
        return "the model is already quantised; give phiz the float model"
    if node.op_type == "MatMul":
        return "of its two factors the second has to be one constant matrix"
    if node.op_type not in OPERATORS or node.domain not in ("", "ai.onnx"):
        return f"phiz has {', '.join(sorted(OPERATORS))}"
    for value in (*node.inputs, *node.outputs):
        if value is not None:
            shape_of(value)
    if node.outputs[0].dtype != ir.DataType.FLOAT:
        return f"it computes {node.outputs[0].dtype}, phiz computes float32"
    for index in _CONSTANT_INPUTS.get(node.op_type, ()):
        if len(node.inputs) > index and node.inputs[index] is not None and constant(node.inputs[index]) is None:
            return f"its input {index} ('{_name(node, index)}') is computed at run time and has to be constant"
    if node.inputs[0] is None or (constant(node.inputs[0]) is not None and node.op_type not in _OPERANDS):
        return "its first input is a constant"
    if node.op_type in _OPERANDS and all(constant(value) is not None for value in node.inputs):
        return "all its inputs are constant, it gives the same whatever is heard"
    rank = len(shape_of(node.inputs[0]))
    if node.op_type in _SPATIAL and rank not in (3, 4):
        return f"its input has rank {rank}; 1-D and 2-D are supported, rank 3 and 4"
    return _detail(node)


def _detail(node: ir.Node) -> str:
    if node.op_type in ("MaxPool", "AveragePool"):
        if len(node.outputs) > 1 and node.outputs[1].uses():
            return "its indices are used"
        if node.attributes["ceil_mode"].as_int():
            return "its ceil_mode adds a window without any input, or padding as large as its kernel"
        if node.op_type == "AveragePool" and "dilations" in node.attributes:
            return "a dilated average"
    if node.op_type == "Gemm":
        form = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 1}
        bias = constant(node.inputs[2]) if len(node.inputs) > 2 else None
        if any(node.attributes[name].value != form[name] for name in form if name in node.attributes):
            return "its factors are not plain"
        if bias is not None and bias.shape != shape_of(node.outputs[0])[1:]:
            return f"its bias has the shape {list(bias.shape)}"
    if node.op_type == "Pad":
        mode = node.attributes["mode"].as_string() if "mode" in node.attributes else "constant"
        pads = constant(node.inputs[1])
        if mode != "constant":
            return f"its mode is '{mode}'; only constant padding is supported"
        if pads is not None and (pads < 0).any():
            return "negative padding; use Slice"
    if node.op_type == "Slice":
        steps = constant(node.inputs[4]) if len(node.inputs) > 4 else None
        if steps is None or (steps <= 0).any():
            return "its step is not positive"
    return ""


def _name(node: ir.Node, index: int) -> str:
    value = node.inputs[index]
    return value.name or "" if value is not None else ""
