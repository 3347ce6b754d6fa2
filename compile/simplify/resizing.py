"""Resize: the linear form that runtimes have stays; everything else is an exact selection of what it reads.

The positions follow the ONNX specification of ``Resize``, in float32 as runtimes compute them: where two neighbours are
equally near, the rounding of a factor like 0.6 decides, and it has to decide as it does there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from compile.model import constant, operand, shape_of
from compile.simplify.edit import Writer, integer, ints
from compile.simplify.outcome import Outcome
from compile.simplify.selection import select

Positions = NDArray[np.float32]
Number = np.float32
_NATIVE = ("half_pixel", "align_corners")


def plain_resize(model: ir.Model) -> Outcome:
    """Given ``Resize`` by constants, write the hub's linear form, or selections (and, if linear, their mixture).

    Does nothing to cubic or antialiased resizing, cropping, and aspect-ratio policies: the hub check refuses them.
    """
    rewrites = []
    for node in list(model.graph):
        if node.op_type != "Resize" or not _understood(node):
            continue
        scales, mode = _scales(node), _text(node, "mode", "nearest")
        if scales is None or (mode == "linear" and _is_plain(node)):
            continue
        if _transform(node) == "align_corners" and not _whole(node, scales):
            continue  # the specification takes the size as rounded, its own tests as it was before: nobody can be right
        write = Writer(model.graph, node)
        native = mode == "linear" and _transform(node) in _NATIVE and _only_spatial(node)
        if native and _whole(node, scales):
            value = _native(write, node)
        else:
            value = operand(node)
            for axis, scale in enumerate(scales):
                value = _along(write, node, value, axis, scale)
        write.replace(value)
        rewrites.append(f"Resize '{node.name}' became {'plain' if native else 'selections'}")
    return Outcome(tuple(rewrites))


def _understood(node: ir.Node) -> bool:
    return (
        _text(node, "mode", "nearest") in ("nearest", "linear")
        and not integer(node, "antialias", 0)
        and _text(node, "keep_aspect_ratio_policy", "stretch") == "stretch"
        and _transform(node) in _TRANSFORMS
    )


def _scales(node: ir.Node) -> list[float] | None:
    """One factor an axis: as given, or by the sizes; None when they are computed."""
    before, after = shape_of(operand(node)), shape_of(node.outputs[0])
    given = node.inputs[2] if len(node.inputs) > 2 else None
    data = constant(given)
    if given is not None and data is None:
        return None
    if data is None or not data.size:
        return [new / old for new, old in zip(after, before, strict=True)]
    scales = [1.0] * len(before)
    for axis, scale in zip(ints(node, "axes", range(len(before))), data, strict=True):
        scales[axis % len(before)] = float(scale)
    return scales


def _only_spatial(node: ir.Node) -> bool:
    before, after = shape_of(operand(node)), shape_of(node.outputs[0])
    return len(before) in (3, 4) and before[:2] == after[:2]


def _whole(node: ir.Node, scales: list[float]) -> bool:
    """Whether the factors are those of the sizes: a size may have been rounded down, and then positions differ."""
    before, after = shape_of(operand(node)), shape_of(node.outputs[0])
    return all(math.isclose(s * old, new, rel_tol=1e-6) for s, old, new in zip(scales, before, after, strict=True))


def _is_plain(node: ir.Node) -> bool:
    sizes = constant(node.inputs[3]) if len(node.inputs) > 3 else None
    return (
        node.inputs[1] is None
        and node.inputs[2] is None
        and sizes is not None
        and tuple(sizes.tolist()) == shape_of(node.outputs[0])
        and "coordinate_transformation_mode" in node.attributes
        and _transform(node) in _NATIVE
        and _only_spatial(node)
    )


def _native(write: Writer, node: ir.Node) -> ir.Value:
    sizes = write.integers(shape_of(node.outputs[0]))
    return write(
        "Resize", operand(node), None, None, sizes, coordinate_transformation_mode=_transform(node), mode="linear"
    )


def _along(write: Writer, node: ir.Node, x: ir.Value, axis: int, scale: float) -> ir.Value:
    before, after = shape_of(operand(node))[axis], shape_of(node.outputs[0])[axis]
    if before == after and scale == 1:
        return x
    sizes = (np.float32(number) for number in (scale, before, after))
    at = _TRANSFORMS[_transform(node)](np.arange(after, dtype=np.float32), *sizes)
    if _text(node, "mode", "nearest") == "nearest":
        nearest = _ROUNDINGS[_text(node, "nearest_mode", "round_prefer_floor")](at)
        return select(write, x, axis, np.clip(nearest, 0, before - 1).astype(int).tolist())
    at = np.clip(at, 0, before - 1)
    low = np.floor(at)
    left = select(write, x, axis, low.astype(int).tolist())
    right = select(write, x, axis, np.minimum(low + 1, before - 1).astype(int).tolist())
    along = [-1 if index == axis else 1 for index in range(len(shape_of(node.outputs[0])))]
    weight = (at - low).reshape(along)
    return write(
        "Add",
        write("Mul", left, write.constant((1 - weight).astype(np.float32))),
        write("Mul", right, write.constant(weight.astype(np.float32))),
    )


def _text(node: ir.Node, name: str, default: str) -> str:
    return node.attributes[name].as_string() if name in node.attributes else default


def _transform(node: ir.Node) -> str:
    return _text(node, "coordinate_transformation_mode", "half_pixel")


def _half_pixel(x: Positions, scale: Number, before: Number, after: Number) -> Positions:  # noqa: ARG001 one signature
    return (x + 0.5) / scale - 0.5


def _symmetric(x: Positions, scale: Number, before: Number, after: Number) -> Positions:
    adjusted = after / (scale * before)  # how much the size was rounded
    return before / 2 * (1 - adjusted) + (x + 0.5) / scale - 0.5


def _pytorch(x: Positions, scale: Number, before: Number, after: Number) -> Positions:
    return _half_pixel(x, scale, before, after) if after > 1 else np.zeros_like(x)


def _corners(x: Positions, scale: Number, before: Number, after: Number) -> Positions:  # noqa: ARG001 one signature
    return x * (before - 1) / (after - 1) if after > 1 else np.zeros_like(x)


def _asymmetric(x: Positions, scale: Number, before: Number, after: Number) -> Positions:  # noqa: ARG001 one signature
    return x / scale


_TRANSFORMS: Mapping[str, Callable[[Positions, Number, Number, Number], Positions]] = {
    "half_pixel": _half_pixel,
    "half_pixel_symmetric": _symmetric,
    "pytorch_half_pixel": _pytorch,
    "align_corners": _corners,
    "asymmetric": _asymmetric,
}
_ROUNDINGS: Mapping[str, Callable[[Positions], Positions]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}
