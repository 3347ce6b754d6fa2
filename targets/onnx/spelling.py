"""Hub operators as older ONNX, or a narrower reader, spells them: one function an operator, equal values.

A spelling gets a node of a graph that it may change, and leaves it there, rewritten or replaced.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx_ir as ir

from compile.errors import Bug
from compile.model import add_constant, constant, drop_unread_constants, operand, shape_of

Spelling = Callable[[ir.Graph, ir.Node], None]


def respell(model: ir.Model, opset: int, spellings: Mapping[str, Spelling]) -> None:
    """Write ``model`` in ``opset``, each operator of the table in its own way."""
    for node in list(model.graph):
        if node.op_type in spellings:
            spellings[node.op_type](model.graph, node)
    drop_unread_constants(model.graph)
    model.opset_imports[""] = opset
    for node in model.graph:
        node.version = None


def without(*attributes: str) -> Spelling:
    """Leave out attributes that only repeat what a reader assumes anyway."""

    def spell(_: ir.Graph, node: ir.Node) -> None:
        for name in attributes:
            node.attributes.pop(name, None)

    return spell


def axes_as_attribute(_: ir.Graph, node: ir.Node) -> None:
    """Before opset 18 a reduction had its axes in an attribute."""
    axes = constant(node.inputs[1])
    if axes is None:
        raise Bug(f"the axes of '{node.name}' are not constant")
    node.attributes.pop("noop_with_empty_axes", None)
    node.attributes["axes"] = ir.AttrInt64s("axes", axes.tolist())
    node.resize_inputs(1)


def gelu(graph: ir.Graph, node: ir.Node) -> None:
    """Before opset 20 it was its own arithmetic: ``x/2 · (1 + erf(x/√2))``, or with tanh in place of erf.

    Source: Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016, section 2.
    """
    write = _Writer(graph, node)
    x = operand(node)
    if node.attributes["approximate"].as_string() == "tanh":
        cube = write("Mul", write("Mul", x, x), write("Mul", x, write.number(0.044715)))
        curve = write("Tanh", write("Mul", write("Add", x, cube), write.number(math.sqrt(2 / math.pi))))
    else:
        curve = write("Erf", write("Mul", x, write.number(math.sqrt(0.5))))
    write.result("Mul", write("Mul", x, write.number(0.5)), write("Add", curve, write.number(1.0)))


def mean_of_padded(graph: ir.Graph, node: ir.Node) -> None:
    """An AveragePool that counts its padding, as a Pad and an AveragePool without."""
    pads = [int(amount) for amount in node.attributes["pads"].as_ints()]
    counted = node.attributes.pop("count_include_pad", None)
    node.attributes.pop("ceil_mode", None)
    if counted is None or not counted.as_int() or not any(pads):
        return
    half = len(pads) // 2
    write, x = _Writer(graph, node), operand(node)
    amounts = np.array([0, 0, *pads[:half], 0, 0, *pads[half:]], np.int64)
    grown = write("Pad", x, write.constant(amounts), mode="constant")
    shape = shape_of(x)
    grown.shape = ir.Shape([size + int(amounts[axis] + amounts[axis + len(shape)]) for axis, size in enumerate(shape)])
    node.replace_input_with(0, grown)
    node.attributes["pads"] = ir.AttrInt64s("pads", [0] * len(pads))


OLDER: Mapping[str, Spelling] = {
    "Gelu": gelu,
    "Reshape": without("allowzero"),  # the hub's sizes are all positive
    "Resize": without("antialias", "axes", "keep_aspect_ratio_policy", "cubic_coeff_a", "exclude_outside"),
    **dict.fromkeys(("ReduceMean", "ReduceMax", "ReduceMin"), axes_as_attribute),
    **dict.fromkeys(("Cast", "QuantizeLinear"), without("saturate")),
}
"""The hub in opset 15."""

UNITY: Mapping[str, Spelling] = {
    **OLDER,
    "AveragePool": mean_of_padded,
    "MaxPool": without("ceil_mode", "dilations", "storage_order"),
}
"""The hub as Unity's importer reads it: it warns of what it ignores, counted padding among it."""


class _Writer:
    """Puts nodes in front of another, each value typed and named after it."""

    def __init__(self, graph: ir.Graph, at: ir.Node) -> None:
        self.graph, self.at, self.count = graph, at, 0

    def __call__(self, operator: str, *inputs: ir.Value, **attributes: Any) -> ir.Value:
        """One float node of the shape of the node it stands before."""
        made = ir.node(operator, inputs, attributes, name=self.name())
        value = made.outputs[0]
        value.name, value.type, value.shape = made.name, ir.TensorType(ir.DataType.FLOAT), self.at.outputs[0].shape
        self.graph.insert_before(self.at, made)
        return value

    def result(self, operator: str, *inputs: ir.Value) -> None:
        """The last node, in the place of the one that is replaced."""
        old, value = self.at.outputs[0], self(operator, *inputs)
        for user, index in list(old.uses()):
            user.replace_input_with(index, value)
        if old in self.graph.outputs:
            self.graph.outputs[self.graph.outputs.index(old)] = value
        name, old.name = old.name, f"{old.name}.old"
        value.name = name
        self.graph.remove(self.at, safe=True)

    def number(self, value: float) -> ir.Value:
        return self.constant(np.float32(value))

    def constant(self, data: Any) -> ir.Value:
        return add_constant(self.graph, self.name(), np.asarray(data))

    def name(self) -> str:
        self.count += 1
        return f"{self.at.name}.{self.count}"
