"""How long the activations of an ONNX graph live, as an integer runtime executes it.

Q/DQ pairs say what an integer kernel computes: the float value between a DequantizeLinear and its node, or between a
node (with a Relu fused into it) and its QuantizeLinear, never exists in memory. Where there is no such kernel the
conversions are real and so are the floats, the dequantised weights of a ``w8`` node among them.

The same reading as ``targets/kernels.py``, but of any graph, on names alone, and without a library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from targets.base import Lifetime

# Operators with integer kernels between Q/DQ pairs.
_NAMES = """
    Add AveragePool Concat Conv ConvTranspose Flatten Gather Gemm GlobalAveragePool LeakyRelu MatMul MaxPool Mul Pad
    Relu Reshape Resize Sigmoid Slice Softmax Split Squeeze Tanh Transpose Unsqueeze
"""
INTEGER = frozenset(_NAMES.split())
ALIGNMENT = 64  # bytes; what onnxruntime gives every tensor
FUSES_RELU = frozenset({"Conv", "Gemm", "Add"})


@dataclass(frozen=True)
class Node:
    """An operator by names; ``reads`` also holds what its subgraphs read from outside; ``layer`` is its label."""

    operator: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    layer: str = ""


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


def lifetimes(graph: Graph) -> tuple[tuple[Lifetime, ...], tuple[str, ...], tuple[str, ...]]:
    """The lifetimes, the kernels by name (a step each), and the names of activations whose size is unknown."""
    fusion = _Fusion(graph)
    steps = fusion.steps()
    final = max(len(steps) - 1, 0)
    alive: dict[str, tuple[int, int]] = {}

    def touch(names: Sequence[str], step: int) -> None:
        for name in names:
            if name and name not in graph.constants:
                first, last = alive.get(name, (step, step))
                alive[name] = (min(first, step), max(last, step))

    touch(graph.inputs, 0)
    touch(graph.inputs, final)  # it is the caller's: no kernel may overwrite it
    for step, (_, reads, writes) in enumerate(steps):
        touch(reads, step)
        touch(writes, step)
    touch(graph.outputs, final)
    for step in (0, final):
        touch(fusion.widened, step)
    known = tuple(Lifetime(name, graph.sizes[name], *span) for name, span in alive.items() if name in graph.sizes)
    unknown = tuple(name for name in alive if name not in graph.sizes)
    return known, tuple(layer for layer, _, _ in steps), unknown


_Step = tuple[str, tuple[str, ...], tuple[str, ...]]


class _Fusion:
    """The state of one reading."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.consumers: dict[str, list[Node]] = {}
        for node in graph.nodes:
            for name in filter(None, node.reads):
                self.consumers.setdefault(name, []).append(node)
        self.kept = frozenset(graph.outputs)
        self.integers: dict[str, str] = {}  # output of a DQ -> the integers it stands for
        self.makers: dict[str, str] = {}  # output of a DQ -> its label
        self.converted: set[str] = set()  # those that also exist as floats
        self.absorbed: set[int] = set()  # ids of nodes that became part of another
        self.widened: list[str] = []  # Casts of constants, which runtimes compute once and keep
        self.found: list[_Step] = []

    def steps(self) -> list[_Step]:
        """What each kernel reads and writes."""
        for node in self.graph.nodes:
            if id(node) in self.absorbed:
                continue
            if node.operator == "DequantizeLinear" and node.reads and node.writes:
                self.integers[node.writes[0]] = node.reads[0]
                self.makers[node.writes[0]] = node.layer
            elif node.operator == "QuantizeLinear" and node.reads:
                self.emit(node.layer, self.floats(node.reads[:1]), node.writes)
            elif node.operator == "Cast" and self.graph.constants.issuperset(node.reads):
                self.widened += node.writes
            else:
                self.kernel(node)
        self.floats(self.graph.outputs)
        return self.found

    def kernel(self, node: Node) -> None:
        writes = node.writes
        if node.operator in FUSES_RELU and len(writes) == 1:
            relu = self.only_consumer(writes[0], "Relu")
            if relu is not None:
                self.absorbed.add(id(relu))
                writes = relu.writes
        leaves = self.only_consumer(writes[0], "QuantizeLinear") if len(writes) == 1 else None
        if leaves is not None and self.is_integer(node):
            self.absorbed.add(id(leaves))
            self.emit(node.layer, tuple(self.integers.get(name, name) for name in node.reads), leaves.writes)
        else:
            self.emit(node.layer, self.floats(node.reads), writes)

    def is_integer(self, node: Node) -> bool:
        """All activations come as integers, and something does."""
        activations = (name for name in node.reads if name and name not in self.graph.constants)
        return (
            node.operator in INTEGER
            and all(name in self.integers for name in activations)
            and any(name in self.integers for name in node.reads)
        )

    def floats(self, names: Sequence[str]) -> tuple[str, ...]:
        """``names`` as a float kernel reads them: what exists only as integers is converted, once."""
        for name in names:
            if name in self.integers and name not in self.converted:
                self.converted.add(name)
                self.emit(self.makers[name], (self.integers[name],), (name,))
        return tuple(names)

    def emit(self, layer: str, reads: tuple[str, ...], writes: tuple[str, ...]) -> None:
        self.found.append((layer, reads, writes))

    def only_consumer(self, name: str, operator: str) -> Node | None:
        consumers = self.consumers.get(name, [])
        alone = len(consumers) == 1 and name not in self.kept and consumers[0].operator == operator
        return consumers[0] if alone else None
