"""What onnxruntime computes from constants when it loads a model, and keeps.

Source: its optimiser ``ConstantFolding``, which leaves DequantizeLinear alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from targets.onnx.fusion import Step
from targets.onnx.graph import Graph

# Operators that are executed even where all they read is constant.
_EXECUTED = frozenset({"Bernoulli", "DequantizeLinear", "Multinomial", "RandomNormalLike", "RandomUniformLike"})


class Folded:
    """What onnxruntime computes from constants when it loads a model.

    Attributes:
        constants: those of the graph and the computed ones.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.source: dict[str, str] = {}  # computed constant -> the constant of the graph that it stands in for
        self.readers: Counter[str] = Counter()  # constant -> how many computations read it
        for node in graph.nodes:
            reads = [name for name in node.reads if name]
            known = all(name in graph.constants or name in self.source for name in reads)
            if reads and known and node.plain and node.operator not in _EXECUTED:
                self.source.update((name, self.source.get(reads[0], reads[0])) for name in node.writes)
                self.readers.update(reads)
        self.constants = graph.constants | self.source.keys()

    def kept(self, steps: Sequence[Step]) -> Iterator[str]:
        """The computed constants that kernels, or the caller, read."""
        read = {name for step in steps for name in step.reads} | set(self.graph.outputs)
        return (name for name in self.source if name in read)

    def resident(self, steps: Sequence[Step]) -> dict[str, int]:
        """Bytes of what is kept of each constant that others are computed from: itself, where it is read, and those."""
        read = {name for step in steps for name in step.reads} | set(self.graph.outputs)
        sizes = self.graph.sizes
        found = {
            name: sizes.get(name, 0) if name in read else 0 for name in self.readers if name in self.graph.constants
        }
        for name in self.kept(steps):
            found[self.source[name]] += sizes.get(name, 0)
        return found
