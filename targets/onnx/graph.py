"""The main graph of an ONNX model by names and sizes, as its lifetimes are read from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

from targets.onnx.proto import TYPES, Message
from targets.onnx.readers import bodies, layer_of
from targets.onnx.shapes.declared import by_onnx, declared
from targets.onnx.shapes.infer import infer


@dataclass(frozen=True)
class Node:
    """An operator by names.

    Attributes:
        operator: its type.
        reads: its inputs, and what its subgraphs read from outside.
        writes: its outputs.
        layer: its label.
        plain: whether it has no subgraph.
    """

    operator: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    layer: str = ""
    plain: bool = True


@dataclass(frozen=True)
class Graph:
    """A graph by names.

    Attributes:
        inputs: without the constants.
        outputs: in order.
        constants: initializers and outputs of ``Constant`` nodes.
        nodes: in execution order, without ``Constant`` nodes.
        sizes: bytes of each value; absent where unknown.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: frozenset[str]
    nodes: tuple[Node, ...]
    sizes: Mapping[str, int]


def by_names(model: Message, graph: Message) -> Graph:
    """The main graph of ``model``."""
    inputs = tuple(value.text("name") for value in graph.messages("input"))
    kept = frozenset(_constants(graph))
    visible = {*inputs, *(name for node in graph.messages("node") for name in node.texts("output"))} | kept
    return Graph(
        inputs=tuple(name for name in inputs if name not in kept),
        outputs=tuple(value.text("name") for value in graph.messages("output")),
        constants=kept,
        nodes=tuple(
            Node(
                node.text("op_type"),
                (*node.texts("input"), *sorted(visible.intersection(_outer(node)))),
                node.texts("output"),
                layer_of(node, number),
                plain=not any(True for _ in bodies(node)),
            )
            for number, node in enumerate(graph.messages("node"))
            if node.text("op_type") != "Constant"
        ),
        sizes=_sizes(model, graph),
    )


def hidden(model: Message, graph: Message) -> Iterator[str]:
    """Activations that the main graph does not show."""
    functions = {(f.text("domain"), f.text("name")) for f in model.messages("functions")}
    for node in graph.messages("node"):
        if any(True for _ in bodies(node)):
            yield f"the activations in the body of {node.text('op_type')} '{node.text('name')}'"
        elif (node.text("domain"), node.text("op_type")) in functions:
            yield f"the activations in function {node.text('op_type')} '{node.text('name')}'"


def _sizes(model: Message, graph: Message) -> dict[str, int]:
    """Bytes of each value; absent where neither our inference nor onnx's tells."""
    known = infer(model, graph, declared(graph))
    written = {name for node in graph.messages("node") for name in node.texts("output") if name}
    if not written <= known.keys():
        known = infer(model, graph, {**by_onnx(model, graph), **known})
    sizes = {}
    for name, (data_type, shape) in known.items():
        bits = TYPES.get(data_type, ("", 0))[1]
        if bits:
            sizes[name] = (prod(shape) * bits + 7) // 8
    return sizes


def _constants(graph: Message) -> Iterator[str]:
    yield from (tensor.text("name") for tensor in graph.messages("initializer"))
    for sparse in graph.messages("sparse_initializer"):
        yield from (values.text("name") for values in sparse.messages("values"))
    for node in graph.messages("node"):
        if node.text("op_type") == "Constant":
            yield from node.texts("output")


def _outer(node: Message) -> Iterator[str]:
    """Every name that is read in a node's subgraphs."""
    for body in bodies(node):
        for inner in body.messages("node"):
            yield from inner.texts("input")
            yield from _outer(inner)
        yield from (value.text("name") for value in body.messages("output"))
