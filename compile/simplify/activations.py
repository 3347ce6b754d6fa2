"""Activation functions that the hub has no operator for, written with those it has.

Each formula is exact for every finite input up to the rounding of its operators: nothing overflows that did not
before, and no two large numbers are subtracted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import onnx_ir as ir

from compile.model import operand, shape_of
from compile.simplify.edit import Writer, integer, number
from compile.simplify.outcome import Outcome


def plain_activations(model: ir.Model) -> Outcome:
    """Given an activation function outside the dialect, write its formula; Elu with ``alpha = 1`` stays."""
    rewrites = []
    for node in list(model.graph):
        formula = _FORMULAS.get(node.op_type)
        if formula is None or (node.op_type == "Elu" and number(node, "alpha", 1.0) == 1):
            continue
        write = Writer(model.graph, node)
        write.replace(formula(write, operand(node), node))
        rewrites.append(f"{node.op_type} '{node.name}' became its formula")
    return Outcome(tuple(rewrites))


def _elu(write: Writer, x: ir.Value, node: ir.Node) -> ir.Value:
    return _rectified(write, x, 1.0, number(node, "alpha", 1.0), 1.0)


def _selu(write: Writer, x: ir.Value, node: ir.Node) -> ir.Value:
    gamma = number(node, "gamma", 1.05070102214813232421875)
    return _rectified(write, x, gamma, gamma * number(node, "alpha", 1.67326319217681884765625), 1.0)


def _celu(write: Writer, x: ir.Value, node: ir.Node) -> ir.Value:
    alpha = number(node, "alpha", 1.0)
    return _rectified(write, x, 1.0, alpha, 1 / alpha)


def _rectified(write: Writer, x: ir.Value, above: float, below: float, inner: float) -> ir.Value:
    """``above * x`` for positive ``x``, ``below * (exp(inner * x) - 1)`` for negative: one of the two terms is 0."""
    positive = _scaled(write, write("Relu", x), above)
    negative = write("Elu", _scaled(write, write("Min", x, write.number(0)), inner), alpha=1.0)
    return write("Add", positive, _scaled(write, negative, below))


def _scaled(write: Writer, x: ir.Value, factor: float) -> ir.Value:
    return x if factor == 1 else write("Mul", x, write.number(factor))


def _hard_sigmoid(write: Writer, x: ir.Value, node: ir.Node) -> ir.Value:
    return _ramp(write, x, number(node, "alpha", 0.2), number(node, "beta", 0.5))


def _hard_swish(write: Writer, x: ir.Value, _: ir.Node) -> ir.Value:
    bounded = write("Clip", write("Add", x, write.number(3)), write.number(0), write.number(6))
    return write("Mul", write("Mul", x, bounded), write.number(1 / 6))


def _ramp(write: Writer, x: ir.Value, alpha: float, beta: float) -> ir.Value:
    """``alpha * x + beta`` within [0, 1]; for the usual 1/6 so that integer kernels fuse it: a Relu6 behind an Add."""
    if round(1 / alpha if alpha else 0, 5) == 6:
        shifted = write("Add", x, write.number(beta / alpha))
        return write("Mul", write("Clip", shifted, write.number(0), write.number(6)), write.number(1 / 6))
    line = write("Add", write("Mul", x, write.number(alpha)), write.number(beta))
    return write("Clip", line, write.number(0), write.number(1))


def _softplus(write: Writer, x: ir.Value, _: ir.Node) -> ir.Value:
    small = write("Exp", write("Mul", write("Abs", x), write.number(-1)))
    return write("Add", write("Relu", x), write("Log", write("Add", small, write.number(1))))


def _softsign(write: Writer, x: ir.Value, _: ir.Node) -> ir.Value:
    return write("Div", x, write("Add", write("Abs", x), write.number(1)))


def _mish(write: Writer, x: ir.Value, node: ir.Node) -> ir.Value:
    return write("Mul", x, write("Tanh", _softplus(write, x, node)))


def _swish(write: Writer, x: ir.Value, node: ir.Node) -> ir.Value:
    return write("Mul", x, write("Sigmoid", _scaled(write, x, number(node, "alpha", 1.0))))


def _thresholded(write: Writer, x: ir.Value, node: ir.Node) -> ir.Value:
    above = write("Greater", x, write.number(number(node, "alpha", 1.0)))
    return write("Where", above, x, write.number(0))


def _shrink(write: Writer, x: ir.Value, node: ir.Node) -> ir.Value:
    bias, limit = number(node, "bias", 0.0), number(node, "lambd", 0.5)
    middle_or_above = write(
        "Where", write("Greater", x, write.number(limit)), write("Add", x, write.number(-bias)), write.number(0)
    )
    below = write("Add", x, write.number(bias))
    return write("Where", write("Less", x, write.number(-limit)), below, middle_or_above)


def _log_softmax(write: Writer, x: ir.Value, node: ir.Node) -> ir.Value:
    axes = write.integers([integer(node, "axis", -1) % len(shape_of(x))])
    centred = write("Sub", x, write("ReduceMax", x, axes, keepdims=1))
    return write("Sub", centred, write("Log", write("ReduceSum", write("Exp", centred), axes, keepdims=1)))


def _tan(write: Writer, x: ir.Value, _: ir.Node) -> ir.Value:
    return write("Div", write("Sin", x), write("Cos", x))


def _xor(write: Writer, x: ir.Value, node: ir.Node) -> ir.Value:
    y = operand(node, 1)
    return write("And", write("Or", x, y), write("Not", write("And", x, y)))


_FORMULAS: Mapping[str, Callable[[Writer, ir.Value, ir.Node], ir.Value]] = {
    "Elu": _elu,
    "Selu": _selu,
    "Celu": _celu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "Softplus": _softplus,
    "Softsign": _softsign,
    "Mish": _mish,
    "Swish": _swish,
    "ThresholdedRelu": _thresholded,
    "Shrink": _shrink,
    "LogSoftmax": _log_softmax,
    "Tan": _tan,
    "Xor": _xor,
}
