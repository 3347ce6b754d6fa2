"""Convolutions, matrix products and pooling as MIL operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from targets.coreml.operands import Operands, interleaved


def conv(builder: Any, node: Operands) -> Any:
    """``conv`` with explicit padding."""
    bias = {} if node[2] is None else {"bias": node[2]}
    return builder.conv(
        x=node[0],
        weight=node[1],
        strides=list(node.attributes["strides"]),
        pad_type="custom",
        pad=interleaved(node.attributes["pads"]),
        dilations=list(node.attributes["dilations"]),
        groups=int(node.attributes["group"]),
        **bias,
    )


def conv_transpose(builder: Any, node: Operands) -> Any:
    """``conv_transpose``, whose ``pad`` crops the full result at its begins and ends.

    ONNX's ``output_padding`` crops less at the ends. Where nothing is left to crop less of, a zero behind the input
    adds a stride's worth of bias there, of which the surplus is cropped: the same numbers, and no ``output_shape``,
    whose meaning beside ``pad`` Core ML leaves open.
    """
    strides = [int(step) for step in node.attributes["strides"]]
    count = len(strides)
    begins, ends = (list(map(int, node.attributes["pads"][part : part + count])) for part in (0, count))
    more = [int(extra) for extra in node.attributes.get("output_padding", [0] * count)]
    lacking = [max(extra - end, 0) for extra, end in zip(more, ends, strict=True)]
    zeros = [-(-lack // step) for lack, step in zip(lacking, strides, strict=True)]
    ends = [end - extra + zero * step for end, extra, zero, step in zip(ends, more, zeros, strides, strict=True)]
    if min((*begins, *ends)) < 0:
        raise node.refuse("Core ML cannot crop by a negative amount")
    x = node[0]
    if any(zeros):
        pad = [0, 0, 0, 0, *(size for zero in zeros for size in (0, zero))]
        x = builder.pad(x=x, pad=pad, mode="constant", constant_val=node.real(0))
    bias = {} if node[2] is None else {"bias": node[2]}
    return builder.conv_transpose(
        x=x,
        weight=node[1],
        strides=strides,
        pad_type="custom",
        pad=interleaved([*begins, *ends]),
        dilations=[int(step) for step in node.attributes["dilations"]],
        groups=int(node.attributes["group"]),
        **bias,
    )


def gemm(builder: Any, node: Operands) -> Any:
    """``linear``: the weight's rows are outputs already."""
    bias = {} if node[2] is None else {"bias": node[2]}
    return builder.linear(x=node[0], weight=node[1], **bias)


def matmul(builder: Any, node: Operands) -> Any:
    """``matmul`` of two activations."""
    return builder.matmul(x=node[0], y=node[1])


def pool(operation: str) -> Callable[[Any, Operands], Any]:
    """``max_pool`` or ``avg_pool`` with explicit padding."""

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
            pad=interleaved(node.attributes["pads"]),
            **average,
        )

    return translate


def global_average_pool(builder: Any, node: Operands) -> Any:
    """``reduce_mean`` over the spatial axes."""
    return builder.reduce_mean(x=node[0], axes=list(range(2, node[0].rank)), keep_dims=True)
