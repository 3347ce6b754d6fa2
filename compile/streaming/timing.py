"""Which values of a windowed graph have time: on which axis, and one step in how many of the input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnx_ir as ir

from compile.errors import UnsupportedNode, UserError
from compile.model import shape_of, source_of
from compile.streaming.passage import Passage, Reach, passage

STAGE = "streaming"
# Operators whose other inputs are broadcast against what has time.
_BROADCASTS = """
    Add Mul Sub Div Max Min PRelu Where Less LessOrEqual Greater GreaterOrEqual Equal
"""
BROADCASTS = frozenset(_BROADCASTS.split())


@dataclass(frozen=True)
class Time:
    """The time that a value has.

    Attributes:
        axis: of the value.
        stride: steps of the input between two of its steps.
        length: its steps in a window.
    """

    axis: int
    stride: int
    length: int


@dataclass(frozen=True)
class Timing:
    """Time throughout a graph.

    Attributes:
        times: by value; what is missing has no time: constants, and whatever comes after a look at the whole window.
        reaches: (node, index of an input that has time) -> the steps that the node reads there.
    """

    times: Mapping[ir.Value, Time]
    reaches: Mapping[tuple[ir.Node, int], Reach]


def timing(graph: ir.Graph, axis: int = -1) -> Timing:
    """Follow time from the input to the outputs.

    Args:
        graph: in the hub dialect, with or without Q/DQ pairs; a window of valid operators.
        axis: of its input that is time; negative from the end.

    Raises:
        UserError: the graph has several inputs, or no such axis.
        UnsupportedNode: a node cannot compute as a stream what it computes of a window; says why, and what would help.
    """
    if len(graph.inputs) != 1:
        names = ", ".join(f"'{value.name}'" for value in graph.inputs)
        raise UserError(f"it has {len(graph.inputs)} inputs ({names}); a stream has one, which is cut into hops")
    start, rank = graph.inputs[0], len(shape_of(graph.inputs[0]))
    if not -rank <= axis < rank:
        raise UserError(f"it has no axis {axis} that could be time", where=f"input '{start.name}'")
    times = {start: Time(axis % rank, 1, shape_of(start)[axis])}
    reaches: dict[tuple[ir.Node, int], Reach] = {}
    timeless: dict[ir.Value, ir.Node] = {}  # what comes after a look at the whole window -> the node that looked
    for node in graph:
        found = {index: times[value] for index, value in enumerate(node.inputs) if value in times and value is not None}
        if not found:
            looked = next((timeless[value] for value in node.inputs if value in timeless), None)
            if looked is not None:
                timeless.update(dict.fromkeys(node.outputs, looked))
            continue
        passages = {index: _passage(node, index, time.axis) for index, time in found.items()}
        reaches |= {(node, index): each.reach for index, each in passages.items()}
        time = _time(node, found, passages, timeless)
        if time is None:
            timeless.update(dict.fromkeys(node.outputs, node))
        else:
            times.update(dict.fromkeys(node.outputs, time))
    return Timing(times, reaches)


def _passage(node: ir.Node, index: int, axis: int) -> Passage:
    found = passage(node, index, axis)
    if isinstance(found, str):
        raise _refusal(node, found)
    return found


def _time(
    node: ir.Node,
    found: Mapping[int, Time],
    passages: Mapping[int, Passage],
    timeless: Mapping[ir.Value, ir.Node],
) -> Time | None:
    """The time of what a node gives; None where it looked at the whole window."""
    first = next(iter(passages.values()))
    if any(each.axis != first.axis for each in passages.values()):
        raise _refusal(node, "time enters it on axes that do not meet, so it looks across the whole window")
    if first.axis is None:
        return None
    strides = {time.stride * passages[index].reach.step for index, time in found.items()}
    if len(strides) > 1:
        rates = " and ".join(f"one step in {stride}" for stride in sorted(strides))
        raise _refusal(node, f"it joins values of different rates, {rates}")
    shape = shape_of(node.outputs[0])
    for index, value in enumerate(node.inputs):
        if value is not None and index not in found:
            _require_steady(node, value, first.axis - len(shape), timeless)
    return Time(first.axis, strides.pop(), shape[first.axis])


def _require_steady(node: ir.Node, value: ir.Value, axis: int, timeless: Mapping[ir.Value, ir.Node]) -> None:
    """What meets time may depend neither on the whole window nor on a place in it."""
    if value in timeless:
        looked = timeless[value]
        made = f"it joins what has time with what {looked.op_type} '{looked.name}' made of the whole window"
        fix = "leave such a gate out, or let it look at a few steps by a convolution"
        raise _refusal(node, f"{made}, so every step changes with every hop; {fix}")
    shape = shape_of(value)
    if node.op_type in BROADCASTS and len(shape) >= -axis and shape[axis] > 1:
        what = f"its constant '{value.name}' has a value for every step of the window"
        raise _refusal(node, f"{what}; give it the size 1 on that axis")


def _refusal(node: ir.Node, reason: str) -> UnsupportedNode:
    return UnsupportedNode(node.op_type, node.name or "", reason, source=source_of(node), stage=STAGE)
