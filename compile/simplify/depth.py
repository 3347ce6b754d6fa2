"""Moving between channels and space, and Transposes with as few axes as they need."""

from __future__ import annotations

import math

import onnx_ir as ir

from compile.model import operand, shape_of
from compile.simplify.edit import Writer, integer, ints
from compile.simplify.outcome import Outcome

_MOST_AXES = 5  # Core ML's tensors and TFLite's kernels have no more


def plain_depth(model: ir.Model) -> Outcome:
    """Given ``DepthToSpace`` or ``SpaceToDepth``, write a Reshape, a Transpose and a Reshape."""
    rewrites = []
    for node in list(model.graph):
        if node.op_type not in ("DepthToSpace", "SpaceToDepth"):
            continue
        write, size = Writer(model.graph, node), integer(node, "blocksize", 1)
        batch, channels, height, width = shape_of(operand(node))
        mode = node.attributes["mode"].as_string() if "mode" in node.attributes else "DCR"
        if node.op_type == "SpaceToDepth":
            view, perm = (batch, channels, height // size, size, width // size, size), (0, 3, 5, 1, 2, 4)
        elif mode == "CRD":
            view, perm = (batch, channels // size**2, size, size, height, width), (0, 1, 4, 2, 5, 3)
        else:
            view, perm = (batch, size, size, channels // size**2, height, width), (0, 3, 4, 1, 5, 2)
        turned = write("Transpose", write("Reshape", operand(node), write.integers(view)), perm=list(perm))
        write.replace(write("Reshape", turned, write.integers(shape_of(node.outputs[0]))))
        rewrites.append(f"{node.op_type} '{node.name}' became a Transpose between Reshapes")
    return Outcome(tuple(rewrites))


def narrow_transposes(model: ir.Model) -> Outcome:
    """Given a ``Transpose`` of more than five axes, join those that stay side by side and leave out those of size 1.

    Does nothing to smaller ones, whose Reshapes would only be in the way.
    """
    rewrites = []
    for node in list(model.graph):
        if node.op_type != "Transpose" or len(shape_of(operand(node))) <= _MOST_AXES:
            continue
        shape = shape_of(operand(node))
        perm = [axis for axis in ints(node, "perm", range(len(shape))[::-1]) if shape[axis] > 1]
        kept = sorted(perm)
        groups: list[list[int]] = []  # in the order of the output
        for axis in perm:
            follows = bool(groups) and kept.index(axis) == kept.index(groups[-1][-1]) + 1
            if follows:
                groups[-1].append(axis)
            else:
                groups.append([axis])
        before = sorted(groups)
        write = Writer(model.graph, node)
        sizes = [math.prod(shape[axis] for axis in group) for group in before]
        joined = write("Reshape", operand(node), write.integers(sizes or [1]))
        turned = write("Transpose", joined, perm=[before.index(group) for group in groups] or [0])
        write.replace(write("Reshape", turned, write.integers(shape_of(node.outputs[0]))))
        rewrites.append(f"Transpose '{node.name}' of {len(shape)} axes moves {len(groups)}")
    return Outcome(tuple(rewrites))
