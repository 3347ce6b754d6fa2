"""Evaluating what treats every element alike, and what reduces axes, in numpy."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from targets.coreml.limits import Arguments, Array, integers, limit

_HALF, _ONE = np.float32(0.5), np.float32(1)


def unary(function: Callable[[Array], Array]) -> Callable[[Arguments], Array]:
    """An operation of ``x`` alone."""
    return lambda given: np.asarray(function(given["x"]))


def binary(function: Callable[[Array, Array], Array]) -> Callable[[Arguments], Array]:
    """An operation of ``x`` and ``y``, broadcast."""

    def evaluate(given: Arguments) -> Array:
        limit(np.broadcast_shapes(np.shape(given["x"]), np.shape(given["y"])))
        return np.asarray(function(given["x"], given["y"]))

    return evaluate


def reduction(function: Callable[..., Array]) -> Callable[[Arguments], Array]:
    """An operation over ``axes``, or over all."""

    def evaluate(given: Arguments) -> Array:
        axes = integers(given["axes"]) if "axes" in given else None
        return np.asarray(function(given["x"], axis=axes, keepdims=bool(given.get("keep_dims", False))))

    return evaluate


def sigmoid(given: Arguments) -> Array:
    """``1 / (1 + exp(-x))``, through tanh, which does not overflow."""
    return np.asarray(_HALF * np.tanh(_HALF * given["x"]) + _HALF)


def leaky_relu(given: Arguments) -> Array:
    """``x`` where it is positive, ``alpha * x`` elsewhere."""
    x = given["x"]
    return np.asarray(np.where(x >= 0, x, np.float32(given["alpha"]) * x))


def prelu(given: Arguments) -> Array:
    """``x`` where it is positive, its channel's ``alpha`` times ``x`` elsewhere; ``[B, C, ...]`` by ``[C]``."""
    x, alpha = given["x"], given["alpha"]
    if x.ndim < 3 or alpha.shape != x.shape[1:2]:
        raise ValueError(f"slopes {alpha.shape} for {x.shape}")
    return np.asarray(np.where(x >= 0, x, alpha.reshape(-1, *[1] * (x.ndim - 2)) * x))


def elu(given: Arguments) -> Array:
    """``x`` where it is positive, ``alpha * (exp(x) - 1)`` elsewhere."""
    x = given["x"]
    return np.asarray(np.where(x > 0, x, np.float32(given["alpha"]) * np.expm1(np.minimum(x, 0))))


def gelu(given: Arguments) -> Array:
    """``x`` times the normal distribution at ``x``, or its approximation by tanh."""
    x, mode = given["x"], given.get("mode", "EXACT")
    if mode == "EXACT":
        erf = np.vectorize(math.erf, otypes=[np.float64])(x.astype(np.float64) / math.sqrt(2)) if x.size else x
        return np.asarray(_HALF * x * (_ONE + erf.astype(np.float32)))
    if mode == "TANH_APPROXIMATION":
        inner = np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x * x * x)
        return np.asarray(_HALF * x * (_ONE + np.tanh(inner)))
    raise NotImplementedError(f"mode '{mode}'")


def softmax(given: Arguments) -> Array:
    """``exp(x) / sum(exp(x))`` along ``axis``."""
    x, axis = given["x"], int(given.get("axis", -1))
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis=axis, keepdims=True))


def log(given: Arguments) -> Array:
    """``log(x + epsilon)``."""
    return np.asarray(np.log(given["x"] + np.float32(given.get("epsilon", 1e-45))))


def clip(given: Arguments) -> Array:
    """``x`` within ``[alpha, beta]``."""
    return np.asarray(np.minimum(np.maximum(given["x"], given["alpha"]), given["beta"]))


def select(given: Arguments) -> Array:
    """``a`` where ``cond`` holds, ``b`` elsewhere, broadcast."""
    cond, a, b = given["cond"], given["a"], given["b"]
    if cond.dtype != np.bool_:
        raise ValueError(f"cond is {cond.dtype}")
    limit(np.broadcast_shapes(cond.shape, a.shape, b.shape))
    return np.asarray(np.where(cond, a, b))


def cast(given: Arguments) -> Array:
    """Another type, by MIL's name for it."""
    values, name = (given["x"], given["dtype"]) if "x" in given else (given["source_val"], given["output_dtype"])
    return np.asarray(values.astype({"fp16": np.float16, "fp32": np.float32}[name]))
