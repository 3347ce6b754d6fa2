"""What moves, repeats or interpolates elements, as MIL operations."""

from __future__ import annotations

from typing import Any

from compile.model import shape_of
from targets.coreml.operands import Operands, interleaved


def concat(builder: Any, node: Operands) -> Any:
    """``concat``; constants among the inputs are fine."""
    return builder.concat(values=list(node.inputs), axis=int(node.attributes["axis"]))


def transpose(builder: Any, node: Operands) -> Any:
    """``transpose``."""
    return builder.transpose(x=node[0], perm=list(node.attributes["perm"]))


def pad(builder: Any, node: Operands) -> Any:
    """``pad`` with a constant."""
    pads = node.integers(1)
    if min(pads) < 0:
        raise node.refuse("Core ML cannot pad by a negative amount")
    value = node.real(0 if node[2] is None else node[2])
    return builder.pad(x=node[0], pad=interleaved(pads), mode="constant", constant_val=value)


def reshape(builder: Any, node: Operands) -> Any:
    """``reshape``, which knows no scalars."""
    shape = node.integers(1)
    if not shape:
        raise node.refuse("Core ML cannot reshape to a scalar; keep one axis of size 1")
    return builder.reshape(x=node[0], shape=shape)


def cut(builder: Any, node: Operands) -> Any:
    """``slice_by_size`` or, where it takes steps, ``slice_by_index``."""
    begin, end, stride = [0] * node[0].rank, list(node[0].shape), [1] * node[0].rank
    for first, last, axis, step in zip(*(node.integers(index) for index in (1, 2, 3, 4)), strict=True):
        begin[axis], end[axis], stride[axis] = first, last, step
    if all(step == 1 for step in stride):
        size = [last - first for first, last in zip(begin, end, strict=True)]
        return builder.slice_by_size(x=node[0], begin=begin, size=size)
    return builder.slice_by_index(x=node[0], begin=begin, end=end, stride=stride)


def gather(builder: Any, node: Operands) -> Any:
    """``gather`` by a constant vector."""
    return builder.gather(x=node[0], indices=node.integers(1), axis=int(node.attributes["axis"]))


def expand(builder: Any, node: Operands) -> Any:
    """``tile`` along the axes of size 1 that grow."""
    sizes = zip(node.integers(1), node[0].shape, strict=True)
    return builder.tile(x=node[0], reps=[target if size == 1 else 1 for target, size in sizes])


def resize(builder: Any, node: Operands) -> Any:
    """``resize_bilinear`` of the last two axes, one of them a unit axis where only one is spatial.

    ``UNALIGN_CORNERS`` samples where ONNX's ``half_pixel`` does, ``ALIGN_CORNERS`` like ``align_corners``, but for a
    result of size 1: Core ML takes the middle there, ONNX the first element, so that is cut out before.
    """
    x, (*_, height, width) = node[0], shape_of(node.node.outputs[0])
    rank = x.rank
    if rank not in (3, 4):
        raise node.refuse(f"its input has rank {rank}, Core ML interpolates along one or two axes")
    mode = {"half_pixel": "UNALIGN_CORNERS", "align_corners": "ALIGN_CORNERS"}
    target = (height, width)[4 - rank :]
    aligned = node.attributes["coordinate_transformation_mode"] == "align_corners"
    sizes = [1 if aligned and after == 1 else size for size, after in zip(x.shape[2:], target, strict=True)]
    if tuple(sizes) != tuple(x.shape[2:]):
        x = builder.slice_by_size(x=x, begin=[0] * rank, size=[*x.shape[:2], *sizes])
    if rank == 3:
        x, height = builder.reshape(x=x, shape=[*x.shape[:2], 1, x.shape[2]]), 1
    x = builder.resize_bilinear(
        x=x,
        target_size_height=height,
        target_size_width=width,
        sampling_mode=mode[node.attributes["coordinate_transformation_mode"]],
    )
    return builder.reshape(x=x, shape=[*x.shape[:2], width]) if rank == 3 else x
