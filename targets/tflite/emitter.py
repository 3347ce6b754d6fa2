"""The growing TFLite graph, and where each ONNX tensor lies in it.

Transposition is lazy: an operator asks for its input in the order it needs (:meth:`Emitter.take`), and only when the
memory really differs does a TRANSPOSE appear; where merely unit dimensions differ, a RESHAPE.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compile.errors import Bug, UnsupportedNode
from targets.kernels import Kernel, Program, Quantization, Tensor
from targets.tflite.layout import (
    Dim,
    Layout,
    bare,
    boundaries,
    canonical,
    cut,
    gather,
    order_of,
    ordered,
    row_major,
    sizes,
)
from targets.tflite.writer import Operator, Spec, little_endian

MAX_RANK = 6
FUSED = {"": 0, "Relu": 1, "Relu6": 3}
"""TFLite's codes of the activations that a kernel absorbs."""
Permute = Callable[[NDArray[np.generic]], NDArray[np.generic]]


@dataclass(frozen=True)
class Place:
    """A tensor of the file and how it holds an ONNX tensor."""

    index: int
    layout: Layout


class Emitter:
    """The state of one lowering."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.tensors: list[Spec] = []
        self.operators: list[Operator] = []
        self.places: dict[str, Place] = {}
        self.dequantized: dict[str, str] = {}  # a float constant that is a DEQUANTIZE of an int8 one
        self.constants: dict[tuple[Any, ...], int] = {}
        self.moved: dict[tuple[int, Layout, Layout], Place] = {}  # what was transposed before, from and to
        self.views: dict[tuple[int, tuple[int, ...]], int] = {}  # what was reshaped before

    def enter(self, name: str, layout: Layout) -> int:
        """A graph input, laid out as given."""
        tensor = self.hub(name)
        index = self.tensor(Spec(sizes(layout), tensor.dtype, tensor.quantization, name=name))
        self.places[name] = Place(index, layout)
        return index

    # What an operator reads.

    def hub(self, name: str) -> Tensor:
        """The ONNX side of a tensor."""
        return self.program.tensors[name]

    def is_constant(self, name: str) -> bool:
        """Whether its data are known now."""
        return name in self.dequantized or self.hub(name).data is not None

    def value(self, name: str) -> NDArray[np.generic]:
        """The data of a constant."""
        data = self.hub(name).data
        if data is None:
            raise Bug(f"'{name}' should be constant")
        return data

    def scalar(self, name: str) -> float:
        """The real value of a constant of one element."""
        source = self.dequantized.get(name, name)
        value, parameters = float(self.value(source).reshape(())), self.hub(source).quantization
        if parameters is None:
            return value
        return float(parameters.scale[0]) * (value - float(parameters.zero_point[0]))

    def leader(self, names: Sequence[str]) -> str:
        """The largest activation among the inputs of an operator: the one that is not to be moved."""
        activations = [name for name in names if not self.is_constant(name)]
        return max(activations, key=lambda name: prod(self.hub(name).shape))

    def quantization(self, name: str) -> Quantization:
        """The parameters of a tensor that must have them."""
        parameters = self.hub(name).quantization
        if parameters is None:
            raise Bug(f"'{name}' should be quantised")
        return parameters

    def version(self, name: str) -> int:
        """1 for a float tensor, 2 for an int8 one: what most operators count their versions by."""
        return 1 if self.hub(name).quantization is None else 2

    def version_at(self, index: int) -> int:
        """As :meth:`version`, for a tensor of the file."""
        return 1 if self.tensors[index].quantization is None else 2

    def order(self, name: str) -> tuple[int, ...]:
        """The order of an activation's axes as it lies, which costs nothing; ONNX's where an axis is in pieces."""
        shape = self.hub(name).shape
        return order_of(shape, self.places[name].layout) or tuple(range(len(shape)))

    def take(self, name: str, order: Sequence[int]) -> int:
        """The tensor in a given order of its axes (UNIT for inserted dimensions), moved only where it must be."""
        shape = self.hub(name).shape
        layout = ordered(shape, order)
        if self.is_constant(name):
            axes = [axis for axis in order if axis >= 0]
            return self.constant(name, lambda data: data.transpose(axes).reshape(sizes(layout)))
        return self.laid_out(name, layout)

    def fit(self, name: str, layout: Layout) -> int:
        """An operand of an element-wise operator on ``layout``: of the same shape, or of one element."""
        if prod(self.hub(name).shape) == 1:
            one = (1,) * min(1, len(layout))  # never of a higher rank than the layout, which would raise the result's
            if self.is_constant(name):
                return self.constant(name, lambda data: data.reshape(one))
            index = self.places[name].index
            return index if len(self.tensors[index].shape) <= len(layout) else self.reshaped(index, one)
        if self.is_constant(name):
            return self.constant(name, lambda data: data.reshape(-1)[gather(layout)].reshape(sizes(layout)))
        return self.laid_out(name, layout)

    def laid_out(self, name: str, layout: Layout) -> int:
        """The activation in a given layout."""
        place = self.places[name]
        present, wanted = canonical(place.layout), canonical(layout)
        if present != wanted:
            before, key = place, (place.index, present, wanted)
            place = self.moved[key] if key in self.moved else self.transpose(name, place, layout)
            self.moved[key], self.moved[place.index, wanted, present] = place, before
            self.places[name] = place  # whoever comes next likely wants the same
        return self.reshaped(place.index, sizes(layout))

    def reshaped(self, index: int, shape: tuple[int, ...]) -> int:
        """The same memory with other dimensions."""
        if self.tensors[index].shape == shape:
            return index
        if (index, shape) not in self.views:
            self.views[index, shape] = self.tensor(self.like(index, shape))
            self.emit("RESHAPE", 1, (index,), self.views[index, shape], "ReshapeOptions", NewShape=shape)
        return self.views[index, shape]

    def transpose(self, name: str, place: Place, layout: Layout) -> Place:
        """``layout``'s memory by TRANSPOSE; by way of row-major where the two divide the axes unevenly."""
        for simplify in (bare, canonical):  # merged dimensions need a RESHAPE around them, but there are fewer
            wanted, present = simplify(layout), simplify(place.layout)
            pieces, target = cut(present, boundaries(wanted)), cut(wanted, boundaries(present))
            if pieces is not None and target is not None and len(pieces) <= MAX_RANK:
                break
        if pieces is None or target is None or set(pieces) != set(target):
            middle = row_major(self.hub(name).shape)
            return self.transpose(name, self.transpose(name, place, middle), layout)
        if pieces == target:
            return place
        # Where no dimension has to be cut, unit dimensions travel along, which saves a RESHAPE.
        goal = layout if bare(layout) == target and len(layout) <= MAX_RANK else target
        source = place.layout
        if bare(source) != pieces or len(source) != len(goal):
            source = (*[Dim(1, 1)] * (len(goal) - len(pieces)), *pieces)
        if len(goal) > MAX_RANK:
            reason = f"its elements would move along {len(goal)} dimensions at once, TFLite has {MAX_RANK}"
            raise UnsupportedNode("Transpose", name, reason, stage="the TFLite target")
        units = iter(at for at, dim in enumerate(source) if dim.size == 1)
        place_of = {(dim.size, dim.stride): at for at, dim in enumerate(source)}
        perm = [next(units) if dim.size == 1 else place_of[dim.size, dim.stride] for dim in goal]
        inputs = (self.reshaped(place.index, sizes(source)), self.literal(np.array(perm, np.int32)))
        index = self.activation(name, goal)
        simple = 3 if self.hub(name).dtype == np.bool_ else self.version(name)
        version = {5: 4, 6: 6}.get(len(goal), simple)
        self.emit("TRANSPOSE", version, inputs, index, "TransposeOptions")
        return Place(index, goal)

    # What an operator writes.

    def activation(self, name: str, layout: Layout) -> int:
        """A new tensor of the type of ``name``, laid out as given."""
        tensor = self.hub(name)
        return self.tensor(Spec(sizes(layout), tensor.dtype, tensor.quantization))

    def result(self, name: str, layout: Layout) -> int:
        """The tensor that will hold ``name`` from now on."""
        index = self.activation(name, layout)
        self.places[name] = Place(index, layout)
        return index

    def constant(self, name: str, permute: Permute, axis: int = 0) -> int:
        """A constant as ``permute`` lays it out; ``axis`` is then its channel axis, where it has one."""
        source = self.dequantized.get(name, name)
        tensor, data = self.hub(source), permute(self.value(source))
        parameters = tensor.quantization
        if parameters is not None and parameters.axis is not None:
            channels = data.shape[axis]  # of a grouped transposed convolution: each group has the same scales
            parameters = Quantization(np.resize(parameters.scale, channels), np.zeros(channels, np.int64), axis)
        index = self.literal(np.ascontiguousarray(data), parameters)
        if source == name:
            return index
        key = ("DEQUANTIZE", index)
        if key not in self.constants:
            version = 3 if parameters is None else 2 if parameters.axis is None else 5  # of float16; int8 otherwise
            self.constants[key] = self.tensor(Spec(data.shape, np.dtype(np.float32)))
            self.emit("DEQUANTIZE", version, (index,), self.constants[key])
        return self.constants[key]

    def literal(self, data: NDArray[np.generic], parameters: Quantization | None = None) -> int:
        """A constant tensor; equal ones are one."""
        key: tuple[Any, ...] = (data.dtype.str, data.shape, little_endian(data))
        if parameters is not None:
            key += (parameters.scale.tobytes(), parameters.zero_point.tobytes(), parameters.axis)
        if key not in self.constants:
            self.constants[key] = self.tensor(Spec(data.shape, data.dtype, parameters, data))
        return self.constants[key]

    def output(self, name: str, order: Sequence[int] | None = None) -> int:
        """The tensor of a graph output under its name, neither an input nor another output; else in ONNX's order."""
        shape = self.hub(name).shape
        order = range(len(shape)) if order is None else order
        source = self.take(name, tuple(order))
        produced = any(source in operator.outputs for operator in self.operators)
        if not produced or self.tensors[source].name or source in self.constants.values():
            copy = self.tensor(self.like(source, self.tensors[source].shape))
            self.emit("RESHAPE", 1, (source,), copy, "ReshapeOptions", NewShape=self.tensors[source].shape)
            source = copy
        self.tensors[source] = replace(self.tensors[source], name=name)
        return source

    def like(self, index: int, shape: tuple[int, ...]) -> Spec:
        """An activation of the type of tensor ``index`` and another shape."""
        return Spec(shape, self.tensors[index].dtype, self.tensors[index].quantization)

    def tensor(self, spec: Spec) -> int:
        """A new tensor of the file."""
        self.tensors.append(spec)
        return len(self.tensors) - 1

    def emit(
        self, code: str, version: int, inputs: Sequence[int], output: int, options: str = "", **fields: Any
    ) -> None:
        """A new operator of the file, after all that came before."""
        self.operators.append(Operator(code, version, tuple(inputs), (output,), options, fields))


def refuse(kernel: Kernel, reason: str) -> UnsupportedNode:
    """The error for a node that the TFLite target cannot honour."""
    return UnsupportedNode(kernel.operator, kernel.node, reason, source=kernel.source, stage="the TFLite target")
