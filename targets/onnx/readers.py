"""Who reads which constant of an ONNX model: names resolved scope by scope, as ONNX has them.

A graph sees its own values and those of the graphs around it; a function sees only its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from targets.onnx.proto import Item, Message

# Operator -> which of its inputs are scales and zero points.
_QUANTIZERS = {
    "QuantizeLinear": (1, 2),
    "DequantizeLinear": (1, 2),
    "ConvInteger": (2, 3),
    "MatMulInteger": (2, 3),
    "MatMulIntegerToFloat": (2, 3, 4, 5),
    "DynamicQuantizeMatMul": (2, 3),
    "MatMulNBits": (2, 3),
    "QLinearConv": (1, 2, 4, 5, 6, 7),
    "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "QLinearAdd": (1, 2, 4, 5, 6, 7),
    "QLinearMul": (1, 2, 4, 5, 6, 7),
    "QGemm": (1, 2, 4, 5, 7, 8),
    "QLinearSigmoid": (1, 2, 3, 4),
    "QLinearLeakyRelu": (1, 2, 3, 4),
    "QLinearAveragePool": (1, 2, 3, 4),
    "QLinearGlobalAveragePool": (1, 2, 3, 4),
}
# Operators that only say how a constant is stored: whoever reads their result is whom it is for.
_STORAGE = frozenset({"DequantizeLinear", "Cast", "Identity", "Transpose", "Reshape"})


@dataclass(frozen=True)
class Reader:
    """A node, or an output of the graph, that reads a value.

    Attributes:
        layer: its name in the labels.
        operator: its type; empty for an output.
        parameter: whether it reads the value as scale or zero point.
        gives: its first output, a key of :class:`Readers`; None for an output.
    """

    layer: str
    operator: str
    parameter: bool
    gives: tuple[int, str] | None


@dataclass(frozen=True, eq=False)
class _Scope:
    graph: Message
    around: _Scope | None
    names: set[str] = field(default_factory=set)

    def key(self, name: str) -> tuple[int, str]:
        """The value that ``name`` is here: the innermost scope that defines it, and the name."""
        scope: _Scope | None = self
        while scope is not None and name not in scope.names:
            scope = scope.around
        return id((scope or self).graph), name


class Readers:
    """The readers of every value of a model, in the order of the file."""

    def __init__(self, model: Message) -> None:
        self.found: dict[tuple[int, str], list[Reader]] = {}
        self._purposes: dict[tuple[int, str], str] = {}
        graphs = list(model.messages("graph"))
        main = self._graph(graphs[0], None) if graphs else None
        for training in model.messages("training_info"):  # it may read and update what the model holds
            for name in ("initialization", "algorithm"):
                for graph in training.messages(name):
                    self._graph(graph, main)
        for function in model.messages("functions"):
            self._graph(function, None)

    def of(self, graph: Message, name: str) -> tuple[Reader, ...]:
        """Who reads the constant ``name`` that ``graph`` holds."""
        return tuple(self.found.get((id(graph), name), ()))

    def purpose(self, graph: Message, name: str) -> str:
        """The operator that a constant is for: its first reader behind those that only convert it."""
        key: tuple[int, str] | None = (id(graph), name)
        path: dict[tuple[int, str], str] = {}  # conversions may be a long chain, with constants all along it
        while key is not None and key in self.found and key not in path and key not in self._purposes:
            reader = self.found[key][0]
            path[key] = reader.operator
            key = reader.gives if reader.operator in _STORAGE else None
        operator = self._purposes.get(key, "") if key is not None else ""
        for passed in reversed(path):
            operator = operator or path[passed]
            self._purposes[passed] = operator
        return operator

    def _graph(self, graph: Message, around: _Scope | None) -> _Scope:
        scope = _Scope(graph, around, set(_defined(graph)))
        for number, node in enumerate(graph.messages("node")):
            self._node(node, number, scope)
        outputs = (value.text("name") for value in graph.messages("output"))
        for name in graph.texts("output") if graph.kind == "FunctionProto" else outputs:
            self._add(scope.key(name), Reader(name, "", False, None))
        for note in graph.messages("quantization_annotation"):
            for entry in note.messages("quant_parameter_tensor_names"):
                self._add(scope.key(entry.text("value")), Reader(note.text("tensor_name"), "", True, None))
        return scope

    def _node(self, node: Message, number: int, scope: _Scope) -> None:
        operator, gives = node.text("op_type"), node.texts("output")
        parameters = _QUANTIZERS.get(operator, ())
        layer, result = layer_of(node, number), scope.key(gives[0]) if gives else None
        for index, name in enumerate(node.texts("input")):
            if name:
                self._add(scope.key(name), Reader(layer, operator, index in parameters, result))
        for body in bodies(node):
            self._graph(body, scope)

    def _add(self, key: tuple[int, str], reader: Reader) -> None:
        self.found.setdefault(key, []).append(reader)


def bodies(node: Message) -> Iterator[Message]:
    """The subgraphs of a node."""
    for attribute in node.messages("attribute"):
        yield from attribute.messages("g")
        yield from attribute.messages("graphs")


def layer_of(message: Message, number: int) -> str:
    """How labels name a node (by its ``number`` where it has no name), a constant's node, a value or a function."""
    operator = message.text("op_type")
    if operator == "Constant":
        return message.text("output")
    return message.text("name") or f"node {number} {operator}"


def layer_in(item: Item, number: int) -> str:
    """What a field of a graph is about; empty for the graph as a whole."""
    inner = item.message
    labelled = inner is not None and inner.kind in ("NodeProto", "ValueInfoProto", "FunctionProto")
    return layer_of(inner, number) if labelled and inner is not None else ""


def _defined(graph: Message) -> Iterator[str]:
    """Every name that a graph, or a function, gives a meaning to."""
    if graph.kind == "FunctionProto":
        yield from graph.texts("input")
    else:
        yield from (value.text("name") for value in graph.messages("input"))
    yield from (tensor.text("name") for tensor in graph.messages("initializer"))
    for sparse in graph.messages("sparse_initializer"):
        yield from (values.text("name") for values in sparse.messages("values"))
    for node in graph.messages("node"):
        yield from node.texts("output")
