"""How long the activations of a ``.tflite`` file live, by the rules of LiteRT's arena.

Source: LiteRT's ``arena_planner.cc`` and the in-place flags of its kernels; tests hold both against the addresses that
its interpreter gives to tensors. What it does, and so what is counted:

- An input is never overwritten. An output and a variable are kept, and so is a result that nobody reads.
- A reshape shares its input's memory, and an operator of ``_IN_PLACE`` takes over that of an input which nobody else
  reads; neither where the input is one of the graph's, or the result is.
- What only constants decide is computed when the model is loaded, and kept.
- An operator with float activations and integer weights quantises its input as it runs: for that step, a byte for
  each element.

Further scratch memory depends on who executes the file, and is not counted: LiteRT's builtin kernels unfold the input
of a convolution and widen sums, XNNPACK, which it prefers to them, does neither. :func:`unfolded` says how much the
former is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import prod

from targets.base import Lifetime
from targets.tflite.network import ABSENT, Graph, Node

ALIGNMENT = 64  # bytes; what LiteRT's arena gives every tensor

# Operators that change the shape, or what the bits are called.
_ALIASES = frozenset(("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "BITCAST"))
# Operator -> how many of its first inputs may lie where its first output does.
_IN_PLACE = {"ADD": 2, "SUB": 2, "MUL": 2, "DIV": 2, "SOFTMAX": 1, "DYNAMIC_UPDATE_SLICE": 1}
_SCALAR = 4  # bytes, up to which nothing is done in place
# Operators whose results are kept where they read constants alone; others may then be computed from the former.
_FOLDED = frozenset(
    ("BROADCAST_ARGS", "CONCATENATION", "GATHER", "MUL", "RANGE", "REDUCE_PROD", "RESHAPE", "STRIDED_SLICE", "TILE")
)
_UNPACKED = frozenset(("DEQUANTIZE", "DENSIFY"))
_OF_SHAPES = frozenset(("SHAPE", "RANK"))  # kept whatever they read
_UNFORESEEN = frozenset(("WHERE", "UNIQUE"))  # as large as the elements that they read make it, whatever the file says
_HYBRID = frozenset(("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "BATCH_MATMUL"))
_INTEGERS = frozenset(("int8", "uint8", "int4", "int2"))


def lifetimes(graph: Graph) -> tuple[list[Lifetime], list[str]]:
    """Lifetimes of a graph's activations, and the names of those whose size is unknown."""
    final = max(len(graph.nodes) - 1, 0)
    variables = [index for index, tensor in enumerate(graph.tensors) if tensor.variable]
    kept = _kept(graph)
    homes = _homes(graph, {*graph.inputs, *variables, *kept})
    first = dict.fromkeys((*graph.inputs, *variables, *sorted(kept)), 0)
    last: dict[int, int] = {}  # what nobody reads is never freed
    for step, node in enumerate(graph.nodes):
        for index in node.outputs:
            if index not in homes:
                first.setdefault(index, step)
        for index in node.inputs:
            last[homes.get(index, index)] = step
    last.update(dict.fromkeys((*graph.inputs, *graph.outputs, *variables, *kept), final))
    unforeseen = {index for node in graph.nodes if node.operator in _UNFORESEEN for index in node.outputs}
    found, unknown = [], []
    for index in sorted({*first, *homes} - {ABSENT}):
        tensor = graph.tensors[index]
        if tensor.constant or tensor.handle:
            continue
        if tensor.size is None or index in unforeseen:
            unknown.append(f"the size of activation '{tensor.layer}'")
        elif index in first:
            found.append(Lifetime(tensor.layer, tensor.size, first[index], last.get(index, final)))
    return [*found, *_copies(graph)], unknown


def _kept(graph: Graph) -> set[int]:
    """The tensors that are computed when the model is loaded."""
    fixed = {index for index, tensor in enumerate(graph.tensors) if tensor.constant} | {ABSENT}
    kept: set[int] = set()
    for node in graph.nodes:
        of_constants = fixed.issuperset(node.inputs)
        if node.operator in _OF_SHAPES or (of_constants and node.operator in _FOLDED):
            fixed.update(node.outputs)
            kept.update(node.outputs)
        elif of_constants and node.operator in _UNPACKED:
            kept.update(node.outputs)
    return kept - {ABSENT}


def _homes(graph: Graph, own: set[int]) -> dict[int, int]:
    """For each tensor that shares the memory of another, which; ``own`` are those that share theirs with none."""
    uses = Counter([*graph.inputs, *graph.outputs])
    uses.update(index for node in graph.nodes for index in node.inputs)
    outputs = set(graph.outputs)
    homes: dict[int, int] = {}

    def may_share(index: int, result: int, node: Node) -> bool:
        source, size = graph.tensors[index], graph.tensors[result].size
        if index == ABSENT or source.constant or index in own or result in outputs or source.size != size:
            return False
        return node.operator in _ALIASES or (size is not None and size > _SCALAR and uses[index] == 1)

    for node in graph.nodes:
        reach = 1 if node.operator in _ALIASES else _IN_PLACE.get(node.operator, 0)
        result = next(iter(node.outputs), ABSENT)
        if reach == 0 or result == ABSENT:
            continue
        index = next((index for index in node.inputs[:reach] if may_share(index, result, node)), ABSENT)
        home = homes.get(index, index)
        if index != ABSENT and (node.operator in _ALIASES or uses[home] == 1):
            homes[result] = home
    return homes


def _copies(graph: Graph) -> Iterator[Lifetime]:
    """The inputs that operators quantise as they run."""
    for step, node in enumerate(graph.nodes):
        if node.operator in _HYBRID and len(node.inputs) > 1 and ABSENT not in node.inputs[:2]:
            source, weights = (graph.tensors[index] for index in node.inputs[:2])
            if source.dtype == "float32" and weights.dtype in _INTEGERS and source.size is not None:
                yield Lifetime(f"{node.layer} input as int8", source.size // 4, step, step)


def unfolded(graph: Graph) -> Iterator[tuple[str, int]]:
    """What LiteRT's builtin kernels take to unfold inputs of convolutions: the layer and bytes, for each that they do.

    One row for each output position, with every input that it sees. Source: ``conv.cc`` of LiteRT.
    """
    for node in graph.nodes:
        if node.operator == "CONV_2D" and node.outputs and ABSENT not in (*node.inputs[:2], node.outputs[0]):
            operands = [graph.tensors[index] for index in (*node.inputs[:2], node.outputs[0])]
            if len(operands) == 3 and all(len(tensor.shape) == 4 and tensor.size for tensor in operands):
                source, weights, result = operands
                width = 1 if weights.dtype in _INTEGERS else (source.size or 0) // prod(source.shape)
                if weights.shape[1:3] != (1, 1) or source.shape[1:3] != result.shape[1:3]:
                    yield node.layer, prod(result.shape[:3]) * prod(weights.shape[1:]) * width
