"""A windowed graph becomes one that computes a hop: nothing is decided here, the plan has it all.

Every value of which steps are kept gets a state: ``state_N`` (a graph input) and what is new are joined, readers read
that, and its last steps leave as ``state_N_next`` (a graph output), to be given back with the next hop. Integers are
kept as integers: both ends of a state then have the scale and zero point of the value.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import numpy as np
import onnx_ir as ir

from compile.errors import Bug
from compile.model import add_constant, constant, drop_unread_constants, operand, shape_of, typed
from compile.streaming.passage import numbers
from compile.streaming.plan import Span, StreamPlan
from compile.streaming.timing import Timing
from targets.stream import State

NAME = "state"  # what Core ML, too, can call an input
_SHAPED_BY = {"Reshape": 1, "Expand": 1, "Resize": 3}  # operator -> the input that says what shape it gives


def rewrite(graph: ir.Graph, timing: Timing, plan: StreamPlan) -> tuple[State, ...]:
    """Turn ``graph``, which is changed in place, into the computation of one hop.

    Args:
        graph: the one that was planned for.
        timing: of it.
        plan: what to compute and keep.

    Returns:
        The states, in the order of the new inputs.
    """
    return _Rewriter(graph, timing, plan).rewrite()


class _Rewriter:
    """The state of one rewriting."""

    def __init__(self, graph: ir.Graph, timing: Timing, plan: StreamPlan) -> None:
        self.graph, self.times, self.plan = graph, timing.times, plan
        self.full: dict[ir.Value, ir.Value] = {}  # value of the window -> where its readers find all that they need
        self.parts: dict[tuple[ir.Value, Span], ir.Value] = {}
        self.states: list[State] = []
        self.left: list[ir.Value] = []  # the outputs of the states
        taken = {value.name for value in (*graph.inputs, *graph.initializers.values())}
        taken |= {value.name for node in graph for value in node.outputs}
        self.names = (name for number in count() if (name := f"{NAME}_{number}") not in taken)

    def rewrite(self) -> tuple[State, ...]:
        graph, nodes, start = self.graph, list(self.graph), self.graph.inputs[0]
        self.resize(start)
        self.keep(start)
        for node in nodes:
            timed = [(index, value) for index, value in enumerate(node.inputs) if value in self.times]
            for index, value in timed:
                if value is not None:
                    self.feed(node, index, value)
            if node.outputs[0] in self.times:
                for output in node.outputs:
                    self.resize(output)
                if node.op_type in _SHAPED_BY:
                    shape = self.integers(f"{node.name}.shape", shape_of(node.outputs[0]))
                    node.replace_input_with(_SHAPED_BY[node.op_type], shape)
                self.keep(node.outputs[0])
        for index, output in enumerate(list(graph.outputs)):
            if output in self.times:
                self.give(index, output)
        graph.outputs.extend(self.left)
        drop_unread_constants(graph)
        return tuple(self.states)

    def resize(self, value: ir.Value) -> None:
        """As many steps as one hop computes."""
        value.shape = self.sized(value, self.plan.computed[value].count)

    def sized(self, value: ir.Value, steps: int) -> ir.Shape:
        """The shape of so many steps of a value of the window."""
        sizes = list(shape_of(value))
        sizes[self.times[value].axis] = steps
        return ir.Shape(sizes)

    def feed(self, node: ir.Node, index: int, value: ir.Value) -> None:
        """Let a node read the steps that it needs, of all that there are."""
        axis, need, present = self.times[value].axis, self.plan.needs[node, index], self.plan.present[value]
        axes = numbers(node, 3) if node.op_type == "Slice" else []
        if axis in axes:
            for at, number in ((1, need.first - present.first), (2, need.end - present.first)):
                bounds = numbers(node, at)
                bounds[axes.index(axis)] = number
                node.replace_input_with(at, self.integers(f"{node.name}.time", bounds))
            node.replace_input_with(index, self.full[value])
            return
        if _slides(node, axis) and need.first == present.first:
            stride = node.attributes["strides"].as_ints()[axis - 2]
            need = present if present.end - need.end < stride else need  # what does not fill a stride is not read
        node.replace_input_with(index, self.part(value, need, node))

    def part(self, value: ir.Value, steps: Span, reader: ir.Node) -> ir.Value:
        """Some steps of a value; cut out in front of the first node that reads them."""
        full, present = self.full[value], self.plan.present[value]
        if steps == present:
            return full
        if (value, steps) not in self.parts:
            nodes, self.parts[value, steps] = self.slice(value, full, steps)
            self.graph.insert_before(reader, nodes)
        return self.parts[value, steps]

    def slice(self, value: ir.Value, full: ir.Value, steps: Span) -> tuple[list[ir.Node], ir.Value]:
        """Nodes that cut steps out of ``full``; where that stands for integers, their parameters are kept."""
        first = self.plan.present[value].first
        name = f"{value.name}.{steps.first - first}.{steps.end - first}"
        bounds = [
            self.integers(f"{name}.{word}", [number])
            for word, number in (
                ("starts", steps.first - first),
                ("ends", steps.end - first),
                ("axes", self.times[value].axis),
                ("steps", 1),
            )
        ]
        cut = ir.node("Slice", [full, *bounds], name=name)
        output = _like(cut.outputs[0], full, name, self.sized(value, steps.count))
        maker = full.producer()
        if maker is None or maker.op_type != "DequantizeLinear":
            return [cut], output
        pair, real = self.requantized(output, maker)
        return [cut, *pair], real

    def requantized(self, value: ir.Value, like: ir.Node) -> tuple[list[ir.Node], ir.Value]:
        """Q and DQ behind a value, with the parameters of the Q or DQ ``like``."""
        parameters = like.inputs[1:]
        quantize = ir.node("QuantizeLinear", [value, *parameters], name=f"{value.name}.q")
        integers = typed(quantize.outputs[0], f"{value.name}.q", ir.DataType.INT8, shape_of(value))
        dequantize = ir.node("DequantizeLinear", [integers, *parameters], name=f"{value.name}.dq")
        return [quantize, dequantize], _like(dequantize.outputs[0], value, f"{value.name}.dq", value.shape)

    def keep(self, value: ir.Value) -> None:
        """Give a value its state, if steps of it are kept, and its readers all that they need."""
        kept, maker = self.plan.kept(value), value.producer()
        self.full[value] = value
        if not kept:
            return
        integer = value.dtype == ir.DataType.INT8
        quantizer = maker if integer and maker is not None and maker.op_type == "QuantizeLinear" else None
        if integer == (quantizer is None):
            raise Bug(f"'{value.name}' is {value.dtype}, of which no steps can be kept")
        name, present = next(self.names), self.plan.present[value]
        state = _like(ir.Value(), value, name, self.sized(value, kept))
        self.graph.inputs.append(state)
        nodes: list[ir.Node] = []
        parts = [state, value]
        if quantizer is not None:
            nodes = [
                ir.node("DequantizeLinear", [part, *quantizer.inputs[1:]], name=f"{name}.{word}.dq")
                for part, word in zip(parts, ("old", "new"), strict=True)
            ]
            parts = [
                typed(node.outputs[0], node.name or "", ir.DataType.FLOAT, shape_of(part))
                for node, part in zip(nodes, parts, strict=True)
            ]
        join = ir.node("Concat", parts, {"axis": self.times[value].axis}, name=f"{name}.join")
        full = real = _like(join.outputs[0], parts[1], f"{name}.join", self.sized(value, present.count))
        nodes.append(join)
        if quantizer is not None:
            pair, real = self.requantized(real, quantizer)
            nodes += pair
            full = pair[0].outputs[0]
        last, left = self.slice(value, real, Span(present.end - kept, present.end))
        if quantizer is not None:
            *last, dequantize = last
            left = operand(dequantize)
        nodes += last
        if maker is None:
            self.graph.insert_before(self.graph[0], nodes)
        else:
            self.graph.insert_after(maker, nodes)
        left.name = f"{name}_next"
        self.full[value] = full
        self.left.append(left)
        self.states.append(State(name, left.name, "int8" if integer else "float32", _zero(quantizer)))

    def give(self, index: int, value: ir.Value) -> None:
        """Let the graph's output be the newest steps under its own name."""
        wanted = self.plan.given[value]
        if wanted != self.plan.computed[value]:
            nodes, output = self.slice(value, value, wanted)
            self.graph.extend(nodes)
            self.graph.outputs[index] = output
            value.name, output.name = f"{value.name}.all", value.name

    def integers(self, name: str, numbers: Sequence[int]) -> ir.Value:
        return add_constant(self.graph, name, np.array(numbers, np.int64))


def _slides(node: ir.Node, axis: int) -> bool:
    return node.op_type in ("Conv", "MaxPool", "AveragePool") and axis > 1


def _zero(quantizer: ir.Node | None) -> int:
    """The integer that means 0."""
    zero = constant(quantizer.inputs[2]) if quantizer is not None and len(quantizer.inputs) > 2 else None
    return 0 if zero is None else int(zero)


def _like(value: ir.Value, other: ir.Value, name: str, shape: ir.Shape | None) -> ir.Value:
    value.name, value.type, value.shape = name, other.type, shape
    value.meta.update(other.meta)
    return value
