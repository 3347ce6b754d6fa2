"""Is this graph in the hub dialect? The gate between simplify and everything after it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir

from compile.errors import UnsupportedNode, UserError
from compile.model import constant, operand, shape_of, source_of
from compile.simplify.edit import ints, is_read
from compile.simplify.forms import FORMS, REFUSED, SPELLINGS, Form
from compile.simplify.outcome import Outcome

OPSET = 20
OPERATORS = tuple(FORMS)
_STAGE = "any target (onnx, tflite, coreml, c)"
_DTYPES = {"float": ir.DataType.FLOAT, "bool": ir.DataType.BOOL}


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
        if value.dtype != ir.DataType.FLOAT:
            raise UserError(f"its element type is {value.dtype}, phiz gives float32", where=f"output '{value.name}'")
    if any(domain in ("", "ai.onnx") and version != OPSET for domain, version in model.opset_imports.items()):
        raise UserError(f"its opset is not {OPSET}", where="graph", fix="simplify it first")


def check_known(model: ir.Model) -> Outcome:
    """Raise UnsupportedNode for the first operator that no pass knows, while the node still has its own name."""
    for node in model.graph:
        if node.domain not in ("", "ai.onnx") or (node.op_type not in FORMS and node.op_type not in SPELLINGS):
            reason = REFUSED.get(node.op_type, "phiz has no form of it; docs/hub.md lists the operators it has")
            raise UnsupportedNode(node.op_type, node.name or "", reason, source=source_of(node), stage=_STAGE)
    return Outcome()


def _reason(node: ir.Node) -> str:
    form = FORMS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
    if form is None:
        return REFUSED.get(node.op_type, "phiz has no form of it; docs/hub.md lists the operators it has")
    if 0 in shape_of(node.outputs[0]):
        return "what it computes is empty, an axis has the size 0"
    if node.outputs[0].dtype != _DTYPES[form.result]:
        return f"it computes {node.outputs[0].dtype}, phiz computes float32"
    if any(is_read(output) for output in node.outputs[1:]):
        return "more than its first output is used"
    return _attributes(node, form) or _inputs(node, form) or _DETAILS.get(node.op_type, _fine)(node)


def _inputs(node: ir.Node, form: Form) -> str:
    words = form.inputs.split()
    if words[-1].endswith("*"):
        words = [words[-1][0]] * len(node.inputs)
    values = [*node.inputs, *[None] * (len(words) - len(node.inputs))]
    if len(values) > len(words):
        return f"it has {len(values)} inputs, phiz knows {len(words)} of them"
    for index, (value, word) in enumerate(zip(values, words, strict=True)):
        if value is None:
            if not word.endswith("?") and word != "-":
                return f"it lacks its input {index}"
            continue
        reason = _input(value, word[0])
        if reason:
            return f"its input {index} ('{value.name}') {reason}" if index else reason
    if "e" in "".join(words) and all(constant(value) is not None for value in node.inputs):
        return "all its inputs are constant, it gives the same whatever is heard"
    if form.spatial and len(shape_of(operand(node))) not in (3, 4):
        return f"its input has rank {len(shape_of(operand(node)))}; 1-D and 2-D are supported, rank 3 and 4"
    return ""


def _input(value: ir.Value, letter: str) -> str:
    data = constant(value)
    if letter == "-":
        return "should be absent"
    wanted = {"n": ir.DataType.INT64, "b": ir.DataType.BOOL}.get(letter, ir.DataType.FLOAT)
    if value.dtype != wanted:
        return f"is {value.dtype}, not {wanted}"
    if letter in "csn" and data is None:
        return "is computed at run time and has to be constant"
    if letter in "xb" and data is not None:
        return "is a constant, and something computed belongs there"
    if data is not None and letter == "s" and data.ndim:
        return f"has the shape {list(data.shape)} and has to be a scalar"
    if data is not None and letter == "n" and data.ndim != 1:
        return f"has the shape {list(data.shape)} and has to be a vector"
    if data is not None and letter in "csef" and not np.isfinite(data).all():
        return "holds NaN or Inf"
    return ""


def _attributes(node: ir.Node, form: Form) -> str:
    for name, values in (form.bound or {}).items():
        if name in node.attributes and node.attributes[name].value not in values:
            return f"its {name} is {_plain(node.attributes[name].value)}"
    for name in form.attributes:
        if name not in node.attributes:
            return f"its {name} is not written out"
    if "axis" in node.attributes and not 0 <= node.attributes["axis"].as_int() < len(shape_of(node.outputs[0])):
        return "its axis is negative"
    return ""


def _gemm(node: ir.Node) -> str:
    bias = constant(node.inputs[2]) if len(node.inputs) > 2 else None
    if bias is not None and bias.shape != shape_of(node.outputs[0])[1:]:
        return f"its bias has the shape {list(bias.shape)}"
    return ""


def _matmul(node: ir.Node) -> str:
    a, b = (shape_of(operand(node, index)) for index in (0, 1))
    if len(a) != len(b) or len(a) < 2:
        return f"its factors have the ranks {len(a)} and {len(b)}; they have to be equal and at least 2"
    for value in node.inputs:
        data = constant(value)
        if data is not None and math.prod(data.shape[:-2]) == 1:
            return "one of its factors is one constant matrix; that is a Gemm"
    return ""


def _pad(node: ir.Node) -> str:
    return "negative padding; use Slice" if (_numbers(node, 1) < 0).any() else ""


def _reshape(node: ir.Node) -> str:
    return "" if tuple(_numbers(node, 1)) == shape_of(node.outputs[0]) else "its shape is not written out"


def _slice(node: ir.Node) -> str:
    starts, ends, axes, steps = (_numbers(node, index) for index in (1, 2, 3, 4))
    if (steps <= 0).any():
        return "its step is not positive"
    sizes = np.asarray(shape_of(operand(node)))
    if (axes < 0).any() or (starts < 0).any() or (ends > sizes[axes]).any() or (starts >= ends).any():
        return "its starts and ends are not written out within their axes"
    return ""


def _gather(node: ir.Node) -> str:
    indices, size = _numbers(node, 1), shape_of(operand(node))[node.attributes["axis"].as_int()]
    return "" if ((indices >= 0) & (indices < size)).all() else "its indices are negative or beyond the axis"


def _expand(node: ir.Node) -> str:
    return "" if tuple(_numbers(node, 1)) == shape_of(node.outputs[0]) and _same_rank(node) else "it changes the rank"


def _reduction(node: ir.Node) -> str:
    axes = _numbers(node, 1).tolist()
    if axes != sorted(set(axes)) or not axes or axes[0] < 0:
        return "its axes are not written out in order"
    rank = len(shape_of(operand(node)))
    if node.op_type == "ReduceMean" and rank in (3, 4) and axes == list(range(2, rank)):
        return "over all spatial axes it is a GlobalAveragePool"
    return ""


def _prelu(node: ir.Node) -> str:
    shape, slope = shape_of(operand(node)), shape_of(operand(node, 1))
    by_channel = (shape[1], *[1] * (len(shape) - 2)) if len(shape) > 1 else None
    return "" if slope == by_channel or math.prod(slope) == 1 else f"its slope has the shape {list(slope)}"


def _clip(node: ir.Node) -> str:
    low, high = constant(node.inputs[1]), constant(node.inputs[2])
    return "" if low is not None and high is not None and low < high else "its lower bound is not below its upper"


def _resize(node: ir.Node) -> str:
    before, after = shape_of(operand(node)), shape_of(node.outputs[0])
    if len(before) not in (3, 4) or before[:2] != after[:2]:
        return "other axes than the spatial ones change"
    return "" if tuple(_numbers(node, 3)) == after else "its sizes are not written out"


def _pool(node: ir.Node) -> str:
    if node.attributes["ceil_mode"].as_int():
        return "its ceil_mode adds a window without any input, or padding as large as its kernel"
    return ""


def _convolution(node: ir.Node) -> str:
    weight, kernel = shape_of(operand(node, 1)), ints(node, "kernel_shape", ())
    return "" if list(weight[2:]) == kernel else f"its kernel_shape is {kernel}, its weight has {list(weight[2:])}"


def _same_rank(node: ir.Node) -> bool:
    return len(shape_of(operand(node))) == len(shape_of(node.outputs[0]))


def _fine(node: ir.Node) -> str:  # noqa: ARG001 the signature of a detail
    return ""


def _numbers(node: ir.Node, index: int) -> np.ndarray:
    return np.asarray(constant(node.inputs[index]))


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


_DETAILS: Mapping[str, Callable[[ir.Node], str]] = {
    **dict.fromkeys(("Conv", "ConvTranspose"), _convolution),
    **dict.fromkeys(("MaxPool", "AveragePool"), _pool),
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Pad": _pad,
    "Reshape": _reshape,
    "Slice": _slice,
    "Gather": _gather,
    "Expand": _expand,
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"), _reduction),
    "PRelu": _prelu,
    "Clip": _clip,
    "Resize": _resize,
}
