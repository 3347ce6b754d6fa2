"""The operators that compute in float, each on an input of its own in one network, compiled once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

EDGES = np.float32(
    [
        *(-np.inf, -3e38, -1e12, -1e4, -104, -87.5, -2.5, -1.5, -0.5, -1e-3, -2e-38, -1e-42, -0.0, 0.0, 1e-42, 2e-38),
        *(1e-3, 0.5, 1.0, 1.5, 2.5, 88.5, 89, 1e4, 12345678, 1e12, 3e38, np.inf, np.nan),
    ]
)
UNARY = ("Exp", "Log", "Sqrt", "Abs", "Floor", "Ceil", "Round", "Sign", "Sigmoid", "Tanh", "Relu")


def positive(h: Any, *shape: int) -> str:
    return h.op("Add", h.op("Abs", h.input(*shape)), h.constant([0.5]))


def positives(h: Any, *shape: int) -> str:
    return h.op("Less", h.constant([0.0]), h.input(*shape))


def as_float(h: Any, x: str) -> str:
    return h.op("Cast", x, to=1)


def last(h: Any, x: str) -> str:
    """What a convolution leaves channels last."""
    return h.conv(x, 8, 4, (3,))


CASES: dict[str, Callable[[Any], str]] = {
    **{name: lambda h, name=name: h.op(name, h.input(2, 3, 50)) for name in (*UNARY, "Sin", "Cos")},
    "Elu": lambda h: h.op("Elu", h.input(2, 3, 50), alpha=1.0),
    "LeakyRelu": lambda h: h.op("LeakyRelu", last(h, h.input(2, 4, 50)), alpha=0.2),
    "Gelu": lambda h: h.op("Gelu", h.input(2, 3, 50), approximate="none"),
    "Gelu by tanh": lambda h: h.op("Gelu", h.input(2, 3, 50), approximate="tanh"),
    "Clip": lambda h: h.op("Clip", h.input(2, 3, 50), h.constant(-0.3), h.constant(0.7)),
    "Relu6 in a sum": lambda h: h.op(
        "Clip", h.op("Add", h.input(2, 3, 5), h.constant([4.0])), h.constant(0.0), h.constant(6.0)
    ),
    "PRelu": lambda h: h.op("PRelu", last(h, h.input(2, 4, 50)), h.noise(8, 1)),
    **{
        f"{name}, broadcast": lambda h, name=name: h.op(name, h.input(2, 3, 5), positive(h, 3, 1))
        for name in ("Add", "Sub", "Mul", "Div", "Max", "Min")
    },
    "Sub from a larger constant, channels last": lambda h: h.op("Sub", h.noise(2, 8, 1), last(h, h.input(1, 4, 9))),
    "Pow": lambda h: h.op("Pow", positive(h, 2, 3, 50), h.constant(1.7)),
    "Pow of negative numbers": lambda h: h.op("Pow", h.input(2, 3, 5), h.constant(-3.0)),
    **{
        f"Reduce{kind} over {axes}": lambda h, kind=kind, axes=axes: h.reduce(kind, h.input(2, 3, 4, 5), *axes)
        for kind in ("Mean", "Sum", "Max", "Min")
        for axes in ((1,), (0, 2), (0, 1, 2, 3))
    },
    "ReduceMean, channels last": lambda h: h.reduce("Mean", last(h, h.input(2, 4, 9)), 1),
    "ReduceSum behind Reshape and Transpose": lambda h: h.reduce(
        "Sum", h.reshape(h.op("Transpose", h.input(4, 3, 2), perm=[2, 0, 1]), 3, 8), 1
    ),
    "Softmax": lambda h: h.op("Softmax", h.op("Mul", h.input(2, 3, 7), h.constant([300.0])), axis=2),
    "Softmax of channels": lambda h: h.op("Softmax", last(h, h.input(2, 4, 9)), axis=1),
    "MatMul in batches": lambda h: h.op("MatMul", h.input(2, 1, 3, 4), h.input(1, 6, 4, 5)),
    "MatMul with constants": lambda h: h.op("MatMul", h.input(2, 3, 4), h.noise(2, 4, 5)),
    "MatMul, turned": lambda h: h.op(
        "MatMul", h.op("Transpose", h.input(4, 3), perm=[1, 0]), h.op("Transpose", h.input(5, 4), perm=[1, 0])
    ),
    "Gather backwards": lambda h: h.gather(h.input(2, 7, 5), 1, 6, 5, 4, 3, 2, 1, 0),
    "Gather here and there": lambda h: h.gather(last(h, h.input(2, 4, 9)), 1, 4, 0, 6, 1, 1, 0, 5),
    "Resize": lambda h: h.resize(h.input(2, 3, 5), 2, 3, 13),
    "Resize by corners, 2-D": lambda h: h.resize(h.input(2, 3, 5, 9), 2, 3, 12, 4, mode="align_corners"),
    "Resize of one element": lambda h: h.resize(h.input(2, 3, 1, 2), 2, 3, 4, 5, mode="align_corners"),
    **{
        name: lambda h, name=name: as_float(h, h.op(name, h.op("Round", h.input(2, 3, 50)), h.constant([1.0])))
        for name in ("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal")
    },
    "And": lambda h: as_float(h, h.op("And", positives(h, 2, 3, 5), positives(h, 3, 1))),
    "Or of Not": lambda h: as_float(h, h.op("Or", h.op("Not", positives(h, 2, 3, 5)), positives(h, 2, 1, 1))),
    "Where, all broadcast": lambda h: h.op("Where", positives(h, 3, 1), h.input(2, 1, 1), h.noise(5)),
    "Where behind a Transpose": lambda h: h.op(
        "Where", h.op("Transpose", positives(h, 3, 4), perm=[1, 0]), h.input(4, 3), h.constant(0.0)
    ),
    "Pad that crops": lambda h: h.pad(h.input(2, 3, 6), [0, -1, 2, 0, 0, -2], 0.5),
    "MaxPool, dilated and padded": lambda h: h.pool(
        "MaxPool", h.input(1, 2, 12), (3,), dilations=[2], pads=[1, 2], strides=[1]
    ),
    "AveragePool at borders": lambda h: h.pool("AveragePool", h.input(1, 2, 7, 6), (3, 2), pads=[1, 1, 2, 0]),
    "Conv, dilated, of groups": lambda h: h.conv(
        h.input(2, 6, 9, 8), 4, 3, (3, 2), group=2, dilations=[2, 1], pads=[1, 0, 2, 1], strides=[2, 1]
    ),
    "Conv of each channel": lambda h: h.conv(h.input(1, 20, 30), 20, 1, (5,), group=20, strides=[2]),
    "Gemm behind a flattened picture": lambda h: h.gemm(h.reshape(last(h, h.input(2, 4, 5)), 2, 24), 5, 24),
}


def test_every_operator(hub: Any, differences: Callable[..., Any]) -> None:
    h = hub(3)
    made = {build(h): name for name, build in CASES.items()}
    found = differences(h.model(*made), h.feeds())
    assert {made[name]: off for name, off in found.items() if not off <= 1} == {}


def test_functions_at_their_edges(hub: Any, written: Any, compiler: str) -> None:
    """Against float64 of numpy, to 4 units in the last place of float32, subnormal results to one of theirs."""
    from targets.c.run import load

    functions: dict[str, Callable[..., Any]] = {
        "Exp": np.exp, "Log": np.log, "Sqrt": np.sqrt, "Abs": np.abs, "Floor": np.floor, "Ceil": np.ceil,
        "Round": np.rint, "Sign": np.sign, "Tanh": np.tanh, "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "Sin": np.sin, "Cos": np.cos,
    }  # fmt: skip
    random = np.random.default_rng(0)
    spread = (random.normal(0, 1, 3000) * 10.0 ** random.integers(-6, 6, 3000)).astype(np.float32)
    x = np.concatenate([EDGES, spread, random.uniform(-100, 100, 3000).astype(np.float32)])
    h = hub()
    given = h.input(len(x))
    made = {h.op(name, given): name for name in functions}
    found = load(written(h.model(*made))).run({given: x})
    for output, name in made.items():
        with np.errstate(all="ignore"):
            exact = functions[name](x.astype(np.float64))
            wanted = exact.astype(np.float32)
        same = (found[output] == wanted) | (np.isnan(found[output]) & np.isnan(wanted))
        with np.errstate(all="ignore"):
            off = np.where(same, 0, np.abs(found[output] - exact) / np.spacing(np.abs(wanted)))
        worst = int(np.nanargmax(np.where(np.isnan(off), np.inf, off)))
        assert not off[worst] > 4, f"{name}({x[worst]}) is {found[output][worst]}, not {wanted[worst]}"


def test_half_precision_weights(hub: Any, differences: Callable[..., Any]) -> None:
    """Also subnormal ones and the largest, in products with tails of rows, inputs and outputs."""
    h = hub(4)

    def half(*shape: int) -> str:
        data = h.random.normal(0, 0.1, shape)
        data.reshape(-1)[:4] = 6e-8, -3e-5, 65504, 0
        return h.op("Cast", h.constant(data, np.float16), to=1)

    given = {"kernel_shape": [3], "strides": [1], "dilations": [1], "pads": [1, 1], "group": 1}
    x = h.op("Conv", h.input(1, 5, 23), half(18, 5, 3), h.noise(18), **given)
    rows = h.op("Gemm", h.input(3, 130), half(7, 130), transB=1, transA=0, alpha=1.0, beta=1.0)
    assert all(off <= 1 for off in differences(h.model(x, rows), h.feeds()).values())
