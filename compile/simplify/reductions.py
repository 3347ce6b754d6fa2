"""Reductions over written-out axes that stay, of four kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import onnx_ir as ir

from compile.model import constant, operand, shape_of
from compile.simplify.edit import Writer, integer
from compile.simplify.outcome import Outcome


def plain_reductions(model: ir.Model) -> Outcome:
    """Given a reduction, write ``ReduceMean``, ``ReduceSum``, ``ReduceMax`` or ``ReduceMin`` with ``keepdims = 1``.

    A Reshape drops the axes that were not kept. GlobalMaxPool is a ReduceMax. Does nothing when the axes are computed.
    """
    rewrites = []
    for node in list(model.graph):
        formula = _FORMULAS.get(node.op_type)
        axes = _axes(node) if formula is not None else None
        if formula is None or axes is None or _is_plain(node, axes) or node.outputs[0].dtype != ir.DataType.FLOAT:
            continue
        write = Writer(model.graph, node)
        x = operand(node)
        value = formula(write, x, write.integers(axes)) if axes else _EMPTY.get(node.op_type, _itself)(write, x)
        if shape_of(node.outputs[0]) != tuple(1 if i in axes else size for i, size in enumerate(shape_of(x))):
            value = write("Reshape", value, write.integers(shape_of(node.outputs[0])))
        write.replace(value)
        rewrites.append(f"{node.op_type} '{node.name}' became plain")
    return Outcome(tuple(rewrites))


def _axes(node: ir.Node) -> list[int] | None:
    rank = len(shape_of(operand(node)))
    if node.op_type == "GlobalMaxPool":
        return list(range(2, rank))
    given = node.inputs[1] if len(node.inputs) > 1 else None
    data = constant(given)
    if given is not None and data is None:
        return None
    if data is None or not data.size:
        return [] if integer(node, "noop_with_empty_axes", 0) else list(range(rank))
    return sorted({int(axis) % rank for axis in data})


def _is_plain(node: ir.Node, axes: list[int]) -> bool:
    given = constant(node.inputs[1]) if len(node.inputs) > 1 else None
    written = given is not None and given.tolist() == axes and integer(node, "keepdims", 0) == 1
    written = written and "noop_with_empty_axes" not in node.attributes
    return written and node.op_type in ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin")


def _reduce(operator: str) -> Callable[[Writer, ir.Value, ir.Value], ir.Value]:
    return lambda write, x, axes: write(operator, x, axes, keepdims=1)


def _sum(write: Writer, x: ir.Value, axes: ir.Value) -> ir.Value:
    return write("ReduceSum", x, axes, keepdims=1)


def _log_sum_exp(write: Writer, x: ir.Value, axes: ir.Value) -> ir.Value:
    largest = write("ReduceMax", x, axes, keepdims=1)
    return write("Add", largest, write("Log", _sum(write, write("Exp", write("Sub", x, largest)), axes)))


def _itself(_: Writer, x: ir.Value) -> ir.Value:
    return x


_FORMULAS: Mapping[str, Callable[[Writer, ir.Value, ir.Value], ir.Value]] = {
    **{name: _reduce(name) for name in ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin")},
    "GlobalMaxPool": _reduce("ReduceMax"),
    "ReduceL1": lambda write, x, axes: _sum(write, write("Abs", x), axes),
    "ReduceL2": lambda write, x, axes: write("Sqrt", _sum(write, write("Mul", x, x), axes)),
    "ReduceSumSquare": lambda write, x, axes: _sum(write, write("Mul", x, x), axes),
    "ReduceLogSum": lambda write, x, axes: write("Log", _sum(write, x, axes)),
    "ReduceLogSumExp": _log_sum_exp,
}
# Over no axis at all the sum goes, and what is done to each element stays.
_EMPTY: Mapping[str, Callable[[Writer, ir.Value], ir.Value]] = {
    "ReduceL1": lambda write, x: write("Abs", x),
    "ReduceL2": lambda write, x: write("Abs", x),
    "ReduceSumSquare": lambda write, x: write("Mul", x, x),
    "ReduceLogSum": lambda write, x: write("Log", x),
}
