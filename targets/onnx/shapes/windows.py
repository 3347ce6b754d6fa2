"""Shapes of what slides a window: convolutions and pooling."""

from __future__ import annotations

from collections.abc import Mapping

from targets.onnx.shapes.view import INT32, INT64, Node, Rule, Shape, Unknown, Value


def _spread(node: Node, shape: Shape, kernel: Shape, attribute: str, default: int) -> Shape:
    """A setting with one number a spatial axis."""
    listed = node.listed(attribute)
    found = (default,) * len(kernel) if listed is None else listed
    if len(found) != len(kernel) or len(shape) != len(kernel) + 2 or min(found, default=1) < 1:
        raise Unknown
    return found


def _windows(node: Node, shape: Shape, kernel: Shape) -> Shape:
    """Spatial sizes of what a window of ``kernel`` gives that slides over ``shape``."""
    strides = _spread(node, shape, kernel, "strides", 1)
    dilations = _spread(node, shape, kernel, "dilations", 1)
    auto, pads = node.text("auto_pad", "NOTSET"), node.listed("pads") or (0,) * (2 * len(kernel))
    if auto.startswith("SAME"):
        return tuple(-(-size // stride) for size, stride in zip(shape[2:], strides, strict=True))
    if len(pads) != 2 * len(kernel) or node.integer("ceil_mode", 0):
        raise Unknown
    if auto == "VALID":
        pads = (0,) * len(pads)
    result = []
    for axis, size in enumerate(shape[2:]):
        room = size + pads[axis] + pads[axis + len(kernel)] - dilations[axis] * (kernel[axis] - 1) - 1
        if room < 0:
            raise Unknown
        result.append(room // strides[axis] + 1)
    return tuple(result)


def _convolved(node: Node, shape: Shape, weight: Shape) -> Shape:
    kernel = weight[2:]
    if len(weight) != len(shape) or len(shape) < 3 or (node.listed("kernel_shape") or kernel) != kernel:
        raise Unknown
    return shape[0], weight[0], *_windows(node, shape, kernel)


def _conv(node: Node) -> tuple[Value, ...]:
    return ((node.type(0), _convolved(node, node.shape(0), node.shape(1))),)


def _conv_integer(node: Node) -> tuple[Value, ...]:
    return ((INT32, _convolved(node, node.shape(0), node.shape(1))),)


def _qlinear_conv(node: Node) -> tuple[Value, ...]:
    return ((node.type(7), _convolved(node, node.shape(0), node.shape(3))),)


def _conv_transpose(node: Node) -> tuple[Value, ...]:
    shape, weight = node.shape(0), node.shape(1)
    kernel = weight[2:]
    if len(weight) != len(shape) or len(shape) < 3 or (node.listed("kernel_shape") or kernel) != kernel:
        raise Unknown
    if node.text("auto_pad", "NOTSET") != "NOTSET" or node.listed("output_shape"):
        raise Unknown
    pads = node.listed("pads") or (0,) * (2 * len(kernel))
    extra = node.listed("output_padding") or (0,) * len(kernel)
    strides = _spread(node, shape, kernel, "strides", 1)
    dilations = _spread(node, shape, kernel, "dilations", 1)
    if len(pads) != 2 * len(kernel) or len(extra) != len(kernel):
        raise Unknown
    spatial = (
        strides[axis] * (size - 1)
        + extra[axis]
        + dilations[axis] * (kernel[axis] - 1)
        + 1
        - pads[axis]
        - pads[axis + len(kernel)]
        for axis, size in enumerate(shape[2:])
    )
    return ((node.type(0), (shape[0], weight[1] * node.integer("group", 1), *spatial)),)


def _pool(node: Node) -> tuple[Value, ...]:
    shape, kernel = node.shape(0), node.listed("kernel_shape")
    if not kernel or node.integer("channels_last", 0):
        raise Unknown
    pooled = (*shape[:2], *_windows(node, shape, kernel))
    return (node.type(0), pooled), (INT64, pooled)


def _global_pool(node: Node) -> tuple[Value, ...]:
    shape = node.shape(0)
    if len(shape) < 3 or node.integer("channels_last", 0):
        raise Unknown
    return ((node.type(0), shape[:2] + (1,) * (len(shape) - 2)),)


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("Conv", "com.microsoft.FusedConv"), _conv),
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool", "com.microsoft.QLinearAveragePool"), _pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "com.microsoft.QLinearGlobalAveragePool"), _global_pool),
    "ConvInteger": _conv_integer,
    "ConvTranspose": _conv_transpose,
    "QLinearConv": _qlinear_conv,
}
