"""What a product costs under each scheme: bytes in the file and, roughly, time. A model, so that plans repeat.

The times are those of one thread on x86 with VNNI, fitted to LiteRT's and onnxruntime's convolutions and products of a
speech student (``python -m bench.latency``); other machines differ in the unit, much less in the proportions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from compile.model import operand, shape_of
from compile.quantize.scheme import WEIGHTED, Scheme

# Picoseconds.
INTEGER, FLOAT = 5.0, 25.0  # a multiplication
READ = 20.0  # a byte of weights
CONVERT = 200.0  # an activation that is quantised at run time
BLOCK = 8  # channels that integer kernels take at a time: a waveform's single one costs as much

_WIDTH = {Scheme.W8A8: 1, Scheme.W8_DYNAMIC: 1, Scheme.W8: 1, Scheme.FLOAT16: 2, Scheme.FLOAT: 4}
_SCALES = {Scheme.W8A8: 8, Scheme.W8_DYNAMIC: 4, Scheme.W8: 4, Scheme.FLOAT16: 0, Scheme.FLOAT: 0}  # a channel
SIZE_COUNTS = 10.0  # times as much as time: one percent of bytes is worth ten of time


@dataclass(frozen=True)
class Cost:
    """Of a node, or of a change: bytes in the file, time, and bytes of weights that are widened in memory."""

    bytes: int
    microseconds: float
    memory: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.bytes + other.bytes, self.microseconds + other.microseconds, self.memory + other.memory)

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.bytes - other.bytes, self.microseconds - other.microseconds, self.memory - other.memory)

    def share(self, whole: Cost) -> float:
        """Of a whole network's cost, bytes, memory and time weighed into one number."""
        size = SIZE_COUNTS * self.bytes + self.memory
        return size / max(whole.bytes, 1) + self.microseconds / max(whole.microseconds, 1e-9)


NOTHING = Cost(0, 0.0)


def cost(node: ir.Node, scheme: Scheme) -> Cost:
    """Weights, scales and time of a product; nothing for other nodes, which cost little under any scheme."""
    if node.op_type not in WEIGHTED:
        return NOTHING
    weight, source, result = shape_of(operand(node, 1)), shape_of(operand(node)), shape_of(node.outputs[0])
    count, channels = int(np.prod(weight)), result[1]
    positions = source if node.op_type == "ConvTranspose" else result
    products = count * positions[0] * int(np.prod(positions[2:]))
    integer = scheme in (Scheme.W8A8, Scheme.W8_DYNAMIC)
    if integer:
        depth = weight[1]  # channels that are summed up
        products = products * -(-depth // BLOCK) * BLOCK // depth
    time = products * (INTEGER if integer else FLOAT) + READ * count * (1 if integer else 4)
    if scheme == Scheme.W8_DYNAMIC:
        time += CONVERT * int(np.prod(source))
    widened = 4 * count if scheme in (Scheme.W8, Scheme.FLOAT16) else 0
    return Cost(count * _WIDTH[scheme] + channels * _SCALES[scheme], time / 1e6, widened)
