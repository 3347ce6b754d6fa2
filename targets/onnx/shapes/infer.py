"""The types and shapes of a graph's values, for the operators that students and quantisers use.

Written here because importing ``onnx`` takes longer than the whole audit of a student, whose file declares no shapes
inside. A rule says nothing rather than something that might be wrong; what stays unknown is for onnx's own inference.
Source: the definitions of operators in onnx, and ``ContribOperators.md`` of onnxruntime.
"""

from __future__ import annotations

from collections.abc import Mapping

from targets.onnx.proto import Message, possible
from targets.onnx.shapes import arithmetic, movement, products, windows
from targets.onnx.shapes.values import Values
from targets.onnx.shapes.view import Node, Unknown, Value

RULES = {**arithmetic.RULES, **movement.RULES, **products.RULES, **windows.RULES}


def infer(model: Message, graph: Message, known: Mapping[str, Value]) -> dict[str, Value]:
    """The types and shapes of ``known`` values and of those computed from them.

    Args:
        model: that holds ``graph``.
        graph: whose nodes are in topological order.
        known: what the file declares.
    """
    found, constants = dict(known), Values(model, graph)
    opsets = {_domain(entry): entry.integer("version") for entry in model.messages("opset_import")}
    own = {(function.text("domain"), function.text("name")) for function in model.messages("functions")}
    for node in graph.messages("node"):
        domain, operator = _domain(node), node.text("op_type")
        rule = RULES.get(operator if not domain else f"{domain}.{operator}")
        if rule is None or (node.text("domain"), operator) in own:
            continue
        view = Node(node, node.texts("input"), found, constants, opsets.get(domain, 0))
        try:
            values = rule(view)
        except Unknown:
            continue
        named = zip(node.texts("output"), values, strict=False)  # a file that declares otherwise is wrong
        found.update((name, value) for name, value in named if name and possible(value[1]))
    return found


def _domain(message: Message) -> str:
    """The domain of a node or an operator set; ONNX's own has two names."""
    domain = message.text("domain")
    return "" if domain == "ai.onnx" else domain
