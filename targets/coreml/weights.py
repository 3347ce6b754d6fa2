"""Quantised values as MIL operations: weights that are stored as integers, and activations that are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from targets.coreml.operands import Operands


def quantize(builder: Any, node: Operands) -> Any:
    """``quantize``, of iOS 17."""
    zero = np.int8(0) if node[2] is None else np.asarray(node[2])[()]
    offset = {"zero_point": zero} if zero else {}
    return builder.quantize(input=node[0], scale=np.float32(node[1]), output_dtype=str(zero.dtype), **offset)


def dequantize(builder: Any, node: Operands) -> Any:
    """``dequantize`` of an activation, of iOS 17."""
    zero = np.int8(0) if node[2] is None else np.asarray(node[2])[()]
    offset = {"zero_point": zero} if zero else {}
    return builder.dequantize(input=node[0], scale=np.float32(node[1]), **offset)


STORED = ("DequantizeLinear", "Cast")  # what stands between a constant and the float numbers it is read as


def stored(builder: Any, node: Operands, *, blockwise: bool) -> Any:
    """The float value of a constant that is stored as integers or as float16.

    Args:
        builder: coremltools' MIL builder.
        node: one of ``STORED``, of a constant.
        blockwise: whether to use iOS 18's ``constexpr_blockwise_shift_scale`` for int8 instead of iOS 16's
            ``constexpr_affine_dequantize``.

    Returns:
        An operation that is decompressed on loading or, for biases and scalars, a numpy constant.
    """
    data = node[0]
    if node.node.op_type == "Cast":
        wide = data.dtype == np.float16 and node.precision == "float32" and data.ndim
        return builder.constexpr_cast(source_val=data, output_dtype="fp32") if wide else data.astype(node.precision)
    scale = np.asarray(node[1], np.float32)
    zero = np.zeros((), data.dtype) if node[2] is None else np.asarray(node[2])
    axis = int(node.attributes.get("axis", 1)) if scale.ndim else 0
    if data.dtype == np.int32 or data.ndim == 0:
        return _real(data, scale, zero, axis).astype(node.precision)
    scale = scale.astype(node.precision)
    if blockwise:
        shape = [-1 if index == axis and scale.ndim else 1 for index in range(data.ndim)]
        offset = {"offset": np.broadcast_to(zero, scale.shape).reshape(shape)} if zero.any() else {}
        return builder.constexpr_blockwise_shift_scale(data=data, scale=scale.reshape(shape), **offset)
    if not zero.any():
        zero = np.zeros((), data.dtype)
    return builder.constexpr_affine_dequantize(
        quantized_data=data, zero_point=zero if zero.ndim else zero[()], scale=scale if scale.ndim else scale[()],
        axis=np.int32(axis),
    )  # fmt: skip


def _real(
    data: NDArray[np.generic], scale: NDArray[np.float32], zero: NDArray[np.generic], axis: int
) -> NDArray[np.float32]:
    """``scale * (data - zero)`` in float32, along ``axis``."""
    shape = [-1 if index == axis else 1 for index in range(data.ndim)] if scale.ndim else []
    centred = data.astype(np.int64) - zero.astype(np.int64).reshape(shape if zero.ndim else [])
    return np.asarray(centred.astype(np.float32) * scale.reshape(shape), np.float32)
