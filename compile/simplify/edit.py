"""The few ways in which passes change a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from compile.model import PREFIX, add_constant, constant, source_of


def new_node(
    operator: str, inputs: Sequence[ir.Value | None], like: ir.Node, output: str, **attributes: Any
) -> tuple[ir.Node, ir.Value]:
    """A node that comes from the same source module as ``like``, and its output; both are called ``output``."""
    node = ir.node(operator, inputs, attributes, name=output)
    if source := source_of(like):
        node.metadata_props[f"{PREFIX}source"] = source
    value = node.outputs[0]
    value.name = output
    value.type = like.outputs[0].type
    return node, value


def substitute(graph: ir.Graph, old: Sequence[ir.Node], new: Sequence[ir.Node]) -> None:
    """Put the chain ``new`` where the chain ``old`` ends; the last output takes over name, type, shape and users."""
    ir.convenience.replace_nodes_and_values(
        graph, old[-1], list(reversed(old)), new, [old[-1].outputs[0]], [new[-1].outputs[0]]
    )


def bypass(graph: ir.Graph, node: ir.Node, value: ir.Value) -> bool:
    """Let the users of ``node`` read ``value`` instead; False when a graph output forbids it."""
    output = node.outputs[0]
    if output in graph.outputs:
        if value.producer() is None or value in graph.outputs:
            return False
        value.name, output.name = output.name, None
    ir.convenience.replace_all_uses_with(output, value, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    return True


def only_consumer(graph: ir.Graph, value: ir.Value) -> ir.Node | None:
    """The node that alone reads ``value``; None when there are several, none, or a graph output."""
    users = value.uses()
    if len(users) != 1 or value in graph.outputs:
        return None
    return next(iter(users)).node


def is_read(value: ir.Value) -> bool:
    """Whether a node or the caller reads ``value``."""
    return bool(value.uses()) or value.is_graph_output()


def ints(node: ir.Node, name: str, default: Sequence[int]) -> list[int]:
    """An INTS attribute as a list."""
    return list(node.attributes[name].as_ints()) if name in node.attributes else list(default)


def integer(node: ir.Node, name: str, default: int) -> int:
    """An INT attribute."""
    return node.attributes[name].as_int() if name in node.attributes else default


def number(node: ir.Node, name: str, default: float) -> float:
    """A FLOAT attribute."""
    return node.attributes[name].as_float() if name in node.attributes else default


def set_attributes(node: ir.Node, **attributes: int | float | list[int]) -> None:
    """Write attributes, over those that are there."""
    for name, attribute in zip(attributes, ir.convenience.convert_attributes(attributes), strict=True):
        node.attributes[name] = attribute


class Writer:
    """New nodes in the place of one: calling it writes a node and gives what that computes.

    For instance ``write = Writer(graph, node)``, ``write.replace(write("Mul", x, write.number(2)))``. All of them come
    from the source module of the node they replace. Shapes and types are inferred after the pass.
    """

    def __init__(self, graph: ir.Graph, node: ir.Node) -> None:
        self.graph, self.node = graph, node
        self.nodes: list[ir.Node] = []

    def __call__(self, operator: str, *inputs: ir.Value | None, **attributes: Any) -> ir.Value:
        """Write one node; its output has no shape yet."""
        name = f"{self.node.outputs[0].name}.{len(self.nodes)}"
        node, value = new_node(operator, inputs, self.node, name, **attributes)
        value.type = None
        self.nodes.append(node)
        return value

    def constant(self, array: NDArray[Any]) -> ir.Value:
        """A constant as it is."""
        return add_constant(self.graph, f"{self.node.outputs[0].name}.constant", array)

    def number(self, number: float) -> ir.Value:
        """A float32 scalar."""
        return self.constant(np.asarray(number, np.float32))

    def integers(self, numbers: Sequence[int]) -> ir.Value:
        """An int64 vector."""
        return self.constant(np.asarray(numbers, np.int64))

    def reshape(self, value: ir.Value, shape: Sequence[int]) -> ir.Value:
        """A Reshape, or the constant itself in that shape."""
        data = constant(value)
        return (
            self("Reshape", value, self.integers(shape)) if data is None else self.constant(data.reshape(tuple(shape)))
        )

    def transpose(self, value: ir.Value, perm: Sequence[int]) -> ir.Value:
        """A Transpose, or the constant itself turned."""
        data = constant(value)
        return self("Transpose", value, perm=list(perm)) if data is None else self.constant(data.transpose(perm))

    def slice(self, value: ir.Value, axis: int, start: int, end: int, step: int = 1) -> ir.Value:
        """A Slice along one axis."""
        return self("Slice", value, *(self.integers([number]) for number in (start, end, axis, step)))

    def replace(self, *values: ir.Value) -> None:
        """Let the users of the node's outputs read ``values``, in that order, and drop the node."""
        written = {output for node in self.nodes for output in node.outputs}
        new = [value if value in written else self("Identity", value) for value in values]
        old = list(self.node.outputs[: len(new)])
        ir.convenience.replace_nodes_and_values(self.graph, self.node, [self.node], self.nodes, old, new)
