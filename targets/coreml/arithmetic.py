"""What the operations of an ML program compute, in numpy: the float32 semantics of Core ML's MIL operation set.

An operation maps its arguments, by parameter name and already as arrays or strings, to its result. Those that are
absent here cannot be checked on this machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Arguments = Mapping[str, Any]

_MAX_ELEMENTS = 1 << 28


def quantize(given: Arguments) -> Array:
    """``clip(round(input / scale) + zero_point)``; halves are rounded to even."""
    values = given["input"]
    limits = np.iinfo(given["output_dtype"])
    zero = _along(given.get("zero_point", 0), values, given)
    scaled = np.rint(values / _along(given["scale"], values, given)) + np.asarray(zero, np.float32)
    return np.asarray(np.clip(scaled, limits.min, limits.max), limits.dtype)


def dequantize(given: Arguments) -> Array:
    """``scale * (input - zero_point)``, for ``dequantize`` and ``constexpr_affine_dequantize``."""
    values = given["input"] if "input" in given else given["quantized_data"]
    zero = _along(given.get("zero_point", 0), values, given)
    centred = values.astype(np.float32) - np.asarray(zero, np.float32)
    return np.asarray(centred * _along(given["scale"], values, given), np.float32)


def conv(given: Arguments) -> Array:
    """Convolution ``[N, C, *S] * [O, C/groups, *K]``, as one matrix product a group."""
    weight, groups = given["weight"], int(given.get("groups", 1))
    spatial = weight.ndim - 2
    # [N, C, *K, *T]: the input value under each tap at each output position.
    taps = _windows(given["x"], weight.shape[2:], given, spatial, 0.0)
    batch, time = taps.shape[0], taps.shape[2 + spatial :]
    columns = taps.reshape(batch, groups, -1, int(np.prod(time)))
    matrix = weight.reshape(groups, weight.shape[0] // groups, -1)
    result = np.matmul(matrix[None], columns).reshape(batch, weight.shape[0], *time)
    bias = given.get("bias")
    return result if bias is None else np.asarray(result + bias.reshape(-1, *[1] * spatial))


def linear(given: Arguments) -> Array:
    """``x @ weight.T + bias``."""
    _limit((*given["x"].shape[:-1], len(given["weight"])))
    result = given["x"] @ given["weight"].T
    return np.asarray(result + given["bias"] if "bias" in given else result)


def max_pool(given: Arguments) -> Array:
    """Maximum over each window; padding never wins."""
    sizes = _integers(given["kernel_sizes"])
    axes = tuple(range(2, 2 + len(sizes)))
    return np.asarray(_windows(given["x"], sizes, given, len(sizes), -np.inf).max(axis=axes))


def avg_pool(given: Arguments) -> Array:
    """Mean over each window, of its own elements only where padding is excluded."""
    sizes = _integers(given["kernel_sizes"])
    axes = tuple(range(2, 2 + len(sizes)))
    total = _windows(given["x"], sizes, given, len(sizes), 0.0).sum(axis=axes, dtype=np.float32)
    if not bool(given.get("exclude_padding_from_average", False)):
        return np.asarray(total / np.float32(np.prod(sizes)))
    ones = np.ones((1, 1, *given["x"].shape[2:]), np.float32)
    return np.asarray(total / _windows(ones, sizes, given, len(sizes), 0.0).sum(axis=axes))


def pad(given: Arguments) -> Array:
    """Constant padding of the last axes, before and after each."""
    amounts = np.asarray(given["pad"]).reshape(-1, 2)
    before = [(0, 0)] * (given["x"].ndim - len(amounts))
    if given.get("mode", "constant") != "constant":
        raise NotImplementedError(f"mode '{given['mode']}'")
    pairs = [*before, *((int(first), int(last)) for first, last in amounts)]
    return _padded(given["x"], pairs, given.get("constant_val", 0))


def slice_by_index(given: Arguments) -> Array:
    """``x[begin:end:stride]`` on every axis; masks for whole and squeezed axes are honoured."""
    x, rank = given["x"], given["x"].ndim
    unmasked = [False] * rank
    begin_mask, end_mask, squeeze = (given.get(name, unmasked) for name in ("begin_mask", "end_mask", "squeeze_mask"))
    stride = _integers(given.get("stride", [1] * rank))
    cuts: list[Any] = []
    for axis, (first, last) in enumerate(zip(_integers(given["begin"]), _integers(given["end"]), strict=True)):
        start, stop = None if begin_mask[axis] else first, None if end_mask[axis] else last
        cuts.append(first if squeeze[axis] else slice(start, stop, stride[axis]))
    return np.asarray(x[tuple(cuts)])


def slice_by_size(given: Arguments) -> Array:
    """``size`` elements from ``begin`` on every axis; a size of -1 takes all."""
    pairs = zip(_integers(given["begin"]), _integers(given["size"]), strict=True)
    return np.asarray(given["x"][tuple(slice(first, None if n == -1 else first + n) for first, n in pairs)])


def sigmoid(given: Arguments) -> Array:
    """``1 / (1 + exp(-x))``, through tanh, which does not overflow."""
    half = np.float32(0.5)
    return np.asarray(half * np.tanh(half * given["x"]) + half)


def leaky_relu(given: Arguments) -> Array:
    """``x`` where it is positive, ``alpha * x`` elsewhere."""
    x = given["x"]
    return np.asarray(np.where(x >= 0, x, np.float32(given["alpha"]) * x))


def _windows(x: Array, sizes: Sequence[int], given: Arguments, spatial: int, fill: float) -> Array:
    """``[N, C, *sizes, *positions]``: a view of the padded input under each window."""
    pads = np.asarray(given.get("pad", [0] * 2 * spatial)).reshape(-1, 2)
    kind = given.get("pad_type", "custom")
    if kind not in ("custom", "valid"):
        raise NotImplementedError(f"pad_type '{kind}'")
    if bool(given.get("ceil_mode", False)):
        raise NotImplementedError("ceil_mode")
    if kind == "custom" and pads.any():
        pairs = [(0, 0), (0, 0), *((int(first), int(last)) for first, last in pads)]
        x = _padded(x, pairs, fill)
    strides = _integers(given.get("strides", [1] * spatial))
    dilations = _integers(given.get("dilations", [1] * spatial))
    spans = tuple((size - 1) * dilation + 1 for size, dilation in zip(sizes, dilations, strict=True))
    views = np.lib.stride_tricks.sliding_window_view(x, spans, axis=tuple(range(2, 2 + spatial)))
    # sliding_window_view appends the taps behind the positions.
    positions = tuple(slice(None, None, step) for step in strides)
    taps = tuple(slice(None, None, step) for step in dilations)
    views = views[(slice(None), slice(None), *positions, *taps)]
    _limit(views.shape)
    order = (0, 1, *range(2 + spatial, 2 + 2 * spatial), *range(2, 2 + spatial))
    return views.transpose(order)


def _along(parameter: Any, values: Array, given: Arguments) -> Any:
    """A scalar as it is; a vector, of one element for each slice of ``values`` along ``axis``, shaped to broadcast."""
    if np.ndim(parameter) == 0:
        return parameter
    axis = int(given["axis"]) % values.ndim
    if parameter.shape != (values.shape[axis],):
        raise ValueError(f"{parameter.shape} parameters for {values.shape[axis]} slices")
    return parameter.reshape([-1 if index == axis else 1 for index in range(values.ndim)])


def _padded(x: Array, pairs: Sequence[tuple[int, int]], fill: Any) -> Array:
    _limit(size + first + last for size, (first, last) in zip(x.shape, pairs, strict=True))
    return np.asarray(np.pad(x, pairs, constant_values=fill))


def _binary(operation: Callable[[Array, Array], Any]) -> Callable[[Arguments], Array]:
    def evaluate(given: Arguments) -> Array:
        _limit(np.broadcast_shapes(np.shape(given["x"]), np.shape(given["y"])))
        return np.asarray(operation(given["x"], given["y"]))

    return evaluate


def _limit(shape: Iterable[int]) -> None:
    """Refuse to allocate what no student needs: a file may claim anything."""
    if math.prod(shape) > _MAX_ELEMENTS:
        raise ValueError("an intermediate value would be absurdly large")


def _integers(numbers: Any) -> tuple[int, ...]:
    return tuple(int(number) for number in np.atleast_1d(numbers))


OPERATIONS: Mapping[str, Callable[[Arguments], Array]] = {
    "quantize": quantize,
    "dequantize": dequantize,
    "constexpr_affine_dequantize": dequantize,
    "conv": conv,
    "linear": linear,
    "relu": lambda given: np.maximum(given["x"], 0),
    "leaky_relu": leaky_relu,
    "sigmoid": sigmoid,
    "tanh": lambda given: np.asarray(np.tanh(given["x"])),
    "add": _binary(np.add),
    "mul": _binary(np.multiply),
    "concat": lambda given: np.concatenate(given["values"], axis=int(given["axis"])),
    "pad": pad,
    "reshape": lambda given: given["x"].reshape(_integers(given["shape"])),
    "transpose": lambda given: given["x"].transpose(_integers(given["perm"])),
    "slice_by_index": slice_by_index,
    "slice_by_size": slice_by_size,
    "max_pool": max_pool,
    "avg_pool": avg_pool,
    "reduce_mean": lambda given: np.mean(
        given["x"], axis=_integers(given["axes"]), keepdims=bool(given.get("keep_dims", False))
    ),
    "identity": lambda given: given["x"],
}
