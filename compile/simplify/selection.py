"""Taking parts of an axis: Slices where the parts lie in few runs, else Gather by constant indices."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from compile.model import constant, operand, shape_of
from compile.simplify.edit import Writer, integer
from compile.simplify.outcome import Outcome

_MOST_RUNS = 8  # Slices and a Concat are integer kernels of every target; beyond this many, one Gather is less work


def plain_split(model: ir.Model) -> Outcome:
    """Given ``Split`` of a static axis, write a ``Slice`` for each part."""
    rewrites = []
    for node in list(model.graph):
        if node.op_type != "Split":
            continue
        write, x = Writer(model.graph, node), operand(node)
        axis = integer(node, "axis", 0) % len(shape_of(x))
        parts, start = [], 0
        for output in node.outputs:
            end = start + shape_of(output)[axis]
            parts.append(write.slice(x, axis, start, end))
            start = end
        write.replace(*parts)
        rewrites.append(f"Split '{node.name}' became {len(parts)} Slices")
    return Outcome(tuple(rewrites))


def plain_selection(model: ir.Model) -> Outcome:
    """Given ``Gather`` or ``GatherND`` by constants, a ``Slice`` backwards or a ``Pad`` that repeats or crops, select.

    A scalar index drops its axis by a Reshape. Does nothing when indices or bounds are computed.
    """
    rewrites = []
    for node in list(model.graph):
        write = Writer(model.graph, node)
        formula = _FORMULAS.get(node.op_type)
        value = formula(write, node) if formula is not None else None
        if value is not None:
            write.replace(value)
            rewrites.append(f"{node.op_type} '{node.name}' became a selection")
    return Outcome(tuple(rewrites))


def select(write: Writer, x: ir.Value, axis: int, indices: Sequence[int]) -> ir.Value:
    """What lies at ``indices``, none negative, along ``axis``."""
    runs = _runs(indices)
    if len(runs) > _MOST_RUNS:
        return write("Gather", x, write.integers(indices), axis=axis)
    parts = {run: write.slice(x, axis, *run) for run in dict.fromkeys(runs)}
    return write("Concat", *(parts[run] for run in runs), axis=axis) if len(runs) > 1 else parts[runs[0]]


def _runs(indices: Sequence[int]) -> list[tuple[int, int, int]]:
    """``indices`` as Slices: (start, end, step), greedily from the left."""
    runs, position = [], 0
    while position < len(indices):
        length, step = 1, 1
        if position + 1 < len(indices) and indices[position + 1] > indices[position]:
            step = indices[position + 1] - indices[position]
            while (
                position + length < len(indices) and indices[position + length] - indices[position + length - 1] == step
            ):
                length += 1
            if length == 2 and step > 1:  # two that happen to lie apart are no run
                length, step = 1, 1
        runs.append((indices[position], indices[position] + (length - 1) * step + 1, step))
        position += length
    return runs


def _gather(write: Writer, node: ir.Node) -> ir.Value | None:
    x, given = operand(node), constant(node.inputs[1])
    if given is None or constant(x) is not None or given.size == 0:
        return None
    shape = shape_of(x)
    axis = integer(node, "axis", 0) % len(shape)
    indices = [int(index) % shape[axis] for index in given.reshape(-1)]
    plain = given.ndim == 1 and given.dtype == np.int64 and given.tolist() == indices and "axis" in node.attributes
    if plain and integer(node, "axis", 0) == axis and len(_runs(indices)) > _MOST_RUNS:
        return None
    value = select(write, x, axis, indices)
    return value if given.ndim == 1 else write("Reshape", value, write.integers(shape_of(node.outputs[0])))


def _gather_nd(write: Writer, node: ir.Node) -> ir.Value | None:
    """The axes that an index tuple names, and those of the batch before them, become one axis."""
    x, given, batch = operand(node), constant(node.inputs[1]), integer(node, "batch_dims", 0)
    if given is None or constant(x) is not None or given.size == 0:
        return None
    shape, named = shape_of(x), batch + given.shape[-1]
    tuples = np.moveaxis(given, -1, 0) % np.reshape(shape[batch:named], (-1, *[1] * (given.ndim - 1)))
    leading = np.indices(given.shape[:-1], sparse=True)[:batch]
    flat = np.ravel_multi_index(np.broadcast_arrays(*leading, *tuples), shape[:named])
    joined = write("Reshape", x, write.integers((math.prod(shape[:named]), *shape[named:])))
    value = select(write, joined, 0, flat.reshape(-1).tolist())
    return write("Reshape", value, write.integers(shape_of(node.outputs[0])))


def _reversed(write: Writer, node: ir.Node) -> ir.Value | None:
    starts, ends, axes, steps = (constant(value) for value in (*node.inputs[1:], *[None] * (5 - len(node.inputs))))
    if starts is None or ends is None or steps is None or (steps > 0).all():
        return None
    value, shape = operand(node), shape_of(operand(node))
    for position, (start, end, step) in enumerate(zip(starts, ends, steps, strict=True)):
        axis = int(axes[position] if axes is not None else position) % len(shape)
        indices = range(shape[axis])[slice(int(start), int(end), int(step))]
        if not len(indices):
            return None
        value = select(write, value, axis, indices)
    return value


def _repeated(write: Writer, node: ir.Node) -> ir.Value | None:
    mode = node.attributes["mode"].as_string() if "mode" in node.attributes else "constant"
    pads, given = constant(node.inputs[1]), constant(node.inputs[3]) if len(node.inputs) > 3 else None
    if pads is None or mode not in _MODES or (mode == "constant" and (pads >= 0).all()):
        return None
    value, shape = operand(node), shape_of(operand(node))
    axes = list(range(len(shape))) if given is None else [int(axis) % len(shape) for axis in given]
    for axis, before, after in zip(axes, *pads.reshape(2, -1).tolist(), strict=True):
        inside = np.arange(shape[axis])[max(-before, 0) : shape[axis] + min(after, 0)]
        if not len(inside):
            return None
        if mode != "constant":
            inside = np.pad(inside, (max(before, 0), max(after, 0)), _MODES[mode])
        if inside.tolist() != list(range(shape[axis])):
            value = select(write, value, axis, inside.tolist())
    if mode == "constant" and (pads > 0).any():
        amounts = write.constant(np.maximum(pads, 0))
        value = write("Pad", value, amounts, *node.inputs[2:])
    return value


_FORMULAS: Mapping[str, Callable[[Writer, ir.Node], ir.Value | None]] = {
    "Gather": _gather,
    "GatherND": _gather_nd,
    "Slice": _reversed,
    "Pad": _repeated,
}
_MODES: Mapping[str, Any] = {"edge": "edge", "reflect": "reflect", "wrap": "wrap", "constant": "constant"}
