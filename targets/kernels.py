"""The hub graph as a runtime's kernels see it.

Given a graph in the hub dialect (``docs/hub.md``), float or with Q/DQ pairs, :func:`read` returns tensors that
carry their own quantisation and kernels that consume them: the Q and DQ nodes around a ``w8a8`` node are gone,
absorbed into the types of its inputs and output. What remains explicit are the true conversions: a Q that
quantises a float value, a DQ that a float consumer reads, and the DQ of a ``w8`` weight. The Cast of a ``float16``
weight counts as a DQ, of a tensor without parameters. A ``w8-dynamic`` product reads a float activation and an
int8 weight, and writes float: quantising the activation is its own affair.

Nothing is decided here; the schemes are read off the graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from compile.errors import Bug
from compile.model import Model, constant, operand, shape_of, source_of
from targets.stream import KEY, Stream


@dataclass(frozen=True)
class Quantization:
    """``real = scale * (integer - zero_point)``.

    Attributes:
        scale: float32 ``[1]`` (per tensor) or ``[channels]``.
        zero_point: int64 of the same length.
        axis: the channel axis of the tensor; None for per tensor.
    """

    scale: NDArray[np.float32]
    zero_point: NDArray[np.int64]
    axis: int | None


@dataclass(frozen=True)
class Tensor:
    """A value: activation (``data`` is None) or constant. ``shape`` is in ONNX's axis order."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    quantization: Quantization | None = None
    data: NDArray[np.generic] | None = None


@dataclass(frozen=True)
class Kernel:
    """One operation on tensors, by name.

    Attributes:
        operator: the hub operator; ``QuantizeLinear`` and ``DequantizeLinear`` are true conversions here.
        inputs: tensor names; Q/DQ parameters are not inputs, they belong to the tensors' types.
        output: the tensor it writes.
        attributes: as in the hub dialect; INTS as tuples of int.
        activation: ``Relu`` or ``Relu6`` (a Clip to [0, 6]) where one is fused into it; else empty.
        node: the graph node it came from, for messages.
        source: the module of the original network, for messages.
    """

    operator: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    activation: str = ""
    node: str = ""
    source: str = ""


@dataclass(frozen=True)
class Program:
    """Tensors by name and the kernels in execution order.

    ``states`` are the outputs that are given back as inputs with the next hop: output -> input.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    tensors: Mapping[str, Tensor]
    kernels: tuple[Kernel, ...]
    states: Mapping[str, str] = field(default_factory=dict)


def read(model: Model) -> Program:
    """Translate a hub graph into a :class:`Program`; float graphs work too.

    A ``Relu``, or ``Clip`` to [0, 6], that alone consumes the output of a Conv, Gemm or Add is fused into it in float
    and in int8 alike.
    """
    program = _Reader(model.ir.graph).read()
    if KEY not in model.metadata:
        return program
    stream = Stream.from_metadata(model.metadata, "graph")
    return replace(program, states={state.output: state.input for state in stream.states})


# An activation right behind them is part of their kernel: no integers exist in between.
FUSES_RELU = ("Conv", "Gemm", "Add")
# Their integer kernels move bytes: what leaves has the parameters of what enters.
MOVES = ("Reshape", "Transpose", "Slice", "Gather", "Expand", "Concat", "Pad", "MaxPool")
# Whatever else stands between a DQ and a Q computes in float, and both are true conversions.
HAS_INTEGERS = (
    *("Conv", "ConvTranspose", "Gemm", "Relu", "LeakyRelu", "Sigmoid", "Tanh", "Add", "Mul"),
    *("AveragePool", "GlobalAveragePool", *MOVES),
)
# Those of bounded functions are built for one output scale and zero point.
_FIXED = {
    "Sigmoid": (np.array([1 / 256], np.float32).tobytes(), np.array([-128], np.int64).tobytes()),
    "Tanh": (np.array([1 / 128], np.float32).tobytes(), np.array([0], np.int64).tobytes()),
}


class _Reader:
    """The state of one reading; ``alias`` maps a graph value to the tensor that stands for it."""

    def __init__(self, graph: ir.Graph) -> None:
        self.graph = graph
        self.tensors: dict[str, Tensor] = {}
        self.kernels: list[Kernel] = []
        self.alias: dict[ir.Value, str] = {}
        self.dequantized: dict[ir.Value, str] = {}  # output of a DQ -> the integer tensor it stands for
        self.dynamic: dict[ir.Value, ir.Value] = {}  # what a DynamicQuantizeLinear wrote, or its DQ -> what it read
        self.stored: dict[tuple[Any, ...], str] = {}  # an integer constant and its parameters -> its tensor
        self.done: set[ir.Node] = set()

    def read(self) -> Program:
        for value in self.graph.inputs:
            self.enter(value)
        for node in self.graph:
            if node not in self.done:
                self.visit(node)
        outputs = tuple(self.as_float(value) for value in self.graph.outputs)
        return Program(
            inputs=tuple(self.alias[value] for value in self.graph.inputs),
            outputs=outputs,
            tensors=dict(self.tensors),
            kernels=tuple(self.kernels),
        )

    def enter(self, value: ir.Value) -> None:
        """A graph input; that of an integer state has the parameters of the DQ that reads it."""
        reader = next((usage.node for usage in value.uses() if usage.node.op_type == "DequantizeLinear"), None)
        self.activation(value, None if reader is None else _quantization(reader))

    def visit(self, node: ir.Node) -> None:
        if node.op_type == "DynamicQuantizeLinear":
            self.dynamic[node.outputs[0]] = operand(node, 0)
            return
        if node.op_type == "DequantizeLinear":
            if node.inputs[0] in self.dynamic:
                self.dynamic[node.outputs[0]] = self.dynamic[operand(node, 0)]
            else:
                self.dequantized[node.outputs[0]] = self.integer(node)
            return
        if node.op_type == "Cast" and node.inputs[0] is not None and node.inputs[0].const_value is not None:
            narrow = self.constant_tensor(node.inputs[0])
            self.emit(node, "DequantizeLinear", (narrow,), self.activation(node.outputs[0]))
            return
        if node.op_type == "QuantizeLinear":
            source = operand(node, 0)
            output = self.quantized(node)
            self.emit(node, "QuantizeLinear", (self.as_float(source),), output)
            return
        last, follower = self.with_activation(node)
        leaves = _only_consumer(last, "QuantizeLinear", self.graph)
        operands = _operands(node)
        quantised = [value in self.dequantized for value in operands if self.is_real(node, value)]
        if leaves is not None and quantised and all(quantised) and self.fits(node, leaves):
            inputs = tuple(self.dequantized.get(value) or self.constant_tensor(value) for value in operands)
            output = self.quantized(leaves)
            self.done.add(leaves)
        elif operands[0] in self.dynamic:
            data, weight, *bias = operands
            inputs = (self.as_float(self.dynamic[data]), self.dequantized[weight], *map(self.as_float, bias))
            output = self.activation(last)
        else:
            inputs = tuple(self.as_float(value) for value in operands)
            output = self.activation(last)
        if follower is not None:
            self.done.add(follower)
        self.emit(node, node.op_type, inputs, output, activation(follower) if follower is not None else "")

    def with_activation(self, node: ir.Node) -> tuple[ir.Value, ir.Node | None]:
        """The value that leaves ``node``, past an activation that it can absorb, and that activation's node."""
        value = node.outputs[0]
        users = [usage.node for usage in value.uses()]
        if node.op_type not in FUSES_RELU or len(users) != 1 or value in self.graph.outputs or not activation(users[0]):
            return value, None
        return users[0].outputs[0], users[0]

    def is_real(self, node: ir.Node, value: ir.Value) -> bool:
        """Whether an integer kernel must have this operand as integers.

        Activations, weights, biases and constant operands it must; shapes, axes and the value of a Pad not. So a
        float or ``w8`` node between integer ones, known by its float weight or bias, is not taken for one of them.
        """
        if value in self.dequantized or value.const_value is None:
            return True
        return value.const_value.dtype == ir.DataType.FLOAT and node.op_type != "Pad"

    def fits(self, node: ir.Node, leaves: ir.Node) -> bool:
        """Whether an integer kernel can write what ``leaves`` asks for.

        Few operators have one. One that moves bytes keeps the parameters of what it reads, one of a bounded function
        has its own. Elsewhere a Q behind such a node is a true conversion: the node computes in float, between the DQ
        and the Q.
        """
        wanted = _parameters(_quantization(leaves))
        if node.op_type not in HAS_INTEGERS:
            return False
        if node.op_type in _FIXED:
            return wanted == _FIXED[node.op_type]
        if node.op_type not in MOVES:
            return True
        read = [
            self.tensors[self.dequantized[value]].quantization for value in node.inputs if value in self.dequantized
        ]
        return all(parameters is not None and _parameters(parameters) == wanted for parameters in read)

    def as_float(self, value: ir.Value) -> str:
        """The float tensor for ``value``, dequantising explicitly where it exists only as integers."""
        if value in self.alias:
            return self.alias[value]
        if value in self.dequantized:
            producer = value.producer()
            if producer is None:
                raise Bug(f"dequantised value '{value.name}' has no producer")
            name = self.activation(value)
            self.emit(producer, "DequantizeLinear", (self.dequantized[value],), name)
            return name
        return self.constant_tensor(value)

    def activation(self, value: ir.Value, parameters: Quantization | None = None) -> str:
        return self.add(value, Tensor(_name(value), shape_of(value), _dtype(value), parameters))

    def constant_tensor(self, value: ir.Value) -> str:
        if value in self.alias:
            return self.alias[value]
        data = constant(value)
        if data is None:
            raise Bug(f"value '{value.name}' is neither computed nor constant")
        return self.add(value, Tensor(_name(value), tuple(data.shape), data.dtype, None, data))

    def quantized(self, node: ir.Node) -> str:
        """The integer tensor that a Q node writes."""
        return self.activation(node.outputs[0], _quantization(node))

    def integer(self, node: ir.Node) -> str:
        """The integer tensor that a DQ node reads: one that a Q wrote, or a constant."""
        value, data = operand(node, 0), constant(node.inputs[0])
        if data is None:
            if value not in self.alias:
                raise Bug(f"DequantizeLinear '{node.name}' reads '{value.name}', which no QuantizeLinear wrote")
            return self.alias[value]
        # Equal integers are stored once, but under other parameters they are other numbers.
        parameters = _quantization(node)
        free = f"{_name(node.outputs[0])}.int" if value in self.alias else _name(value)
        name = self.stored.setdefault((value, *_parameters(parameters)), free)
        self.alias[value] = name
        self.tensors[name] = Tensor(name, tuple(data.shape), data.dtype, parameters, data)
        return name

    def add(self, value: ir.Value, tensor: Tensor) -> str:
        self.alias[value] = tensor.name
        self.tensors[tensor.name] = tensor
        return tensor.name

    def emit(self, node: ir.Node, operator: str, inputs: tuple[str, ...], output: str, activation: str = "") -> None:
        attributes = {name: _plain(attribute.value) for name, attribute in node.attributes.items()}
        self.kernels.append(Kernel(operator, inputs, output, attributes, activation, node.name or "", source_of(node)))


def activation(node: ir.Node) -> str:
    """``Relu`` or ``Relu6`` when the node is one that a kernel can absorb; else empty."""
    if node.op_type == "Clip" and len(node.inputs) == 3:
        bounds = [bound.item() for value in node.inputs[1:] if (bound := constant(value)) is not None]
        return "Relu6" if bounds == [0, 6] else ""
    return "Relu" if node.op_type == "Relu" else ""


def _operands(node: ir.Node) -> tuple[ir.Value, ...]:
    return tuple(value for value in node.inputs if value is not None)


def _only_consumer(value: ir.Value, operator: str, graph: ir.Graph) -> ir.Node | None:
    """The single consumer of ``value`` if it is an ``operator`` and the graph does not also output ``value``."""
    consumers = [usage.node for usage in value.uses()]
    if len(consumers) == 1 and consumers[0].op_type == operator and value not in graph.outputs:
        return consumers[0]
    return None


def _quantization(node: ir.Node) -> Quantization:
    scale = constant(node.inputs[1])
    if scale is None:
        raise Bug(f"node '{node.name}' has a scale that is not constant")
    zero = constant(node.inputs[2]) if len(node.inputs) > 2 else None
    flat = np.atleast_1d(np.asarray(scale, np.float32))
    zeros = np.zeros(flat.shape, np.int64) if zero is None else np.atleast_1d(zero).astype(np.int64)
    axis = node.attributes["axis"].as_int() if scale.ndim and "axis" in node.attributes else None
    return Quantization(flat, zeros, axis)


def _parameters(quantization: Quantization) -> tuple[bytes, bytes]:
    return quantization.scale.tobytes(), quantization.zero_point.tobytes()


def _name(value: ir.Value) -> str:
    if not value.name:
        raise Bug("a graph value has no name")
    return value.name


def _dtype(value: ir.Value) -> np.dtype[Any]:
    if value.dtype is None:
        raise Bug(f"value '{value.name}' has no type")
    return np.dtype(value.dtype.numpy())


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else value
