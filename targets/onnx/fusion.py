"""Which nodes of an ONNX graph onnxruntime executes as one kernel.

Q/DQ pairs say what an integer kernel computes: the float value between a DequantizeLinear and its node, or between a
node (with a Relu fused into it) and its QuantizeLinear, never exists in memory. Where there is no such kernel the
conversions are real and so are the floats, one for each kernel that reads them; dequantised weights of a ``w8`` node
are among them. A product that is quantised at run time is one kernel, which quantises into memory of its own.

Source: the graphs that onnxruntime 1.31 saves when asked for its optimised model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from targets.onnx.graph import Graph, Node

# Operators with integer kernels between Q/DQ pairs.
_NAMES = """
    Add AveragePool Concat Conv ConvTranspose Flatten Gather Gemm GlobalAveragePool LeakyRelu MatMul MaxPool Mul Pad
    Relu Reshape Resize Sigmoid Slice Softmax Split Squeeze Tanh Transpose Unsqueeze
"""
INTEGER = frozenset(_NAMES.split())
FUSES_RELU = dict.fromkeys(("Conv", "Gemm", "Add"), frozenset({"Relu"}))
# The same of float kernels.
_OF_CONV = frozenset({"Clip", "HardSigmoid", "LeakyRelu", "Relu", "Sigmoid", "Tanh"})
_OF_GEMM = _OF_CONV - {"Clip"} | {"Elu", "Selu", "Softplus", "Softsign", "ThresholdedRelu"}
ACTIVATIONS = {"Conv": _OF_CONV, "Gemm": _OF_GEMM}
# Operators with kernels that read integers and write floats, where no QuantizeLinear follows.
_TO_FLOAT = frozenset({"Gemm", "MatMul"})
# Operator -> which of onnxruntime's optimisers, in their order, makes one kernel of it and its neighbours.
_MADE = {"Gemm": 2, "MatMulInteger": 3, "Conv": 4}
_MADE_OF_INTEGERS = {"Conv": 5}  # others: 1

Names = tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """One kernel.

    Attributes:
        layer: the label of the node that it is named after.
        operator: the node's type.
        reads: in the node's order.
        writes: in its order, or that of the last node that became part of it.
        scratch: what only it sees.
        integer: whether it computes on integers what the node says of floats.
        age: larger for what was made later: which optimiser made it (0: it is of the file), and the place of its node.
    """

    layer: str
    operator: str
    reads: Names
    writes: Names
    scratch: Names = ()
    integer: bool = False
    age: tuple[int, int] = (0, 0)


def fuse(graph: Graph, constants: frozenset[str]) -> tuple[tuple[Step, ...], Graph]:
    """The kernels of a graph in the order of the file, and the graph with the sizes of all that they write.

    Those that compute ``constants`` are not among them.
    """
    fusion = _Fusion(graph, constants)
    steps = tuple(fusion.steps())
    copies = {copy: graph.sizes[name] for copy, name in fusion.sizes.items() if name in graph.sizes}
    return steps, replace(graph, sizes={**graph.sizes, **copies})


class _Fusion:
    """The state of one reading: nodes become kernels."""

    def __init__(self, graph: Graph, constants: frozenset[str]) -> None:
        self.graph, self.constants = graph, constants
        self.consumers: dict[str, list[Node]] = {}
        self.makers: dict[str, Node] = {}
        for node in graph.nodes:
            for name in filter(None, node.reads):
                self.consumers.setdefault(name, []).append(node)
            self.makers.update(dict.fromkeys(node.writes, node))
        self.kept = frozenset(graph.outputs)
        self.integers: dict[str, str] = {}  # output of a DQ -> the integers it stands for
        self.converted: Counter[str] = Counter()  # how many times each was converted to floats
        self.sizes: dict[str, str] = {}  # copy of a float -> the value of the file that is as large
        self.absorbed: set[int] = set()  # ids of nodes that became part of another
        self.products: dict[int, tuple[Names, Names, Names]] = {}  # id of a MatMulInteger -> its step's names
        self.ages = {id(node): number for number, node in enumerate(graph.nodes)}
        self.found: list[Step] = []

    def steps(self) -> list[Step]:
        """The kernels in the order of the file."""
        for node in self.graph.nodes:
            if node.operator == "MatMulInteger":
                self.product(node)
        for node in self.graph.nodes:
            if id(node) in self.absorbed or self.constants.issuperset(node.writes):
                continue
            if id(node) in self.products:
                reads, writes, scratch = self.products[id(node)]
                self.add(node, self.floats(reads), writes, scratch, made=_MADE[node.operator])
            elif node.operator == "DequantizeLinear" and node.reads and node.writes:
                self.integers[node.writes[0]] = node.reads[0]
            elif node.operator == "QuantizeLinear" and node.reads:
                self.add(node, self.floats(node.reads[:1]), node.writes)
            else:
                self.kernel(node)
        for name in self.graph.outputs:
            if name in self.integers:
                self.add(self.makers[name], (self.integers[name],), (name,))
        return self.found

    def kernel(self, node: Node) -> None:
        """A node, with what is fused into it."""
        end = self.normalised(node)
        leaves = self.after(self.after(end, FUSES_RELU.get(node.operator)) or end, {"QuantizeLinear"})
        active = self.after(end, ACTIVATIONS.get(node.operator))
        integers = tuple(self.integers.get(name, name) for name in node.reads)
        if leaves is not None and self.is_integer(node):
            self.absorbed |= {id(leaves), *(id(reader) for reader in self.consumers.get(end.writes[0], ()))}
            self.add(node, integers, leaves.writes, made=_MADE_OF_INTEGERS.get(node.operator, 1), integer=True)
        elif node.operator in _TO_FLOAT and all(name in self.integers for name in node.reads if name):
            self.add(node, integers, end.writes, made=1, integer=True)
        elif active is not None:
            self.absorbed.add(id(active))
            self.add(node, self.floats(node.reads), active.writes, made=_MADE[node.operator])
        else:
            self.add(node, self.floats(node.reads), end.writes)

    def normalised(self, node: Node) -> Node:
        """The normalisation that became part of a convolution's weights; the node itself where there is none."""
        after = self.after(node, {"BatchNormalization"}) if node.operator == "Conv" else None
        if after is None or not self.constants.issuperset(filter(None, (*node.reads[1:], *after.reads[1:]))):
            return node
        self.absorbed.add(id(after))
        return after

    def product(self, node: Node) -> None:
        """MatMulInteger, Cast, Mul by both scales, Add of a bias; a DynamicQuantizeLinear before, if all is for it."""
        real = self.after(node, {"Cast"}) if len(node.reads) > 2 else None
        scaled = self.after(real, {"Mul"}) if real else None
        if real is None or scaled is None or node.reads[1] not in self.constants:
            return
        others = [self.makers[name] for name in scaled.reads if name in self.makers and name not in real.writes]
        quantize, both = self.makers.get(node.reads[0]), others[0] if len(others) == 1 else None
        if both is None or quantize is None or self.after(both, {"Mul"}) is not scaled:
            return
        scales = [name for name in both.reads if name not in self.constants]
        if (quantize.operator, both.operator, scales) != ("DynamicQuantizeLinear", "Mul", list(quantize.writes[1:2])):
            return
        biased = self.after(scaled, {"Add"})
        end = biased if biased and self.constants.intersection(biased.reads) else scaled
        self.absorbed |= {id(part) for part in (real, both, scaled, end)}
        if all(len(self.consumers.get(name, ())) <= 1 and name not in self.kept for name in quantize.writes):
            self.absorbed.add(id(quantize))
            self.products[id(node)] = quantize.reads, end.writes, quantize.writes[:1]
        else:
            self.products[id(node)] = (*node.reads, *scales), end.writes, ()

    def is_integer(self, node: Node) -> bool:
        """All activations come as integers, and something does."""
        activations = (name for name in node.reads if name and name not in self.constants)
        return (
            node.operator in INTEGER
            and all(name in self.integers for name in activations)
            and any(name in self.integers for name in node.reads)
        )

    def floats(self, names: Sequence[str]) -> Names:
        """``names`` as a float kernel reads them: what exists only as integers is converted, for each kernel anew."""
        found = {name: self.float(name) for name in dict.fromkeys(names)}
        return tuple(found[name] for name in names)

    def float(self, name: str) -> str:
        """The float that one kernel reads; the name in the file is that of the first, or of a graph output."""
        if name not in self.integers:
            return name
        first = name not in self.converted and name not in self.kept
        copy = name if first else f"{name} ({self.converted[name] + 1})"
        self.converted[name] += 1
        self.sizes[copy] = name
        self.add(self.makers[name], (self.integers[name],), (copy,), made=int(not first))
        return copy

    def add(
        self, node: Node, reads: Names, writes: Names, scratch: Names = (), *, made: int = 0, integer: bool = False
    ) -> None:
        """One more kernel."""
        self.found.append(Step(node.layer, node.operator, reads, writes, scratch, integer, (made, self.ages[id(node)])))

    def after(self, node: Node, operators: Collection[str] | None) -> Node | None:
        """The node of one of these types that alone reads the only output of ``node``."""
        if len(node.writes) != 1 or node.writes[0] in self.kept:
            return None
        readers = self.consumers.get(node.writes[0], [])
        return readers[0] if len(readers) == 1 and readers[0].operator in (operators or ()) else None
