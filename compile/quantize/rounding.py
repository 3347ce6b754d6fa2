"""Which way each weight rounds: not to the nearest integer, but so that the errors of a channel cancel.

Rounding one weight shifts the layer's output; the weights of the same channel that are yet to be rounded can take
most of the shift back, as far as their inputs are correlated. That costs no byte and no time. Source: Frantar et al.,
"GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", 2023, in the form without an
inverse (Babai's nearest plane); the weighing of positions is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from compile.model import Model, constant, operand
from compile.quantize.calibrate import Samples, batches, probe
from compile.quantize.measure import weigh
from compile.quantize.scheme import WEIGHT_MAX, QuantPlan, weight_scale

ROWS = 2048  # of a layer's input, to learn its correlations from
WIDEST = 2048  # weights a channel; more would take seconds for each layer
TOGETHER = 16  # layers whose rows are learnt in one pass over the samples: up to 16 MB each
DAMPING = 0.1  # of the mean of the correlations' diagonal, so that what was never seen invites no large corrections
BLOCK = 64  # columns between two updates of all that follow
_ROUNDED = ("Conv", "Gemm")


@dataclass(frozen=True)
class Rounding:
    """A weight's integers, int8 in its own shape, for one choice of scales, float32 ``[O]``."""

    scale: NDArray[np.float32]
    integers: NDArray[np.int8]


def roundings(
    model: Model, samples: Samples, progress: Callable[[int, int], None] | None = None
) -> dict[str, Rounding]:
    """The rounding of every Conv and Gemm, by node name.

    Left out, so that they round to nearest: ConvTranspose, weights that several nodes share, and channels of more
    than ``WIDEST`` weights.

    Args:
        model: float, in the hub dialect.
        samples: calibration input.
        progress: called with (nodes done, nodes).
    """
    nodes = [node for node in model.ir.graph if node.op_type in _ROUNDED and _is_own(operand(node, 1))]
    found: dict[str, Rounding] = {}
    for start in range(0, len(nodes), TOGETHER):
        rows = _inputs(model, nodes[start : start + TOGETHER], samples)
        for count, node in enumerate(rows, start=start + 1):
            weight = constant(node.inputs[1])
            if weight is not None:
                scale = weight_scale(weight)
                found[node.name or ""] = Rounding(scale, _round(weight, scale, rows[node]))
            if progress is not None:
                progress(count, len(nodes))
    return found


def with_roundings(plan: QuantPlan, found: Mapping[str, Rounding]) -> QuantPlan:
    """The plan with the integers of those weights whose scales are the ones that were rounded for."""
    fitting = {
        name: rounding.integers
        for name, rounding in found.items()
        if name in plan.weights and np.array_equal(plan.weights[name], rounding.scale)
    }
    return replace(plan, integers=fitting)


def _is_own(weight: ir.Value) -> bool:
    shape = weight.shape
    return len(weight.uses()) == 1 and shape is not None and int(np.prod(shape.numpy()[1:])) <= WIDEST


def _inputs(model: Model, nodes: list[ir.Node], samples: Samples) -> dict[ir.Node, NDArray[np.float32]]:
    """For each node the inputs of its products: float32 ``[groups, rows, weights a channel]``."""
    given = {port.name for port in model.inputs}
    names = list(dict.fromkeys(name for node in nodes if (name := operand(node).name or "") not in given))
    session = probe(model, names)
    feeds = batches(model, samples)
    share = -(-ROWS // len(feeds))
    parts: dict[ir.Node, list[NDArray[np.float32]]] = {node: [] for node in nodes}
    for feed in feeds:
        values = {**feed, **session.fetch(names, feed)}
        for node in nodes:
            parts[node].append(_rows(node, np.asarray(values[operand(node).name or ""], np.float32), share))
    return {node: np.concatenate(found, axis=1) for node, found in parts.items()}


def _rows(node: ir.Node, array: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    """What each output position multiplies with the weights: ``[groups, rows, weights a channel]``.

    Of evenly spaced positions, ``most`` or fewer; all of them would be many times the size of an image.
    """
    if node.op_type == "Gemm":
        return array[None, :: -(-len(array) // most)]
    kernel, strides, dilations, pads = (
        list(node.attributes[name].as_ints()) for name in ("kernel_shape", "strides", "dilations", "pads")
    )
    rank, groups = len(kernel), node.attributes["group"].as_int()
    array = np.pad(array, [(0, 0), (0, 0), *zip(pads[:rank], pads[rank:], strict=True)])
    spans = tuple((size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True))
    views = np.lib.stride_tricks.sliding_window_view(array, spans, axis=tuple(range(2, 2 + rank)))
    views = views[(slice(None), slice(None), *(slice(None, None, step) for step in (*strides, *dilations)))]
    # [batch, positions…, channels, taps…]
    views = views.transpose(0, *range(2, 2 + rank), 1, *range(2 + rank, 2 + 2 * rank))
    count = int(np.prod(views.shape[: 1 + rank]))
    chosen = np.unravel_index(np.arange(0, count, -(-count // most)), views.shape[: 1 + rank])
    rows = views[chosen]
    return np.ascontiguousarray(rows.reshape(len(rows), groups, -1).swapaxes(0, 1))


def _round(weight: NDArray[np.float32], scale: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.int8]:
    """Column by column; each takes over what rounding the columns before it did to the output.

    With correlations ``M Mᵀ``, ``M`` upper triangular, the squared error of a channel is a sum of squares of which
    the k-th contains the roundings of columns up to k: so each can be made smallest when its column is rounded.

    A channel whose weights have one sign keeps it: one that sums powers, for a logarithm, must never fall below zero.
    """
    groups, _, width = rows.shape
    real = weight.reshape(groups, -1, width)
    steps = scale.reshape(groups, -1)
    factor = _factor(rows)
    low, high = (WEIGHT_MAX * np.sign(edge) for edge in (real.min(axis=2).clip(max=0), real.max(axis=2).clip(min=0)))
    ratios = factor / np.diagonal(factor, axis1=1, axis2=2)[:, None, :]
    integers = np.empty(real.shape, np.int8)
    errors = np.zeros(real.shape, np.float32)
    for start in range(0, width, BLOCK):
        block = slice(start, min(start + BLOCK, width))
        owed = errors[:, :, :start] @ ratios[:, :start, block]
        for at in range(start, block.stop):
            inside = errors[:, :, start:at] @ ratios[:, start:at, at, None]
            target = real[:, :, at] + owed[:, :, at - start] + inside[:, :, 0]
            integers[:, :, at] = np.clip(np.rint(target / steps), low, high)
            errors[:, :, at] = real[:, :, at] - integers[:, :, at] * steps
    return integers.reshape(weight.shape)


def _factor(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Upper triangular ``M``, ``[groups, width, width]``, where ``M Mᵀ`` are the inputs' damped correlations."""
    # Of a size whose squares float32 holds; a power of two changes no digit of the result.
    rows = np.ldexp(rows, -int(np.frexp(np.abs(rows).max())[1]))
    power = np.mean(np.square(rows), axis=2, keepdims=True)
    weighted = rows * np.sqrt(weigh(power, float(np.mean(power))))
    correlation = np.matmul(weighted.transpose(0, 2, 1), weighted)
    diagonal = np.trace(correlation, axis1=1, axis2=2)[:, None, None] / rows.shape[2]
    correlation += np.eye(rows.shape[2], dtype=np.float32) * np.where(diagonal > 0, DAMPING * diagonal, 1.0)
    # Cholesky factors are lower triangular: of the matrix with rows and columns reversed, then reversed again.
    factor: NDArray[np.float32] = np.linalg.cholesky(correlation[:, ::-1, ::-1])[:, ::-1, ::-1]
    return np.ascontiguousarray(factor)
