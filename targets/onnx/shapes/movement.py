"""Shapes of what moves elements."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from targets.onnx.shapes.view import FLOAT, INT64, Node, Rule, Shape, Unknown, Value, axis_of, broadcast


def _concat(node: Node) -> tuple[Value, ...]:
    shapes = [node.shape(index) for index in range(len(node.inputs))]
    return ((node.type(0), _joined(node, shapes)),)


def _qlinear_concat(node: Node) -> tuple[Value, ...]:
    return ((node.type(1), _joined(node, [node.shape(index) for index in range(2, len(node.inputs), 3)])),)


def _joined(node: Node, shapes: list[Shape]) -> Shape:
    if not shapes:
        raise Unknown
    axis = axis_of(node.integer("axis", 1), len(shapes[0]))
    if len({(len(shape), *shape[:axis], *shape[axis + 1 :]) for shape in shapes}) != 1:
        raise Unknown
    return (*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])


def _pad(node: Node) -> tuple[Value, ...]:
    shape, pads = node.shape(0), node.listed("pads", 1)
    axes = node.constant(3) if node.has(3) else tuple(range(len(shape)))
    if pads is None or len(pads) != 2 * len(axes):
        raise Unknown
    sizes = list(shape)
    for index, axis in enumerate(axes):
        sizes[axis_of(axis, len(shape))] += pads[index] + pads[index + len(axes)]
    return ((node.type(0), tuple(sizes)),)


def _reshape(node: Node) -> tuple[Value, ...]:
    shape, asked = node.shape(0), node.listed("shape", 1)
    if asked is None or asked.count(-1) > 1 or min(asked, default=0) < -1:
        raise Unknown
    keeps = not node.integer("allowzero", 0)
    if keeps and any(size == 0 and axis >= len(shape) for axis, size in enumerate(asked)):
        raise Unknown
    sizes = [shape[axis] if size == 0 and keeps else size for axis, size in enumerate(asked)]
    if -1 in sizes:
        rest = prod(size for size in sizes if size != -1)
        if not rest or prod(shape) % rest:
            raise Unknown
        sizes[sizes.index(-1)] = prod(shape) // rest
    if prod(sizes) != prod(shape):
        raise Unknown
    return ((node.type(0), tuple(sizes)),)


def _flatten(node: Node) -> tuple[Value, ...]:
    shape, axis = node.shape(0), node.integer("axis", 1)
    axis = axis + len(shape) if axis < 0 else axis
    if not 0 <= axis <= len(shape):
        raise Unknown
    return ((node.type(0), (prod(shape[:axis]), prod(shape[axis:]))),)


def _squeeze(node: Node) -> tuple[Value, ...]:
    shape, axes = node.shape(0), node.listed("axes", 1)
    given = {axis_of(axis, len(shape)) for axis in axes or ()}
    gone = given if axes is not None else {axis for axis, size in enumerate(shape) if size == 1}
    if any(shape[axis] != 1 for axis in gone):
        raise Unknown
    return ((node.type(0), tuple(size for axis, size in enumerate(shape) if axis not in gone)),)


def _unsqueeze(node: Node) -> tuple[Value, ...]:
    axes = node.listed("axes", 1)
    if axes is None:
        raise Unknown
    rank = len(node.shape(0)) + len(axes)
    new = {axis_of(axis, rank) for axis in axes}
    if len(new) != len(axes):
        raise Unknown
    sizes = iter(node.shape(0))
    return ((node.type(0), tuple(1 if axis in new else next(sizes) for axis in range(rank))),)


def _transpose(node: Node) -> tuple[Value, ...]:
    shape = node.shape(0)
    order = node.listed("perm") or tuple(reversed(range(len(shape))))
    if sorted(order) != list(range(len(shape))):
        raise Unknown
    return ((node.type(0), tuple(shape[axis] for axis in order)),)


def _slice(node: Node) -> tuple[Value, ...]:
    shape = node.shape(0)
    starts, ends = node.listed("starts", 1), node.listed("ends", 2)
    if starts is None or ends is None:
        raise Unknown
    axes, steps = node.listed("axes", 3), node.listed("steps", 4)
    axes = tuple(range(len(starts))) if axes is None else axes
    steps = (1,) * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise Unknown
    sizes = list(shape)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis = axis_of(axis, len(shape))
        sizes[axis] = len(range(*slice(start, end, step).indices(shape[axis])))
    return ((node.type(0), tuple(sizes)),)


def _split(node: Node) -> tuple[Value, ...]:
    shape, count = node.shape(0), len(node.message.texts("output"))
    axis = axis_of(node.integer("axis", 0), len(shape))
    sizes = node.listed("split", 1)
    if sizes is None:
        each = -(-shape[axis] // count)
        sizes = (*(each,) * (count - 1), shape[axis] - each * (count - 1))
    if len(sizes) != count or sum(sizes) != shape[axis] or min(sizes) < 0:
        raise Unknown
    return tuple((node.type(0), (*shape[:axis], size, *shape[axis + 1 :])) for size in sizes)


def _gather(node: Node) -> tuple[Value, ...]:
    shape = node.shape(0)
    axis = axis_of(node.integer("axis", 0), len(shape))
    return ((node.type(0), (*shape[:axis], *node.shape(1), *shape[axis + 1 :])),)


def _expand(node: Node) -> tuple[Value, ...]:
    return ((node.type(0), broadcast(node.shape(0), node.constant(1))),)


def _tile(node: Node) -> tuple[Value, ...]:
    shape, repeats = node.shape(0), node.constant(1)
    if len(shape) != len(repeats):
        raise Unknown
    return ((node.type(0), tuple(size * times for size, times in zip(shape, repeats, strict=True))),)


def _resize(node: Node) -> tuple[Value, ...]:
    sizes = node.constant(3)
    stretched = node.text("keep_aspect_ratio_policy", "stretch") == "stretch"
    if len(sizes) != len(node.shape(0)) or node.attribute("axes") or not stretched:
        raise Unknown
    return ((node.type(0), sizes),)


def _shape(node: Node) -> tuple[Value, ...]:
    rank = len(node.shape(0))
    start, end = node.integer("start", 0), node.integer("end", rank)
    return ((INT64, (len(range(*slice(start, end).indices(rank))),)),)


def _filled(node: Node) -> tuple[Value, ...]:
    attribute = node.attribute("value")
    tensor = next(attribute.messages("t"), None) if attribute else None
    return ((tensor.integer("data_type") if tensor else FLOAT, node.constant(0)),)


RULES: Mapping[str, Rule] = {
    "Concat": _concat,
    "ConstantOfShape": _filled,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Pad": _pad,
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": _shape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "com.microsoft.QLinearConcat": _qlinear_concat,
}
