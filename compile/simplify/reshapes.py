"""Flatten, Squeeze, Unsqueeze and what changes nothing are Reshapes, and one Reshape is enough."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from compile.model import add_constant, constant, operand, shape_of
from compile.simplify.edit import bypass, new_node, only_consumer, substitute
from compile.simplify.noops import kept_input
from compile.simplify.outcome import Outcome

_SPELLINGS = ("Flatten", "Squeeze", "Unsqueeze")
_COPIES = ("Identity", "Dropout", "Cast")
_UNARY = ("Relu", "LeakyRelu", "Sigmoid", "Tanh", "Clip", "Elu", "Gelu")


def plain_reshape(model: ir.Model) -> Outcome:
    """Given any operator that only renames axes, write ``Reshape`` with its constant, positive shape.

    Likewise an Identity, Dropout or Cast that changes nothing and yet has to stay, because it joins a graph input to
    an output or gives a value a second name.
    """
    rewrites = []
    for node in list(model.graph):
        if node.op_type in _SPELLINGS or (node.op_type in _COPIES and kept_input(node) is not None):
            rewrites.append(f"{node.op_type} '{node.name}' became Reshape")
        elif node.op_type != "Reshape" or _is_plain(node):
            continue
        substitute(model.graph, [node], [_reshape(model.graph, operand(node), node)])
    return Outcome(tuple(rewrites))


def merge_reshapes(model: ir.Model) -> Outcome:
    """Given Reshapes in a row, keep the last; given an activation after a Reshape, let the Reshape wait behind it.

    The second rewrite brings activations next to the convolution or Gemm that produces their input, where targets
    fuse them. It does nothing when anything else reads the reshaped value.
    """
    rewrites: list[str] = []
    changed = True
    while changed:
        changed = False
        for node in list(model.graph):
            source = node.inputs[0].producer() if node.inputs and node.inputs[0] is not None else None
            if source is None or source.op_type != "Reshape":
                continue
            if node.op_type == "Reshape":
                node.replace_input_with(0, operand(source))
                rewrites.append(f"Reshape '{node.name}' reads past '{source.name}'")
            elif node.op_type in _UNARY and only_consumer(model.graph, source.outputs[0]) is node:
                _swap(model.graph, source, node)
                rewrites.append(f"{node.op_type} '{node.name}' moved before Reshape")
            else:
                continue
            if not source.outputs[0].uses() and source.outputs[0] not in model.graph.outputs:
                model.graph.remove(source, safe=True)
            changed = True
            break
    return Outcome(tuple(rewrites))


def drop_noop_reshapes(model: ir.Model) -> Outcome:
    """Given a Reshape to the shape its input has, drop it, unless it keeps a graph input and output apart."""
    rewrites = []
    for node in list(model.graph):
        if node.op_type != "Reshape":
            continue
        source, name = operand(node), node.name
        if shape_of(source) == shape_of(node.outputs[0]) and bypass(model.graph, node, source):
            rewrites.append(f"dropped Reshape '{name}'")
    return Outcome(tuple(rewrites))


def _swap(graph: ir.Graph, reshape: ir.Node, unary: ir.Node) -> None:
    before, name = operand(reshape), unary.outputs[0].name
    attributes = {key: attribute.value for key, attribute in unary.attributes.items()}
    moved, value = new_node(unary.op_type, [before, *unary.inputs[1:]], unary, f"{name}.moved", **attributes)
    moved.name = unary.name
    value.shape = before.shape
    substitute(graph, [unary], [moved, _reshape(graph, value, unary)])


def _reshape(graph: ir.Graph, value: ir.Value, like: ir.Node) -> ir.Node:
    output = like.outputs[0]
    shape = add_constant(graph, f"{output.name}.shape", np.asarray(shape_of(output), np.int64))
    node, result = new_node("Reshape", [value, shape], like, f"{output.name}.reshaped")
    result.shape = output.shape
    return node


def _is_plain(node: ir.Node) -> bool:
    shape = constant(node.inputs[1])
    return shape is not None and tuple(shape.tolist()) == shape_of(node.outputs[0])
