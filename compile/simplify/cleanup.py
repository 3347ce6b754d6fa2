"""Store every weight once, drop what nobody reads, and give what remains short, reproducible names."""

from __future__ import annotations

import onnx_ir as ir
import onnx_ir.passes.common as common

from compile.simplify.outcome import Outcome
from compile.units import counted


def deduplicate(model: ir.Model) -> Outcome:
    """Given initializers with equal bytes, dtype and shape, keep one; likewise nodes that compute the same."""
    before = len(model.graph.initializers), len(model.graph)
    common.DeduplicateInitializersPass(size_limit=2**62)(model)
    common.CommonSubexpressionEliminationPass()(model)
    tensors, nodes = before[0] - len(model.graph.initializers), before[1] - len(model.graph)
    rewrites = [f"stored {counted(tensors, 'duplicate tensor')} once"] if tensors else []
    return Outcome((*rewrites, *([f"merged {counted(nodes, 'repeated node')}"] if nodes else [])))


def drop_unused(model: ir.Model) -> Outcome:
    """Drop nodes and initializers that no output depends on."""
    before = len(model.graph), len(model.graph.initializers)
    common.RemoveUnusedNodesPass()(model)
    for name in [name for name, value in model.graph.initializers.items() if not value.uses()]:
        if model.graph.initializers[name] not in model.graph.outputs:
            del model.graph.initializers[name]
    dropped = {"node": before[0] - len(model.graph), "tensor": before[1] - len(model.graph.initializers)}
    what = " and ".join(counted(number, f"unused {noun}") for noun, number in dropped.items() if number)
    return Outcome((f"dropped {what}",) if what else ())


def rename(model: ir.Model) -> Outcome:
    """Name nodes and values by operator and position; graph inputs and outputs keep their names.

    Exporters' names vary from version to version; artefacts must not.
    """
    graph = model.graph
    taken = {value.name for value in (*graph.inputs, *graph.outputs)}
    for index, value in enumerate(list(graph.initializers.values())):
        if value.name not in taken:
            value.name = f"tmp.{index}"  # first out of the way, so that no new name meets an old one
    for index, node in enumerate(graph):
        stem = f"{node.op_type.lower()}{index}"
        node.name = stem
        for output in node.outputs:
            if output not in graph.outputs:
                output.name = _free(stem, taken)
        for position, operand in enumerate(node.inputs):
            if operand is not None and operand.is_initializer() and (operand.name or "").startswith("tmp."):
                role = ("a", "weight", "bias")[position] if node.op_type in ("Conv", "Gemm") else f"c{position}"
                operand.name = _free(f"{stem}.{role}", taken)
    return Outcome()


def _free(stem: str, taken: set[str | None]) -> str:
    name = stem
    while name in taken:
        name += "_"
    taken.add(name)
    return name
