"""How long the activations of a ``.tflite`` file live."""

from __future__ import annotations

from targets.base import Lifetime
from targets.tflite.network import ABSENT, Network

ALIGNMENT = 64  # bytes; what LiteRT's arena gives every tensor


def lifetimes(network: Network) -> tuple[list[Lifetime], list[str]]:
    """Lifetimes of the main subgraph's activations, and the names of those whose size is unknown."""
    graph = network.graphs[0]
    final = max(len(graph.nodes) - 1, 0)
    alive: dict[int, tuple[int, int]] = {}

    def touch(indices: tuple[int, ...], first: int, last: int) -> None:
        for index in indices:
            before = alive.get(index, (first, last))
            alive[index] = (min(before[0], first), max(before[1], last))

    touch(graph.inputs, 0, final)
    for step, node in enumerate(graph.nodes):
        touch((*node.inputs, *node.outputs, *node.intermediates), step, step)
        # LiteRT dequantises a constant once and keeps the result for as long as the model is loaded.
        if node.operator == "DEQUANTIZE" and all(graph.tensors[i].constant for i in node.inputs if i != ABSENT):
            touch(node.outputs, 0, final)
    touch(graph.outputs, final, final)
    found, unknown = [], []
    for index, (first, last) in sorted(alive.items()):
        tensor = graph.tensors[index]
        if index == ABSENT or tensor.constant:
            continue
        if tensor.size is None:
            unknown.append(f"the size of activation '{tensor.layer}'")
        else:
            span = (0, final) if tensor.variable else (first, last)
            found.append(Lifetime(tensor.layer, tensor.size, *span))
    return found, unknown
