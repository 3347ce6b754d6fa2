"""The states of a stream, as ports of float32 or, from iOS 18 on, as Core ML's own.

Core ML keeps states in float16 only, and makes them of zeros. So a state of the graph lies there as

=================================  =====================================================================================
what the program computes with     what Core ML keeps
=================================  =====================================================================================
float16                            the numbers
float32                            two rows: the numbers rounded to float16, and 2048 times what that left out;
                                   together, the numbers or their neighbours in float32
int8 activations                   the integers less their zero point, which float16 holds exactly
=================================  =====================================================================================

2048 keeps the second row as large as the first, for hardware may take the smallest float16 numbers for 0. Should a
compiler drop the rounding to float16 and back, the second row is 0, and the first one is still right. Where
calibration saw numbers that are too large for float16, or none that is not small, a power of 2 brings the largest to
256; what is out of reach even so is clipped, so that it does no harm beyond its own place.

A row is as long as all elements together, filled up to a multiple of 32: the Neural Engine lays out the last axis in 64
bytes, and is reported to refuse a state where that is not so (issue 2631 of coremltools).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from compile.errors import Bug
from compile.model import PEAK, Model, constant, shape_of
from targets.coreml.precision import HIGHEST
from targets.stream import KEY, Stream

_ROW = 32  # elements; 64 bytes
_LEFT_OUT = 2048.0  # 2**11: rounding to 11 bits leaves out at most so small a part
_LARGEST = 65504.0  # of float16
_SMALL, _MIDDLE = 2.0**-4, 2.0**8


@dataclass(frozen=True)
class Buffer:
    """How Core ML keeps one state.

    Attributes:
        name: of the state, and of the graph's input that it stands for.
        value: the shape of what the program reads and writes.
        precision: in which the program has the value.
        halves: rows that it is kept in.
        unit: what 1 means in the first row.
    """

    name: str
    value: tuple[int, ...]
    precision: str
    halves: int
    unit: float = 1.0

    @property
    def shape(self) -> tuple[int, int]:
        """Of what Core ML keeps, in float16."""
        return self.halves, -(-math.prod(self.value) // _ROW) * _ROW

    def read(self, builder: Any, state: Any) -> Any:
        """The value, in its precision and shape."""
        found = builder.read_state(input=state)
        if self.precision == "float32":
            found = builder.cast(x=found, dtype="fp32")
        if self.halves == 2:
            units = np.array([[self.unit], [self.unit / _LEFT_OUT]], np.float32)
            found = builder.reduce_sum(x=builder.mul(x=found, y=units), axes=[0], keep_dims=True)
        elif self.unit != 1:
            found = builder.mul(x=found, y=np.float32(self.unit))
        size = math.prod(self.value)
        if size < self.shape[1]:
            found = builder.slice_by_size(x=found, begin=[0, 0], size=[1, size])
        return builder.reshape(x=found, shape=list(self.value))

    def write(self, builder: Any, state: Any, value: Any) -> None:
        """Keep a value of its precision and shape."""
        size = math.prod(self.value)
        row = builder.reshape(x=value, shape=[1, size])
        if size < self.shape[1]:
            nothing = np.dtype(self.precision).type(0)
            row = builder.pad(x=row, pad=[0, self.shape[1] - size], mode="constant", constant_val=nothing)
        if self.unit != 1:
            row = builder.real_div(x=row, y=np.float32(self.unit))
        if self.halves == 2:
            row = builder.clip(x=row, alpha=np.float32(-_LARGEST), beta=np.float32(_LARGEST))
            rounded = builder.cast(x=row, dtype="fp16")
            left = builder.sub(x=row, y=builder.cast(x=rounded, dtype="fp32"))
            left = builder.mul(x=left, y=np.float32(_LEFT_OUT))
            row = builder.concat(values=[rounded, builder.cast(x=left, dtype="fp16")], axis=0)
        elif self.precision == "float32":
            row = builder.cast(x=row, dtype="fp16")
        builder.coreml_update_state(state=state, value=row)


def real(model: Model) -> tuple[Model, dict[str, float]]:
    """The model with int8 states as the numbers that they mean, and the scale of each such state by name.

    Nothing is lost: what leaves comes from a DQ and only moved since, and its Q would find it on its own grid.
    """
    scales: dict[str, float] = {}
    if KEY not in model.metadata:
        return model, scales
    own = model.clone()
    graph = own.ir.graph
    for value in graph.inputs:
        if value.dtype == ir.DataType.INT8:
            for usage in list(value.uses()):
                scale = constant(usage.node.inputs[1])
                if usage.node.op_type != "DequantizeLinear" or scale is None:
                    raise Bug(f"integers of state '{value.name}' are read as such")
                scales[value.name or ""] = float(scale)
                ir.convenience.replace_all_uses_with(usage.node.outputs[0], value)
                graph.remove(usage.node, safe=True)
            value.type = ir.TensorType(ir.DataType.FLOAT)
    for index, value in enumerate(graph.outputs):
        quantize = value.producer()
        if value.dtype == ir.DataType.INT8 and quantize is not None and quantize.inputs[0] is not None:
            left = graph.outputs[index] = quantize.inputs[0]
            graph.remove(quantize)
            left.name = value.name
    own.ir.metadata_props.update(Stream.from_metadata(model.metadata, "graph").real().to_metadata())
    return own, scales


def ends(model: Model) -> dict[ir.Value, ir.Value]:
    """The graph's inputs that are states, and the output that each is given with the next hop; empty for windows."""
    if KEY not in model.metadata:
        return {}
    ports = {value.name: value for value in (*model.ir.graph.inputs, *model.ir.graph.outputs)}
    stream = Stream.from_metadata(model.metadata, "graph")
    return {ports[state.input]: ports[state.output] for state in stream.states}


def buffer(state: ir.Value, output: ir.Value, precision: str, scale: float | None) -> Buffer:
    """How Core ML keeps a state.

    Args:
        state: the graph's input.
        output: what is given with the next hop.
        precision: in which the program computes that.
        scale: of a state that is int8.
    """
    if scale is not None:
        halves, unit = 1, scale
    elif precision == "float16":
        halves, unit = 1, 1.0
    else:
        halves, unit = 2, _unit(max(state.meta.get(PEAK, 0.0), output.meta.get(PEAK, 0.0)))
    return Buffer(state.name or "", shape_of(state), precision, halves, unit)


def _unit(peak: float) -> float:
    """The power of 2 that brings numbers up to ``peak`` to where two rows hold them and much smaller ones, too."""
    if peak == 0 or _SMALL <= peak <= HIGHEST:
        return 1.0
    return 2.0 ** math.ceil(math.log2(peak)) / _MIDDLE
