"""Say everything explicitly: no attribute is left to a default, no axis is negative, no pad is automatic."""

from __future__ import annotations

import onnx_ir as ir

from compile.model import constant, shape_of
from compile.simplify.edit import integer, ints, number, operand
from compile.simplify.outcome import Outcome

_WINDOWED = ("Conv", "MaxPool", "AveragePool")


def explicit_attributes(model: ir.Model) -> Outcome:
    """Given any spelling that ONNX allows, write the one spelling of the hub dialect.

    Conv and pooling get ``kernel_shape``, ``strides``, ``dilations``, ``pads`` (``auto_pad`` resolved, ``ceil_mode``
    turned into padding where that is exact) and ``group``; Concat and Transpose get positive axes; LeakyRelu its alpha.
    """
    for node in model.graph:
        if node.op_type in _WINDOWED:
            _window(node)
        elif node.op_type == "Concat":
            rank = len(shape_of(node.outputs[0]))
            _set(node, axis=integer(node, "axis", 0) % rank)
        elif node.op_type == "Transpose":
            rank = len(shape_of(operand(node)))
            _set(node, perm=[axis % rank for axis in ints(node, "perm", range(rank)[::-1])])
        elif node.op_type == "LeakyRelu":
            _set(node, alpha=number(node, "alpha", 0.01))
    return Outcome()


def _window(node: ir.Node) -> None:
    sizes = shape_of(operand(node))[2:]
    kernel = ints(node, "kernel_shape", ())
    if node.op_type == "Conv":
        weight = constant(node.inputs[1])
        if not kernel and weight is not None:
            kernel = list(weight.shape[2:])
        _set(node, group=integer(node, "group", 1))
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
    if integer(node, "ceil_mode", 0) and _ceil_is_padding(node, pads):
        reached = [
            size + begin + end for size, begin, end in zip(sizes, pads[: len(sizes)], pads[len(sizes) :], strict=True)
        ]
        for axis, (length, extent, stride) in enumerate(zip(reached, extents, strides, strict=True)):
            rest = (length - extent) % stride
            produced = shape_of(node.outputs[0])[2 + axis]
            if rest and produced > (length - extent) // stride + 1:
                pads[len(sizes) + axis] += stride - rest
        _set(node, ceil_mode=0)
    for name in ("auto_pad", "storage_order"):
        node.attributes.pop(name, None)
    _set(node, kernel_shape=kernel, strides=strides, dilations=dilations, pads=pads)
    if node.op_type != "Conv":
        _set(node, ceil_mode=integer(node, "ceil_mode", 0))
    if node.op_type == "AveragePool":
        _set(node, count_include_pad=integer(node, "count_include_pad", 0))
        if all(size == 1 for size in dilations):
            node.attributes.pop("dilations", None)  # the attribute only exists from opset 19 on


def _ceil_is_padding(node: ir.Node, pads: list[int]) -> bool:
    """Padding never wins a maximum and is not counted in a mean, unless the mean includes pads."""
    return node.op_type == "MaxPool" or not (integer(node, "count_include_pad", 0) and any(pads))


def _set(node: ir.Node, **attributes: int | float | list[int]) -> None:
    for name, attribute in zip(attributes, ir.convenience.convert_attributes(attributes), strict=True):
        node.attributes[name] = attribute
