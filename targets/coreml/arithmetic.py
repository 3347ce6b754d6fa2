"""What the operations of an ML program compute, in numpy: the semantics of Core ML's MIL operation set.

Written from MIL's documentation, without a look at what lowers to it. An operation maps its arguments, by parameter
name and already as arrays or strings, to its result. Those that are absent here cannot be checked on this machine.

float16 values are computed with in float32 and rounded once, where they leave the operation: what a float16 kernel with
float32 accumulation does. Apple's kernels may accumulate in float16 as well, and then differ by more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from targets.coreml import elementwise, windows
from targets.coreml.limits import Arguments, Array, integers, limit, padded


def evaluate(operation: str, given: Arguments) -> Array:
    """The result of one operation.

    Raises:
        ArithmeticError, AttributeError, IndexError, KeyError, MemoryError, NotImplementedError, TypeError, ValueError:
            the arguments do not fit the operation, or its result would be absurdly large.
    """
    function = OPERATIONS[operation]
    if operation in ("cast", "constexpr_cast"):
        return function(given)
    floats = {str(array.dtype) for array in _arrays(given) if array.dtype.kind == "f"}
    if len(floats) > 1:
        raise ValueError(f"it mixes {' and '.join(sorted(floats))}")
    if floats != {"float16"}:
        return function(given)
    result = function({key: _widened(value) for key, value in given.items()})
    return result.astype(np.float16) if result.dtype == np.float32 else result


def _arrays(given: Arguments) -> list[Array]:
    flat = [part for value in given.values() for part in (value if isinstance(value, list) else [value])]
    return [part for part in flat if isinstance(part, np.ndarray)]


def _widened(value: Any) -> Any:
    if isinstance(value, list):
        return [_widened(part) for part in value]
    half = isinstance(value, np.ndarray) and value.dtype == np.float16
    return value.astype(np.float32) if half else value


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


def blockwise_shift_scale(given: Arguments) -> Array:
    """``scale * (data - offset)``; each axis of ``data`` is a multiple of that of ``scale``, whose elements repeat."""
    data, scale, offset = given["data"], given["scale"], given.get("offset")
    if scale.ndim != data.ndim or 0 in scale.shape or any(n % m for n, m in zip(data.shape, scale.shape, strict=True)):
        raise ValueError(f"scales {scale.shape} for {data.shape}")
    if offset is not None and offset.shape != scale.shape:
        raise ValueError(f"offsets {offset.shape} for scales {scale.shape}")

    def along(parameter: Array) -> Array:
        for axis, (size, count) in enumerate(zip(data.shape, scale.shape, strict=True)):
            parameter = parameter.repeat(size // count, axis) if count > 1 else parameter
        return parameter.astype(np.float32)

    centred = data.astype(np.float32) - (0 if offset is None else along(offset))
    return np.asarray(centred * along(scale), np.float32)


def linear(given: Arguments) -> Array:
    """``x @ weight.T + bias``."""
    limit((*given["x"].shape[:-1], len(given["weight"])))
    result = given["x"] @ given["weight"].T
    return np.asarray(result + given["bias"] if "bias" in given else result)


def matmul(given: Arguments) -> Array:
    """``x @ y``; the leading axes are broadcast, the last two may be swapped first."""
    x, y = given["x"], given["y"]
    x = x.swapaxes(-1, -2) if bool(given.get("transpose_x", False)) else x
    y = y.swapaxes(-1, -2) if bool(given.get("transpose_y", False)) else y
    limit((*np.broadcast_shapes(x.shape[:-2], y.shape[:-2]), x.shape[-2], y.shape[-1]))
    return np.asarray(x @ y)


def pad(given: Arguments) -> Array:
    """Constant padding of the last axes, before and after each."""
    amounts = np.asarray(given["pad"]).reshape(-1, 2)
    before = [(0, 0)] * (given["x"].ndim - len(amounts))
    if given.get("mode", "constant") != "constant":
        raise NotImplementedError(f"mode '{given['mode']}'")
    pairs = [*before, *((int(first), int(last)) for first, last in amounts)]
    return padded(given["x"], pairs, given.get("constant_val", 0))


def concat(given: Arguments) -> Array:
    """``values`` one behind the other along ``axis``."""
    limit((sum(array.size for array in given["values"]),))
    return np.concatenate(given["values"], axis=int(given["axis"]))


def tile(given: Arguments) -> Array:
    """``x`` repeated ``reps`` times along every axis."""
    repetitions = integers(given["reps"])
    limit(size * count for size, count in zip(given["x"].shape, repetitions, strict=True))
    if min(repetitions, default=1) < 1:
        raise ValueError(f"reps {list(repetitions)}")
    return np.tile(given["x"], repetitions)


def gather(given: Arguments) -> Array:
    """The slices of ``x`` along ``axis`` that ``indices`` names."""
    x, indices, axis = given["x"], given["indices"], int(given.get("axis", 0))
    if int(given.get("batch_dims", 0)) or bool(given.get("validate_indices", False)):
        raise NotImplementedError("batch_dims or validate_indices")
    limit((x.size // max(x.shape[axis], 1), indices.size))
    if indices.size and (indices.min() < 0 or indices.max() >= x.shape[axis]):
        raise ValueError("an index is out of bounds")
    return np.asarray(x.take(indices, axis))


def slice_by_index(given: Arguments) -> Array:
    """``x[begin:end:stride]`` on every axis; masks for whole and squeezed axes are honoured."""
    x, rank = given["x"], given["x"].ndim
    unmasked = [False] * rank
    begin_mask, end_mask, squeeze = (given.get(name, unmasked) for name in ("begin_mask", "end_mask", "squeeze_mask"))
    stride = integers(given.get("stride", [1] * rank))
    cuts: list[Any] = []
    for axis, (first, last) in enumerate(zip(integers(given["begin"]), integers(given["end"]), strict=True)):
        start, stop = None if begin_mask[axis] else first, None if end_mask[axis] else last
        cuts.append(first if squeeze[axis] else slice(start, stop, stride[axis]))
    return np.asarray(x[tuple(cuts)])


def slice_by_size(given: Arguments) -> Array:
    """``size`` elements from ``begin`` on every axis; a size of -1 takes all."""
    pairs = zip(integers(given["begin"]), integers(given["size"]), strict=True)
    return np.asarray(given["x"][tuple(slice(first, None if n == -1 else first + n) for first, n in pairs)])


def _along(parameter: Any, values: Array, given: Arguments) -> Any:
    """A scalar as it is; a vector, of one element for each slice of ``values`` along ``axis``, shaped to broadcast."""
    if np.ndim(parameter) == 0:
        return parameter
    axis = int(given["axis"]) % values.ndim
    if parameter.shape != (values.shape[axis],):
        raise ValueError(f"{parameter.shape} parameters for {values.shape[axis]} slices")
    return parameter.reshape([-1 if index == axis else 1 for index in range(values.ndim)])


OPERATIONS: Mapping[str, Callable[[Arguments], Array]] = {
    "quantize": quantize,
    "dequantize": dequantize,
    "constexpr_affine_dequantize": dequantize,
    "constexpr_blockwise_shift_scale": blockwise_shift_scale,
    "constexpr_cast": elementwise.cast,
    "conv": windows.conv,
    "conv_transpose": windows.conv_transpose,
    "max_pool": windows.max_pool,
    "avg_pool": windows.avg_pool,
    "resize_bilinear": windows.resize_bilinear,
    "linear": linear,
    "matmul": matmul,
    "concat": concat,
    "pad": pad,
    "tile": tile,
    "gather": gather,
    "reshape": lambda given: given["x"].reshape(integers(given["shape"])),
    "transpose": lambda given: given["x"].transpose(integers(given["perm"])),
    "slice_by_index": slice_by_index,
    "slice_by_size": slice_by_size,
    "identity": lambda given: given["x"],
    "read_state": lambda given: given["input"],
    "cast": elementwise.cast,
    "select": elementwise.select,
    "sigmoid": elementwise.sigmoid,
    "leaky_relu": elementwise.leaky_relu,
    "prelu": elementwise.prelu,
    "elu": elementwise.elu,
    "gelu": elementwise.gelu,
    "softmax": elementwise.softmax,
    "log": elementwise.log,
    "clip": elementwise.clip,
    "relu": elementwise.unary(lambda x: np.maximum(x, 0)),
    "relu6": elementwise.unary(lambda x: np.clip(x, 0, 6)),
    "tanh": elementwise.unary(np.tanh),
    "exp": elementwise.unary(np.exp),
    "sqrt": elementwise.unary(np.sqrt),
    "abs": elementwise.unary(np.abs),
    "sin": elementwise.unary(np.sin),
    "cos": elementwise.unary(np.cos),
    "floor": elementwise.unary(np.floor),
    "ceil": elementwise.unary(np.ceil),
    "round": elementwise.unary(np.rint),  # halves to even
    "sign": elementwise.unary(np.sign),
    "logical_not": elementwise.unary(np.logical_not),
    "add": elementwise.binary(np.add),
    "sub": elementwise.binary(np.subtract),
    "mul": elementwise.binary(np.multiply),
    "real_div": elementwise.binary(np.divide),
    "pow": elementwise.binary(np.power),
    "maximum": elementwise.binary(np.maximum),
    "minimum": elementwise.binary(np.minimum),
    "equal": elementwise.binary(np.equal),
    "less": elementwise.binary(np.less),
    "less_equal": elementwise.binary(np.less_equal),
    "greater": elementwise.binary(np.greater),
    "greater_equal": elementwise.binary(np.greater_equal),
    "logical_and": elementwise.binary(np.logical_and),
    "logical_or": elementwise.binary(np.logical_or),
    "reduce_mean": elementwise.reduction(np.mean),
    "reduce_sum": elementwise.reduction(np.sum),
    "reduce_max": elementwise.reduction(np.max),
    "reduce_min": elementwise.reduction(np.min),
}
