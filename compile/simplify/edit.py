"""The few ways in which passes change a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from compile.model import PREFIX, source_of


def add_constant(graph: ir.Graph, hint: str, array: NDArray[Any]) -> ir.Value:
    """A new initializer called like ``hint``."""
    name = unused_name(graph, hint)
    tensor = ir.tensor(np.asarray(array, order="C"), name=name)
    value = ir.Value(name=name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)
    graph.register_initializer(value)
    return value


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


def unused_name(graph: ir.Graph, hint: str) -> str:
    """``hint``, or ``hint.1``, ``hint.2``… when an initializer of that name exists."""
    name, count = hint, 0
    while name in graph.initializers:
        count += 1
        name = f"{hint}.{count}"
    return name


def ints(node: ir.Node, name: str, default: Sequence[int]) -> list[int]:
    """An INTS attribute as a list."""
    return list(node.attributes[name].as_ints()) if name in node.attributes else list(default)


def integer(node: ir.Node, name: str, default: int) -> int:
    """An INT attribute."""
    return node.attributes[name].as_int() if name in node.attributes else default


def number(node: ir.Node, name: str, default: float) -> float:
    """A FLOAT attribute."""
    return node.attributes[name].as_float() if name in node.attributes else default
