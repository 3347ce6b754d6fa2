"""A hub graph as a Core ML package: node by node, with coremltools' MIL builder, nothing decided.

========================  =========================================================================
the hub graph             the ML program
========================  =========================================================================
weight, int8 and DQ       ``constexpr_affine_dequantize``: int8 in the file, decompressed on loading
bias, int32 and DQ        a float32 constant: ``integer * scale``
activation, Q and DQ      ``quantize`` and ``dequantize``, which need iOS 17
everything else           the operation of the same meaning, in float32
========================  =========================================================================

The builder infers and checks the types; no graph pass runs, so what the package computes is what the hub graph says.
Two things that change no value are left out: the Q and DQ behind an operator that only moves elements, where they
repeat the parameters of the DQ before it; and a ``Relu`` whose Q clips at 0 anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from compile.errors import Bug, UnsupportedNode, UserError
from compile.model import Model, constant, shape_of, source_of
from targets.base import Artifact
from targets.coreml import toolbox
from targets.coreml.package import NAME, Ports, pack

_STAGE = "the Core ML target"
_MAX_RANK = 5
_MOVES = ("Reshape", "Transpose", "Slice")


def lower(model: Model) -> Artifact:
    """Translate a hub graph into the files of an ``.mlpackage``.

    Returns:
        Three files: the manifest, the ML program and its weights. Byte-identical for equal graphs. Inputs and
        outputs are float32 under their ONNX names. Needs iOS 16 / macOS 13, or 17 / 14 where activations are int8.

    Raises:
        UnsupportedNode: Core ML has no equal of a node.
        UserError: an input or output has a name that Core ML does not allow, or is both.
    """
    coremltools = toolbox.load()
    _check_names(model)
    graph = model.ir.graph
    quantized = any(node.op_type == "QuantizeLinear" for node in graph)
    target = coremltools.target.iOS17 if quantized else coremltools.target.iOS16
    function = _build(graph, target)
    name = f"{graph.name or 'student'}.mlpackage"
    if not NAME.fullmatch(name.removesuffix(".mlpackage").replace("-", "_").replace(".", "_")):
        name = "student.mlpackage"
    ports = Ports(
        inputs=tuple((port.name, port.shape) for port in model.inputs),
        outputs=tuple((port.name, port.shape) for port in model.outputs),
    )
    return Artifact("coreml", name, pack(function, ports, int(target), model.metadata, name))


def _build(graph: ir.Graph, target: Any) -> Any:
    """The MIL function of ``graph``."""
    from coremltools.converters.mil import mil

    placeholders = {value.name: mil.Builder.placeholder(shape_of(value)) for value in graph.inputs}
    with mil.Function(placeholders, opset_version=target) as function:
        translation = _Translation(mil.Builder, {value: function.inputs[value.name] for value in graph.inputs})
        for node in graph:
            translation.visit(node)
        # An output needs an operation of its own to carry its name.
        outputs: list[Any] = []
        for value in graph.outputs:
            result = translation.operand(value)
            if isinstance(result, np.ndarray) or any(
                result is other for other in (*function.inputs.values(), *outputs)
            ):
                result = mil.Builder.identity(x=result)
            outputs.append(result)
        function.set_outputs(outputs)
    return function


class _Translation:
    """The state of one translation: what stands for each value so far."""

    def __init__(self, builder: Any, values: dict[ir.Value, Any]) -> None:
        self.builder = builder
        self.values = values
        self.exact: dict[ir.Value, ir.Value] = {}  # output of a Q that changes nothing -> its input

    def visit(self, node: ir.Node) -> None:
        first, output = node.inputs[0], node.outputs[0]
        if first is None:
            raise Bug(f"node '{node.name}' lacks its first input")
        if node.op_type == "QuantizeLinear" and _is_exact(node):
            self.exact[output] = first
        elif first in self.exact:
            self.values[output] = self.operand(self.exact[first])
        elif node.op_type == "Relu" and _is_clipped(node):
            self.values[output] = self.operand(first)
        else:
            inputs = [None if value is None else self.operand(value) for value in node.inputs]
            attributes = {name: attribute.value for name, attribute in node.attributes.items()}
            self.values[output] = _emit(self.builder, Operands(node, inputs, attributes))

    def operand(self, value: ir.Value) -> Any:
        """A MIL value, or the numpy array of a constant."""
        return self.values[value] if value in self.values else constant(value)


def _is_exact(quantize: ir.Node) -> bool:
    """Whether a Q finds its values on its own grid: they come from a DQ of the same parameters and only moved since."""
    moved = quantize.inputs[0].producer() if quantize.inputs[0] is not None else None
    if moved is None or moved.op_type not in _MOVES or moved.inputs[0] is None:
        return False
    source = moved.inputs[0].producer()
    if source is None or source.op_type != "DequantizeLinear" or len(source.inputs) != len(quantize.inputs):
        return False
    pairs = [
        (constant(before), constant(after))
        for before, after in zip(source.inputs[1:], quantize.inputs[1:], strict=True)
    ]
    return all(b is not None and a is not None and b.dtype == a.dtype and np.array_equal(b, a) for b, a in pairs)


def _is_clipped(relu: ir.Node) -> bool:
    """Whether the Q behind a Relu cuts off everything below 0 anyway: its zero point is the least integer."""
    quantize = _only_consumer(relu, "QuantizeLinear")
    zero = constant(quantize.inputs[2]) if quantize is not None and len(quantize.inputs) > 2 else None
    return zero is not None and zero.dtype == np.int8 and int(zero) == -128


def _only_consumer(node: ir.Node, operator: str) -> ir.Node | None:
    value = node.outputs[0]
    consumers = [usage.node for usage in value.uses()]
    alone = len(consumers) == 1 and not value.is_graph_output()
    return consumers[0] if alone and consumers[0].op_type == operator else None


@dataclass(frozen=True)
class Operands:
    """A node with its inputs as MIL values or, where constant, numpy arrays; None where an input is absent."""

    node: ir.Node
    inputs: Sequence[Any]
    attributes: Mapping[str, Any]

    def __getitem__(self, index: int) -> Any:
        return self.inputs[index] if index < len(self.inputs) else None

    def integers(self, index: int) -> list[int]:
        """A constant int64 input as a list."""
        return [int(number) for number in np.atleast_1d(self.inputs[index])]

    def refuse(self, reason: str) -> UnsupportedNode:
        """The error that names this node."""
        return UnsupportedNode(
            self.node.op_type, self.node.name or "", reason, source=source_of(self.node), stage=_STAGE
        )


def _emit(builder: Any, operands: Operands) -> Any:
    translate = _TRANSLATIONS.get(operands.node.op_type)
    if translate is None:
        raise operands.refuse("the target has no such operator")
    for value in (*operands.node.inputs, *operands.node.outputs):
        if value is not None and value.shape is not None and len(value.shape) > _MAX_RANK:
            raise operands.refuse(f"'{value.name}' has rank {len(value.shape)}, Core ML's tensors have at most 5")
    try:
        return translate(builder, operands)
    except (ValueError, TypeError, NotImplementedError) as error:
        raise operands.refuse(f"coremltools says: {str(error).splitlines()[0]}") from error


def _check_names(model: Model) -> None:
    for port in (*model.inputs, *model.outputs):
        if not NAME.fullmatch(port.name):
            raise UserError(
                "Core ML does not allow this name for an input or output",
                where=f"tensor '{port.name}'",
                fix="export with names of letters, digits and underscores that do not begin with a digit",
            )
    for name in {port.name for port in model.inputs} & {port.name for port in model.outputs}:
        raise UserError("it is both an input and an output", where=f"tensor '{name}'", fix="drop that output")


# Translations, one a hub operator: (MIL builder, node) -> MIL value or numpy constant.


def _same(operation: str) -> Callable[[Any, Operands], Any]:
    """An operation with one input and no parameters."""
    return lambda builder, node: getattr(builder, operation)(x=node[0])


def _binary(operation: str) -> Callable[[Any, Operands], Any]:
    return lambda builder, node: getattr(builder, operation)(x=node[0], y=node[1])


def _conv(builder: Any, node: Operands) -> Any:
    bias = {} if node[2] is None else {"bias": node[2]}
    return builder.conv(
        x=node[0],
        weight=node[1],
        strides=list(node.attributes["strides"]),
        pad_type="custom",
        pad=_interleaved(node.attributes["pads"]),
        dilations=list(node.attributes["dilations"]),
        groups=int(node.attributes["group"]),
        **bias,
    )


def _gemm(builder: Any, node: Operands) -> Any:
    bias = {} if node[2] is None else {"bias": node[2]}
    return builder.linear(x=node[0], weight=node[1], **bias)


def _pool(operation: str) -> Callable[[Any, Operands], Any]:
    def translate(builder: Any, node: Operands) -> Any:
        if any(step != 1 for step in node.attributes.get("dilations", ())):
            raise node.refuse("Core ML has no dilated pooling")
        average = {}
        if operation == "avg_pool":
            average = {"exclude_padding_from_average": not node.attributes.get("count_include_pad", 0)}
        return getattr(builder, operation)(
            x=node[0],
            kernel_sizes=list(node.attributes["kernel_shape"]),
            strides=list(node.attributes["strides"]),
            pad_type="custom",
            pad=_interleaved(node.attributes["pads"]),
            **average,
        )

    return translate


def _global_average_pool(builder: Any, node: Operands) -> Any:
    return builder.reduce_mean(x=node[0], axes=list(range(2, node[0].rank)), keep_dims=True)


def _pad(builder: Any, node: Operands) -> Any:
    pads = node.integers(1)
    if min(pads) < 0:
        raise node.refuse("Core ML cannot pad by a negative amount")
    value = np.float32(0 if node[2] is None else np.asarray(node[2]).item())
    return builder.pad(x=node[0], pad=_interleaved(pads), mode="constant", constant_val=value)


def _slice(builder: Any, node: Operands) -> Any:
    begin, end, stride = [0] * node[0].rank, list(node[0].shape), [1] * node[0].rank
    for first, last, axis, step in zip(*(node.integers(index) for index in (1, 2, 3, 4)), strict=True):
        begin[axis], end[axis], stride[axis] = first, last, step
    if all(step == 1 for step in stride):
        size = [last - first for first, last in zip(begin, end, strict=True)]
        return builder.slice_by_size(x=node[0], begin=begin, size=size)
    return builder.slice_by_index(x=node[0], begin=begin, end=end, stride=stride)


def _quantize(builder: Any, node: Operands) -> Any:
    zero = np.int8(0) if node[2] is None else np.asarray(node[2])[()]
    offset = {"zero_point": zero} if zero else {}
    return builder.quantize(input=node[0], scale=np.float32(node[1]), output_dtype=str(zero.dtype), **offset)


def _dequantize(builder: Any, node: Operands) -> Any:
    scale = np.asarray(node[1], np.float32)
    zero = np.zeros((), np.int8) if node[2] is None else np.asarray(node[2])
    if not isinstance(node[0], np.ndarray):
        offset = {"zero_point": zero[()]} if zero[()] else {}
        return builder.dequantize(input=node[0], scale=scale[()], **offset)
    axis = int(node.attributes.get("axis", 1)) if scale.ndim else 0
    if node[0].dtype == np.int32 or node[0].ndim == 0:
        return _real(node[0], scale, zero, axis)
    if not zero.any():
        zero = np.zeros((), node[0].dtype)
    return builder.constexpr_affine_dequantize(
        quantized_data=node[0], zero_point=zero if zero.ndim else zero[()], scale=scale if scale.ndim else scale[()],
        axis=np.int32(axis),
    )  # fmt: skip


def _real(
    data: NDArray[np.generic], scale: NDArray[np.float32], zero: NDArray[np.generic], axis: int
) -> NDArray[np.float32]:
    """``scale * (data - zero)`` in float32, along ``axis``."""
    shape = [-1 if index == axis else 1 for index in range(data.ndim)] if scale.ndim else []
    centred = data.astype(np.int64) - zero.astype(np.int64).reshape(shape if zero.ndim else [])
    return np.asarray(centred.astype(np.float32) * scale.reshape(shape), np.float32)


def _interleaved(pads: Sequence[int]) -> list[int]:
    """ONNX's begins then ends as MIL's begin and end of each axis."""
    half = len(pads) // 2
    return [int(pads[index]) for axis in range(half) for index in (axis, axis + half)]


_TRANSLATIONS: Mapping[str, Callable[[Any, Operands], Any]] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "Relu": _same("relu"),
    "Sigmoid": _same("sigmoid"),
    "Tanh": _same("tanh"),
    "LeakyRelu": lambda builder, node: builder.leaky_relu(x=node[0], alpha=np.float32(node.attributes["alpha"])),
    "Add": _binary("add"),
    "Mul": _binary("mul"),
    "Concat": lambda builder, node: builder.concat(values=list(node.inputs), axis=int(node.attributes["axis"])),
    "Pad": _pad,
    "Reshape": lambda builder, node: builder.reshape(x=node[0], shape=node.integers(1)),
    "Transpose": lambda builder, node: builder.transpose(x=node[0], perm=list(node.attributes["perm"])),
    "Slice": _slice,
    "MaxPool": _pool("max_pool"),
    "AveragePool": _pool("avg_pool"),
    "GlobalAveragePool": _global_average_pool,
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
}
