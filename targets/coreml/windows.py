"""Evaluating what slides windows over the spatial axes ``*S`` of ``[N, C, *S]``, in numpy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from targets.coreml.limits import Arguments, Array, integers, limit, padded


def conv(given: Arguments) -> Array:
    """Convolution ``[N, C, *S] * [O, C/groups, *K]``, as one matrix product a sample and group."""
    weight, x, groups = given["weight"], given["x"], int(given.get("groups", 1))
    spatial = weight.ndim - 2
    if x.ndim != weight.ndim or groups < 1 or x.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
        raise ValueError(f"a weight {weight.shape} in {groups} groups does not fit {x.shape}")
    matrix = weight.reshape(groups, weight.shape[0] // groups, -1)
    # [1, C, *K, *T]: the input value under each tap at each output position.
    samples = [windows(x[index : index + 1], weight.shape[2:], given, 0.0) for index in range(len(x))]
    time = samples[0].shape[2 + spatial :] if samples else ()
    limit((len(x), weight.shape[0], *time))
    products = [np.matmul(matrix, taps.reshape(groups, matrix.shape[2], -1)) for taps in samples]
    return _biased(np.stack(products).reshape(len(x), weight.shape[0], *time), given)


def conv_transpose(given: Arguments) -> Array:
    """Transposed convolution ``[N, C, *S] * [C, O/groups, *K]``: ``pad`` crops the full result at its ends.

    It is the convolution of the input, spread by ``strides`` and surrounded by zeros, with the weight turned over.
    """
    weight, x, groups = given["weight"], given["x"], int(given.get("groups", 1))
    spatial = weight.ndim - 2
    if x.ndim != weight.ndim or groups < 1 or x.shape[1] != weight.shape[0] or weight.shape[0] % groups:
        raise ValueError(f"a weight {weight.shape} in {groups} groups does not fit {x.shape}")
    if given.get("output_shape") is not None:
        raise NotImplementedError("output_shape")
    crops = _pads(given, spatial)
    strides, dilations = _steps(given, "strides", spatial), _steps(given, "dilations", spatial)
    spread_sizes = [max((size - 1) * step + 1, 0) for size, step in zip(x.shape[2:], strides, strict=True)]
    limit((*x.shape[:2], *spread_sizes))
    spread = np.zeros((*x.shape[:2], *spread_sizes), x.dtype)
    spread[(slice(None), slice(None), *(slice(None, None, step) for step in strides))] = x
    reach = [(size - 1) * step for size, step in zip(weight.shape[2:], dilations, strict=True)]
    pairs = [(around, around) for around in reach]
    flipped = np.flip(weight, tuple(range(2, 2 + spatial)))
    # [C, O/G, *K] -> [O, C/G, *K], group by group.
    parts = [part.swapaxes(0, 1) for part in np.split(flipped, groups)]
    direct = {"x": padded(spread, [(0, 0), (0, 0), *pairs], 0), "weight": np.concatenate(parts), "groups": groups}
    full = conv({**direct, "dilations": dilations})
    ends = [size - last for size, (_, last) in zip(full.shape[2:], crops, strict=True)]
    kept = tuple(slice(first, end) for (first, _), end in zip(crops, ends, strict=True))
    return _biased(full[(slice(None), slice(None), *kept)], given)


def max_pool(given: Arguments) -> Array:
    """Maximum over each window; padding never wins."""
    sizes = integers(given["kernel_sizes"])
    axes = tuple(range(2, 2 + len(sizes)))
    return np.asarray(windows(given["x"], sizes, given, -np.inf).max(axis=axes))


def avg_pool(given: Arguments) -> Array:
    """Mean over each window, of its own elements only where padding is excluded."""
    sizes = integers(given["kernel_sizes"])
    axes = tuple(range(2, 2 + len(sizes)))
    total = windows(given["x"], sizes, given, 0.0).sum(axis=axes, dtype=np.float32)
    if not bool(given.get("exclude_padding_from_average", False)):
        return np.asarray(total / np.float32(np.prod(sizes)))
    ones = np.ones((1, 1, *given["x"].shape[2:]), np.float32)
    return np.asarray(total / windows(ones, sizes, given, 0.0).sum(axis=axes))


def resize_bilinear(given: Arguments) -> Array:
    """Linear interpolation of the last two axes at the grid that ``sampling_mode`` names."""
    x = given["x"]
    for axis, name in ((-2, "target_size_height"), (-1, "target_size_width")):
        size = int(given.get(name, 1))
        limit((*x.shape[:-2], *((size, x.shape[-1]) if axis == -2 else (x.shape[-2], size))))
        if size < 1 or 0 in x.shape:
            raise ValueError("nothing to interpolate")
        at = _grid(x.shape[axis], size, str(given.get("sampling_mode", "DEFAULT")))
        low = np.minimum(at.astype(np.int64), x.shape[axis] - 1)
        high = np.minimum(low + 1, x.shape[axis] - 1)
        share = (at - low).astype(np.float32)[:, None] if axis == -2 else (at - low).astype(np.float32)
        x = x.take(low, axis) * (1 - share) + x.take(high, axis) * share
    return np.asarray(x, np.float32)


def _grid(before: int, after: int, mode: str) -> Array:
    """Positions on ``[0, before - 1]``, as MIL's documentation of ``resize_bilinear`` gives them."""
    index = np.arange(after, dtype=np.float64)
    if mode == "UNALIGN_CORNERS":
        spacing = before / after
        at = index * spacing + 0.5 * spacing - 0.5
    elif mode in ("ALIGN_CORNERS", "STRICT_ALIGN_CORNERS") and after > 1:
        at = index * (before - 1) / (after - 1)
    elif mode == "ALIGN_CORNERS":
        at = np.full(1, (before - 1) / 2)
    else:
        raise NotImplementedError(f"sampling_mode '{mode}' for {after} elements")
    return np.clip(at, 0, before - 1)


def windows(x: Array, sizes: Sequence[int], given: Arguments, fill: float) -> Array:
    """``[N, C, *sizes, *positions]``: a view of the padded input under each window."""
    spatial = len(sizes)
    pads = _pads(given, spatial)
    if any(first or last for first, last in pads):
        x = padded(x, [(0, 0), (0, 0), *pads], fill)
    strides, dilations = _steps(given, "strides", spatial), _steps(given, "dilations", spatial)
    spans = tuple((size - 1) * dilation + 1 for size, dilation in zip(sizes, dilations, strict=True))
    views = np.lib.stride_tricks.sliding_window_view(x, spans, axis=tuple(range(2, 2 + spatial)))
    # sliding_window_view appends the taps behind the positions.
    positions = tuple(slice(None, None, step) for step in strides)
    taps = tuple(slice(None, None, step) for step in dilations)
    views = views[(slice(None), slice(None), *positions, *taps)]
    limit(views.shape)
    order = (0, 1, *range(2 + spatial, 2 + 2 * spatial), *range(2, 2 + spatial))
    return views.transpose(order)


def _pads(given: Arguments, spatial: int) -> list[tuple[int, int]]:
    """What ``pad`` says of each spatial axis."""
    kind = given.get("pad_type", "custom")
    if kind not in ("custom", "valid"):
        raise NotImplementedError(f"pad_type '{kind}'")
    if bool(given.get("ceil_mode", False)):
        raise NotImplementedError("ceil_mode")
    amounts = integers(given.get("pad", [0] * 2 * spatial)) if kind == "custom" else (0,) * 2 * spatial
    if len(amounts) != 2 * spatial or min(amounts, default=0) < 0:
        raise ValueError(f"pad {list(amounts)} for {spatial} spatial axes")
    return list(zip(amounts[::2], amounts[1::2], strict=True))


def _steps(given: Arguments, name: str, spatial: int) -> tuple[int, ...]:
    steps = integers(given.get(name, [1] * spatial))
    if len(steps) != spatial or min(steps, default=1) < 1:
        raise ValueError(f"{name} {list(steps)} for {spatial} spatial axes")
    return steps


def _biased(result: Array, given: Arguments) -> Array:
    bias = given.get("bias")
    return result if bias is None else np.asarray(result + bias.reshape(-1, *[1] * (result.ndim - 2)))
