"""Gelu, however it was spelled: recognised by what it computes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from compile.model import constant, shape_of
from compile.simplify.edit import Writer
from compile.simplify.outcome import Outcome

Samples = NDArray[np.float64]
_X: Samples = np.linspace(-8, 8, 65)
_erf = np.vectorize(math.erf, otypes=[np.float64])
_GELU: Mapping[str, Samples] = {
    "none": 0.5 * _X * (1 + _erf(_X / math.sqrt(2))),
    "tanh": 0.5 * _X * (1 + np.tanh(math.sqrt(2 / math.pi) * (_X + 0.044715 * _X**3))),
}
_TOLERANCE = 1e-5  # the two forms of Gelu are 4.7e-4 apart; constants rounded to float32 move either by less than 1e-6
_REACH = 8  # nodes before and behind Erf or Tanh that the longest known spelling has
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Pow": np.power,
    "Neg": np.negative,
    "Erf": _erf,
    "Tanh": np.tanh,
    "Identity": np.positive,
}


def find_gelu(model: ir.Model) -> Outcome:
    """Given nodes around an ``Erf`` or ``Tanh`` that together compute Gelu of one value, write ``Gelu``.

    Not the spelling is compared but the function: the nodes are evaluated at 65 points. The nodes that nothing reads
    any more are left to :func:`~compile.simplify.cleanup.drop_unused`.
    """
    rewrites = []
    for node in list(model.graph):
        if node.op_type not in ("Erf", "Tanh") or node.graph is None:
            continue
        found = _find(node)
        if found is None:
            continue
        source, last, approximate = found
        write = Writer(model.graph, last)
        write.replace(write("Gelu", source, approximate=approximate))
        rewrites.append(f"the nodes around {node.op_type} '{node.name}' became Gelu")
    return Outcome(tuple(rewrites))


def _find(core: ir.Node) -> tuple[ir.Value, ir.Node, str] | None:
    """The argument of the Gelu around ``core``, its last node, and its form."""
    for last in _behind(core):
        for source in _before(core):
            if source.dtype != ir.DataType.FLOAT or shape_of(source) != shape_of(last.outputs[0]):
                continue
            computed = _evaluate(last.outputs[0], {source: _X})
            for approximate, wanted in _GELU.items():
                if computed is not None and np.abs(computed - wanted).max() < _TOLERANCE:
                    return source, last, approximate
    return None


def _behind(core: ir.Node) -> Iterator[ir.Node]:
    node = core
    for _ in range(_REACH):
        users = {usage.node for usage in node.outputs[0].uses()}
        if len(users) != 1:
            return
        node = users.pop()
        if node.op_type not in _FUNCTIONS:
            return
        yield node


def _before(core: ir.Node) -> Iterator[ir.Value]:
    """What ``core`` computes from, nearest first."""
    found: list[ir.Value] = []
    nodes = [core]
    for _ in range(_REACH):
        read = [value for node in nodes for value in node.inputs if value is not None and value.const_value is None]
        edge = [value for value in dict.fromkeys(read) if value not in found]
        found += edge
        producers = [value.producer() for value in edge]
        nodes = [node for node in producers if node is not None and node.op_type in _FUNCTIONS]
    yield from found


def _evaluate(value: ir.Value, known: dict[ir.Value, Samples], depth: int = 2 * _REACH) -> Samples | None:
    """What ``value`` is at the samples of the known one; None when it depends on anything else."""
    if value in known:
        return known[value]
    data, node = constant(value), value.producer()
    if data is not None:
        return np.full(_X.shape, float(data.reshape(-1)[0])) if data.size == 1 else None
    if node is None or node.op_type not in _FUNCTIONS or not depth:
        return None
    operands = [_evaluate(operand, known, depth - 1) if operand is not None else None for operand in node.inputs]
    if any(operand is None for operand in operands):
        return None
    with np.errstate(all="ignore"):
        known[value] = _FUNCTIONS[node.op_type](*operands)
    return known[value]
