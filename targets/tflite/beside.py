"""What a ``.tflite`` file needs beside its main subgraph's activations: variables, other subgraphs, other files."""

from __future__ import annotations

from collections.abc import Iterator

from targets.base import Lifetime
from targets.tflite.flatbuffer import Record
from targets.tflite.network import ABSENT, Graph, Network, Node

# Fields of options that name a subgraph which the operator runs.
_RUNS = (
    "then_subgraph_index",
    "else_subgraph_index",
    "cond_subgraph_index",
    "body_subgraph_index",
    "init_subgraph_index",
    "subgraph",
    "decomposition_subgraph_index",
    "update_computation_subgraph_index",
)


def variables(network: Network) -> tuple[list[Lifetime], list[str]]:
    """What lives in memory of its own from the first run on, by the names of VAR_HANDLE; and what of it is unknown.

    A handle does not say how much it stands for; what is assigned to it and read from it does. Handles themselves take
    a few bytes and are not counted.
    """
    final = max(len(network.graphs[0].nodes) - 1, 0)
    sizes: dict[str, int | None] = {}
    for graph in network.graphs:
        names = {
            node.outputs[0]: _shared_name(network, node)
            for node in graph.nodes
            if node.operator == "VAR_HANDLE" and node.outputs
        }
        for handle, size in _uses(graph):
            name = names.get(handle, graph.tensors[handle].layer)
            before = sizes.get(name, 0)
            sizes[name] = None if size is None or before is None else max(size, before)
    known = [Lifetime(f"variable '{name}'", size, 0, final) for name, size in sorted(sizes.items()) if size is not None]
    return known, [f"the size of variable '{name}'" for name, size in sorted(sizes.items()) if size is None]


def unknown(network: Network) -> Iterator[str]:
    """What this file uses but does not hold, or runs beside its main subgraph."""
    runners: dict[int, str] = {}
    for graph in network.graphs:
        for node in graph.nodes:
            for subgraph in _runs(node):
                runners.setdefault(subgraph, f", which '{node.layer}' runs")
    for signature in network.root.records("signature_defs"):
        key = network.text(signature, "signature_key")
        runners.setdefault(signature.integer("subgraph_index"), f", the signature '{key}'")
    for index, graph in enumerate(network.graphs):
        if index and not all(tensor.constant or tensor.handle for tensor in graph.tensors):
            yield f"the activations of subgraph {index} '{graph.name}'{runners.get(index, '')}"
        for node in graph.nodes:
            if node.operator == "HASHTABLE":
                yield f"the contents of '{node.layer}'"
        yield from _absent(graph)
    for group in network.root.records("external_buffer_groups"):
        yield f"the weights in '{network.text(group, 'name')}'"


def _absent(graph: Graph) -> Iterator[str]:
    """Constants without elements: what operators read and nothing gives them."""
    given = {ABSENT, *graph.inputs, *(index for node in graph.nodes for index in node.outputs)}
    for index in sorted({index for node in graph.nodes for index in node.inputs} - given):
        tensor = graph.tensors[index]
        if not (tensor.constant or tensor.variable or tensor.handle or tensor.size == 0):
            yield f"the elements of tensor '{tensor.layer}', which the file does not hold"


def _runs(node: Node) -> Iterator[int]:
    """The subgraphs that an operator runs."""
    for field in ("builtin_options", "builtin_options_2"):
        options = node.record.fields.get(field)
        if isinstance(options, Record):
            yield from (options.integer(name) for name in _RUNS if name in options.fields)


def _shared_name(network: Network, node: Node) -> str:
    options = node.record.fields.get("builtin_options")
    return network.text(options, "shared_name") if isinstance(options, Record) else node.layer


def _uses(graph: Graph) -> Iterator[tuple[int, int | None]]:
    """Handles, and the bytes that are assigned to or read from what they stand for."""
    for node in graph.nodes:
        values = {"ASSIGN_VARIABLE": node.inputs[1:2], "READ_VARIABLE": node.outputs[:1]}.get(node.operator, ())
        for value in values:
            if ABSENT not in (value, *node.inputs[:1]) and node.inputs:
                yield node.inputs[0], graph.tensors[value].size
