"""The MIL operation of each hub operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from compile.errors import UnsupportedNode
from compile.model import source_of

_STAGE = "the Core ML target"
_MAX_RANK = 5


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


def emit(builder: Any, operands: Operands) -> Any:
    """The MIL value, or numpy constant, of a node.

    Raises:
        UnsupportedNode: Core ML has no equal of it.
    """
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


def _reshape(builder: Any, node: Operands) -> Any:
    shape = node.integers(1)
    if not shape:
        raise node.refuse("Core ML cannot reshape to a scalar; keep one axis of size 1")
    return builder.reshape(x=node[0], shape=shape)


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
    "Reshape": _reshape,
    "Transpose": lambda builder, node: builder.transpose(x=node[0], perm=list(node.attributes["perm"])),
    "Slice": _slice,
    "MaxPool": _pool("max_pool"),
    "AveragePool": _pool("avg_pool"),
    "GlobalAveragePool": _global_average_pool,
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
}
