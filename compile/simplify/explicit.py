"""Say everything explicitly: no attribute is left to a default, no axis is negative, no pad is automatic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from compile.model import add_constant, operand, shape_of
from compile.simplify.edit import integer, ints, new_node, number, set_attributes
from compile.simplify.outcome import Outcome

_WINDOWED = ("Conv", "MaxPool", "AveragePool")
# ONNX's defaults.
_AXES = {"Concat": 0, "Softmax": -1, "Gather": 0}
_ALPHAS = {"LeakyRelu": 0.01, "Elu": 1.0}


def explicit_attributes(model: ir.Model) -> Outcome:
    """Given any spelling that ONNX allows, write the one spelling of the hub dialect.

    Conv and pooling get ``kernel_shape``, ``strides``, ``dilations``, ``pads`` (``auto_pad`` resolved, ``ceil_mode``
    turned into padding) and ``group``; Concat, Softmax, Gather and Transpose get positive axes; LeakyRelu and Elu
    their alpha.
    """
    for node in model.graph:
        if node.op_type in _WINDOWED:
            _window(model.graph, node)
        elif node.op_type in _AXES:
            rank = len(shape_of(operand(node)))
            set_attributes(node, axis=integer(node, "axis", _AXES[node.op_type]) % rank)
        elif node.op_type == "Transpose":
            rank = len(shape_of(operand(node)))
            set_attributes(node, perm=[axis % rank for axis in ints(node, "perm", range(rank)[::-1])])
        elif node.op_type in _ALPHAS:
            set_attributes(node, alpha=number(node, "alpha", _ALPHAS[node.op_type]))
        elif node.op_type == "Gelu" and "approximate" not in node.attributes:
            node.attributes["approximate"] = ir.AttrString("approximate", "none")
    return Outcome()


def _window(graph: ir.Graph, node: ir.Node) -> None:
    sizes = shape_of(operand(node))[2:]
    kernel = ints(node, "kernel_shape", ())
    if node.op_type == "Conv":
        kernel = kernel or list(shape_of(operand(node, 1))[2:])
        set_attributes(node, group=integer(node, "group", 1))
    strides = ints(node, "strides", [1] * len(kernel))
    dilations = ints(node, "dilations", [1] * len(kernel))
    pads = ints(node, "pads", [0] * 2 * len(kernel))
    auto = node.attributes["auto_pad"].as_string() if "auto_pad" in node.attributes else "NOTSET"
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    if auto.startswith("SAME"):
        totals = [
            max((-(-size // stride) - 1) * stride + extent - size, 0)
            for size, stride, extent in zip(sizes, strides, extents, strict=True)
        ]
        small, large = [total // 2 for total in totals], [total - total // 2 for total in totals]
        pads = small + large if auto == "SAME_UPPER" else large + small
    elif auto == "VALID":
        pads = [0] * 2 * len(kernel)
    if integer(node, "ceil_mode", 0):
        pads = _reach(graph, node, sizes, extents, strides, pads)
    for name in ("auto_pad", "storage_order"):
        node.attributes.pop(name, None)
    set_attributes(node, kernel_shape=kernel, strides=strides, dilations=dilations, pads=pads)
    if node.op_type != "Conv":
        set_attributes(node, ceil_mode=integer(node, "ceil_mode", 0))
    if node.op_type == "AveragePool":
        set_attributes(node, count_include_pad=integer(node, "count_include_pad", 0))
        if all(size == 1 for size in dilations):
            node.attributes.pop("dilations", None)  # the attribute only exists from opset 19 on


def _reach(
    graph: ir.Graph, node: ir.Node, sizes: Sequence[int], extents: list[int], strides: list[int], pads: list[int]
) -> list[int]:
    """The pads that do what ``ceil_mode`` does: they reach to the end of the last window.

    Where a mean counts its pads, it does not count these: then a Pad of its own gives the counted ones. A window that
    would hold padding only has no meaning; the attribute then stays, for the hub check to refuse.
    """
    rank = len(sizes)
    produced = shape_of(node.outputs[0])[2:]
    begins, ends = pads[:rank], pads[rank:]
    lasts = [(count - 1) * stride for count, stride in zip(produced, strides, strict=True)]
    if any(last >= size + begin for last, size, begin in zip(lasts, sizes, begins, strict=True)):
        return pads
    beyond = [
        max(last + extent - begin - size - end, 0)
        for last, extent, begin, size, end in zip(lasts, extents, begins, sizes, ends, strict=True)
    ]
    kernel = ints(node, "kernel_shape", ())
    if any(end + more >= size for end, more, size in zip(ends, beyond, kernel, strict=True) if more):
        return pads  # a runtime refuses pads that large; it takes a dilated kernel to need them
    set_attributes(node, ceil_mode=0)
    if not any(beyond) or not integer(node, "count_include_pad", 0):
        return [*begins, *(end + more for end, more in zip(ends, beyond, strict=True))]
    if any(pads):
        name = f"{node.outputs[0].name}.padded"
        amounts = add_constant(graph, f"{name}.pads", np.asarray([0, 0, *begins, 0, 0, *ends], np.int64))
        pad, padded = new_node("Pad", [operand(node), amounts], node, name)
        grown = [size + begin + end for size, begin, end in zip(sizes, begins, ends, strict=True)]
        padded.shape = ir.Shape((*shape_of(operand(node))[:2], *grown))
        graph.insert_before(node, pad)
        node.replace_input_with(0, padded)
    set_attributes(node, count_include_pad=0)
    return [*[0] * rank, *beyond]
