"""Normalisations as their own arithmetic; the variance is the mean of squared differences, which cannot cancel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx_ir as ir

from compile.model import operand, shape_of
from compile.simplify.edit import Writer, integer, ints, is_read, number
from compile.simplify.outcome import Outcome


def plain_norms(model: ir.Model) -> Outcome:
    """Given a normalisation over the input itself, write means, differences, a root and a quotient.

    Does nothing when a second output (mean, deviation) is used.
    """
    rewrites = []
    for node in list(model.graph):
        formula = _FORMULAS.get(node.op_type)
        if formula is None or any(is_read(output) for output in node.outputs[1:]):
            continue
        write = Writer(model.graph, node)
        write.replace(formula(write, operand(node), node))
        rewrites.append(f"{node.op_type} '{node.name}' became its arithmetic")
    return Outcome(tuple(rewrites))


def _standardised(write: Writer, x: ir.Value, axes: Sequence[int], epsilon: float) -> ir.Value:
    over = write.integers(axes)
    centred = write("Sub", x, write("ReduceMean", x, over, keepdims=1))
    variance = write("ReduceMean", write("Mul", centred, centred), over, keepdims=1)
    return write("Div", centred, write("Sqrt", write("Add", variance, write.number(epsilon))))


def _affine(write: Writer, x: ir.Value, node: ir.Node, shape: Sequence[int] | None = None) -> ir.Value:
    """Times the second input, plus the third, where they are; in ``shape``, to line up with ``x``."""
    for operator, value in zip(("Mul", "Add"), node.inputs[1:3], strict=False):
        if value is not None:
            x = write(operator, x, value if shape is None else write.reshape(value, shape))
    return x


def _layer(write: Writer, x: ir.Value, node: ir.Node) -> ir.Value:
    rank = len(shape_of(x))
    axes = range(integer(node, "axis", -1) % rank, rank)
    return _affine(write, _standardised(write, x, axes, number(node, "epsilon", 1e-5)), node)


def _rms(write: Writer, x: ir.Value, node: ir.Node) -> ir.Value:
    rank = len(shape_of(x))
    axes = write.integers(range(integer(node, "axis", -1) % rank, rank))
    mean = write("ReduceMean", write("Mul", x, x), axes, keepdims=1)
    root = write("Sqrt", write("Add", mean, write.number(number(node, "epsilon", 1e-5))))
    return _affine(write, write("Div", x, root), node)


def _instance(write: Writer, x: ir.Value, node: ir.Node) -> ir.Value:
    shape = shape_of(x)
    standard = _standardised(write, x, range(2, len(shape)), number(node, "epsilon", 1e-5))
    return _affine(write, standard, node, (shape[1], *[1] * (len(shape) - 2)))


def _group(write: Writer, x: ir.Value, node: ir.Node) -> ir.Value:
    """Since opset 21 with a factor for each channel, before for each group; the length tells."""
    shape, groups = shape_of(x), integer(node, "num_groups", 1)
    channels, trailing = shape[1], [1] * (len(shape) - 2)
    grouped = write("Reshape", x, write.integers((shape[0], groups, -1)))
    standard = _standardised(write, grouped, (2,), number(node, "epsilon", 1e-5))
    if shape_of(operand(node, 1)) == (groups,) and groups != channels:
        return write("Reshape", _affine(write, standard, node, (groups, 1)), write.integers(shape))
    return _affine(write, write("Reshape", standard, write.integers(shape)), node, (channels, *trailing))


def _mean_variance(write: Writer, x: ir.Value, node: ir.Node) -> ir.Value:
    """ONNX adds its 1e-9 to the deviation, not to the variance."""
    rank = len(shape_of(x))
    over = write.integers(sorted(axis % rank for axis in ints(node, "axes", (0, 2, 3))))
    centred = write("Sub", x, write("ReduceMean", x, over, keepdims=1))
    deviation = write("Sqrt", write("ReduceMean", write("Mul", centred, centred), over, keepdims=1))
    return write("Div", centred, write("Add", deviation, write.number(1e-9)))


def _length(write: Writer, x: ir.Value, node: ir.Node) -> ir.Value:
    """By the sum of magnitudes or the root of squares along one axis; what is all zero stays so."""
    axes = write.integers([integer(node, "axis", -1) % len(shape_of(x))])
    if integer(node, "p", 2) == 1:
        length = write("ReduceSum", write("Abs", x), axes, keepdims=1)
    else:
        length = write("Sqrt", write("ReduceSum", write("Mul", x, x), axes, keepdims=1))
    return write("Div", x, write("Max", length, write.number(float(np.finfo(np.float32).tiny))))


_FORMULAS: Mapping[str, Callable[[Writer, ir.Value, ir.Node], ir.Value]] = {
    "LayerNormalization": _layer,
    "RMSNormalization": _rms,
    "InstanceNormalization": _instance,
    "GroupNormalization": _group,
    "MeanVarianceNormalization": _mean_variance,
    "LpNormalization": _length,
}
