"""What a translation is given: one hub node, and its inputs as Core ML knows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from compile.errors import UnsupportedNode
from compile.model import source_of

_STAGE = "the Core ML target"


@dataclass(frozen=True)
class Operands:
    """A node with its inputs as MIL values or, where constant, numpy arrays; None where an input is absent.

    ``precision`` is what the node computes in, ``float16`` or ``float32``; its float inputs have it already.
    """

    node: ir.Node
    inputs: Sequence[Any]
    attributes: Mapping[str, Any]
    precision: str = "float32"

    def __getitem__(self, index: int) -> Any:
        return self.inputs[index] if index < len(self.inputs) else None

    def integers(self, index: int) -> list[int]:
        """A constant int64 input as a list."""
        return [int(number) for number in np.atleast_1d(self.inputs[index])]

    def real(self, number: Any) -> Any:
        """A number as a scalar of the node's precision."""
        return np.dtype(self.precision).type(np.asarray(number).item())

    def refuse(self, reason: str) -> UnsupportedNode:
        """The error that names this node."""
        return UnsupportedNode(
            self.node.op_type, self.node.name or "", reason, source=source_of(self.node), stage=_STAGE
        )


def interleaved(pads: Sequence[int]) -> list[int]:
    """ONNX's begins then ends as MIL's begin and end of each axis."""
    half = len(pads) // 2
    return [int(pads[index]) for axis in range(half) for index in (axis, axis + half)]
