"""The words of quantisation: schemes, parameters, and which operators tie their ends together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from targets.kernels import MOVES

ACTIVATION_MIN, ACTIVATION_MAX = -128, 127
WEIGHT_MAX = 127  # symmetric: -128 is never used, so that no product overflows 16-bit pair sums


class Scheme(str, Enum):
    """How a node computes.

    ``w8a8``: int8 weights and activations, int32 bias. ``w8-dynamic``: int8 weights, and activations that are float
    but quantised for the product, by the range they have at that moment. ``w8``: int8 weights, float activations.
    ``float16``: float16 weights, float32 activations. ``float``: float32.
    """

    W8A8 = "w8a8"
    W8_DYNAMIC = "w8-dynamic"
    W8 = "w8"
    FLOAT16 = "float16"
    FLOAT = "float"

    @property
    def integer_weights(self) -> bool:
        """Whether its weights are int8."""
        return self not in (Scheme.FLOAT16, Scheme.FLOAT)


@dataclass(frozen=True)
class Affine:
    """Per-tensor parameters of an activation: ``real = scale * (integer - zero_point)``, int8."""

    scale: float
    zero_point: int


@dataclass(frozen=True)
class Decision:
    """A node's scheme, and why when it is not what the recipe's first rule says."""

    scheme: Scheme
    because: str = ""


@dataclass(frozen=True)
class QuantPlan:
    """Everything that ``apply`` needs to know; nothing is decided after it.

    Attributes:
        decisions: node name -> scheme and reason.
        activations: value name -> parameters, for every value that exists as int8.
        weights: node name -> per-output-channel scale, float32 ``[O]``, for nodes with int8 weights.
        constants: (node name, input index) -> parameters of a constant operand of a quantised Add or Mul.
        corrections: node name -> what bias correction adds to its bias, float32 ``[O]``.
        integers: node name -> its weight as int8, where it is not simply rounded to nearest.
    """

    decisions: Mapping[str, Decision]
    activations: Mapping[str, Affine]
    weights: Mapping[str, NDArray[np.float32]]
    constants: Mapping[tuple[str, int], Affine]
    corrections: Mapping[str, NDArray[np.float32]]
    integers: Mapping[str, NDArray[np.int8]] = field(default_factory=dict)


WEIGHTED = ("Conv", "ConvTranspose", "Gemm")
# They compute in int8 only when what they read already is: quantising for their sake would only lose precision.
FOLLOWING = (*MOVES, "Relu", "LeakyRelu", "Sigmoid", "Tanh")
# The output parameters that integer kernels of bounded functions are built for.
FIXED_OUTPUT = {"Sigmoid": Affine(1 / 256, -128), "Tanh": Affine(1 / 128, 0)}
# Schemes that speak of weights, and the operators that have a form for each.
SPEAKS_OF_WEIGHTS = {Scheme.W8_DYNAMIC: ("Gemm",), Scheme.W8: WEIGHTED, Scheme.FLOAT16: WEIGHTED}
FLOAT16_MAX = 65504.0


def channel_axis(operator: str) -> int:
    """The axis of a weight along which its scales differ; a ConvTranspose's is that within a group of outputs."""
    return 1 if operator == "ConvTranspose" else 0


def affine(low: float, high: float) -> Affine:
    """The finest int8 parameters that cover ``[low, high]`` and represent 0 exactly.

    The range is widened to contain 0. Source: Jacob et al., "Quantization and Training of Neural Networks for
    Efficient Integer-Arithmetic-Only Inference", 2018, section 3.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    if high - low < 1e-12:  # the value is always 0; any scale will do
        return Affine(1.0, 0)
    scale = float(np.float32((high - low) / (ACTIVATION_MAX - ACTIVATION_MIN)))
    zero_point = round(ACTIVATION_MIN - low / scale)
    return Affine(scale, max(ACTIVATION_MIN, min(ACTIVATION_MAX, zero_point)))


def weight_scale(weight: NDArray[np.float32], axis: int = 0) -> NDArray[np.float32]:
    """Symmetric scales along ``axis``, float32 ``[O]``: the largest magnitude in each channel becomes 127.

    A channel of zeros takes a small part of the largest scale instead of 0, which runtimes reject.
    """
    largest = np.abs(np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)).max(axis=1).astype(np.float64)
    overall = float(largest.max()) or 1.0
    scale: NDArray[np.float32] = (np.maximum(largest, overall * 2.0**-20) / WEIGHT_MAX).astype(np.float32)
    return scale


def unfit_for_float16(weight: NDArray[np.float32], axis: int = 0) -> str:
    """Why float16 cannot hold a weight; empty when it can.

    It must neither overflow nor, in any channel along ``axis`` that matters, lose precision to subnormal numbers:
    the error of every element is at most 2^-11 of its channel's largest. Channels below 2^-20 of the largest do not.
    """
    rows = np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)
    largest = np.abs(rows).max(axis=1)
    overall = float(largest.max())
    if overall > FLOAT16_MAX:
        return f"its weights reach {overall:g}, float16 ends at {FLOAT16_MAX:g}"
    error = np.abs(rows - rows.astype(np.float16)).max(axis=1)
    lost = largest[(error > largest * 2.0**-11) & (largest > overall * 2.0**-20)]
    return f"some of its channels reach only {lost.min():g}, float16 rounds them away" if lost.size else ""
