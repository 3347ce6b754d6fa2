"""Generated networks for every operator with an integer form: at most one step from onnxruntime on the same graph.

A network is the operator with drawn shapes and attributes, on an input that is quantised, or behind a convolution that
leaves it channels-last. XNNPACK executes it; products with int8 weights alone are compared within float32's rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

pytest.importorskip("ai_edge_litert")

Draw = Callable[[st.SearchStrategy[Any]], Any]
Build = Callable[[Any, Draw, str, tuple[int, ...]], str]

SMALL = st.integers(1, 4)
SIZE = st.integers(3, 12)


def source(h: Any, draw: Draw, ranks: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """An input, or what a convolution makes of it."""
    rank = draw(st.sampled_from(ranks))
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 6)), *(draw(SIZE) for _ in range(rank - 2)))
    shape = shape if rank > 1 else (draw(SIZE),)
    x = h.input(*shape)
    if rank in (3, 4) and draw(st.booleans()):
        x = h.conv(x, shape[1], shape[1], (1,) * (rank - 2))
    return x, shape


def window(draw: Draw, shape: tuple[int, ...], dilated: bool = False) -> dict[str, Any]:
    """Strides, pads and dilations of a window that fits into ``shape``."""
    axes = len(shape) - 2
    kernel = tuple(draw(st.integers(1, min(4, shape[2 + axis]))) for axis in range(axes))
    dilations = [draw(st.integers(1, 2)) if dilated else 1 for _ in range(axes)]
    reach = [(size - 1) * step for size, step in zip(kernel, dilations, strict=True)]
    assume(all(far < size for far, size in zip(reach, shape[2:], strict=True)))
    pads = [draw(st.integers(0, size - 1)) for size in kernel * 2]
    strides = [draw(st.integers(1, 3)) for _ in range(axes)]
    return {"kernel": kernel, "strides": strides, "pads": pads, **({"dilations": dilations} if dilated else {})}


def divisor(draw: Draw, number: int) -> int:
    return int(draw(st.sampled_from([n for n in range(1, number + 1) if number % n == 0])))


def conv(h: Any, draw: Draw, x: str, shape: tuple[int, ...]) -> str:
    group = divisor(draw, shape[1])
    given = window(draw, shape, dilated=True)
    y = h.conv(x, group * draw(SMALL), shape[1] // group, bias=draw(st.booleans()), group=group, **given)
    return h.op("Relu", y) if draw(st.booleans()) else y


def conv_transpose(h: Any, draw: Draw, x: str, shape: tuple[int, ...]) -> str:
    group = divisor(draw, shape[1])
    given = window(draw, shape, dilated=draw(st.booleans()))
    extra = [draw(st.integers(0, stride - 1)) for stride in given["strides"]]
    axes = len(extra)
    kept = [
        (size - 1) * stride + (width - 1) * dilation + 1 + more - before - after
        for size, stride, width, dilation, more, before, after in zip(
            shape[2:], given["strides"], given["kernel"], given.get("dilations", [1] * axes), extra,
            given["pads"][:axes], given["pads"][axes:], strict=True,
        )
    ]  # fmt: skip
    assume(min(kept) > 0)
    bias, filters = draw(st.booleans()), group * draw(SMALL)
    return h.conv_transpose(x, filters, shape[1], bias=bias, group=group, output_padding=extra, **given)


def gemm(h: Any, draw: Draw, x: str, shape: tuple[int, ...]) -> str:
    y = h.gemm(x, draw(st.integers(1, 9)), shape[1], bias=draw(st.booleans()))
    return h.op("Relu", y) if draw(st.booleans()) else y


def function(name: str, **attributes: float) -> Build:
    return lambda h, draw, x, shape: h.op(name, x, **attributes)  # noqa: ARG005


def binary(name: str) -> Build:
    def build(h: Any, draw: Draw, x: str, shape: tuple[int, ...]) -> str:
        other = tuple(size if draw(st.booleans()) else 1 for size in shape[draw(st.integers(0, len(shape) - 1)) :])
        operands = [
            x,
            h.noise(*other, scale=draw(st.sampled_from([0.1, 1, 20]))) if draw(st.booleans()) else h.input(*other),
        ]
        y = h.op(name, *draw(st.permutations(operands)))
        # Of few sums all may be negative; their scale is then of another order, which XNNPACK leaves alone.
        return h.op("Relu", y) if name == "Add" and prod(shape) > 9 and draw(st.booleans()) else y

    return build


def concat(h: Any, draw: Draw, x: str, shape: tuple[int, ...]) -> str:
    axis = draw(st.integers(0, len(shape) - 1))
    others = [h.input(*shape[:axis], draw(SMALL), *shape[axis + 1 :]) for _ in range(draw(st.integers(1, 6)))]
    return h.op("Concat", x, *others, axis=axis)


def pad(h: Any, draw: Draw, x: str, shape: tuple[int, ...]) -> str:
    return h.pad(x, [draw(st.integers(0, 2)) for _ in shape * 2], draw(st.sampled_from([None, 0.5])))


def reshape(h: Any, draw: Draw, x: str, shape: tuple[int, ...]) -> str:
    merged = (*shape[:-2], shape[-2] * shape[-1]) if len(shape) > 1 else (1, *shape)
    return h.op("Transpose", h.reshape(x, *merged), perm=draw(st.permutations(range(len(merged)))))


def transpose(h: Any, draw: Draw, x: str, shape: tuple[int, ...]) -> str:
    return h.op("Transpose", x, perm=draw(st.permutations(range(len(shape)))))


def slice_(h: Any, draw: Draw, x: str, shape: tuple[int, ...]) -> str:
    axis = draw(st.integers(0, len(shape) - 1))
    start = draw(st.integers(0, shape[axis] - 1))
    return h.slice(x, axis, start, draw(st.integers(start + 1, shape[axis])), draw(st.integers(1, 3)))


def gather(h: Any, draw: Draw, x: str, shape: tuple[int, ...]) -> str:
    axis = draw(st.integers(0, len(shape) - 1))
    indices = draw(st.lists(st.integers(0, shape[axis] - 1), min_size=1, max_size=9))
    times = draw(st.integers(1, 3))
    return h.gather(x, axis, *(index for index in indices for _ in range(times)))


def expand(h: Any, draw: Draw, x: str, shape: tuple[int, ...]) -> str:
    axis = draw(st.integers(0, len(shape) - 1))
    one = h.slice(x, axis, 0, 1)
    return h.expand(one, *shape[:axis], draw(st.integers(1, 40)), *shape[axis + 1 :])


def pool(name: str) -> Build:
    def build(h: Any, draw: Draw, x: str, shape: tuple[int, ...]) -> str:
        given = window(draw, shape)
        assume(prod(given["kernel"]) > 1)  # XNNPACK leaves pools of one element alone, and those with gaps
        given["strides"] = [min(pair) for pair in zip(given["strides"], given["kernel"], strict=True)]
        counted = {"count_include_pad": draw(st.integers(0, 1))} if name == "AveragePool" else {}
        return h.pool(name, x, given.pop("kernel"), **given, **counted)

    return build


ANY, SPATIAL = (1, 2, 3, 4), (3, 4)
OPERATORS: Mapping[str, tuple[Build, tuple[int, ...]]] = {
    "Conv": (conv, SPATIAL),
    "ConvTranspose": (conv_transpose, SPATIAL),
    "Gemm": (gemm, (2,)),
    "Relu": (function("Relu"), ANY),
    "LeakyRelu": (function("LeakyRelu", alpha=0.1), ANY),
    "Sigmoid": (function("Sigmoid"), ANY),
    "Tanh": (function("Tanh"), ANY),
    "Add": (binary("Add"), ANY),
    "Mul": (binary("Mul"), ANY),
    "Concat": (concat, ANY),
    "Pad": (pad, ANY),
    "Reshape": (reshape, ANY),
    "Transpose": (transpose, ANY),
    "Slice": (slice_, ANY),
    "Gather": (gather, ANY),
    "Expand": (expand, ANY),
    "MaxPool": (pool("MaxPool"), SPATIAL),
    "AveragePool": (pool("AveragePool"), SPATIAL),
    "GlobalAveragePool": (function("GlobalAveragePool"), SPATIAL),
}
CASES = [(name, scheme) for name in OPERATORS for scheme in ("float", "w8a8")]
CASES += [(name, "w8") for name in ("Conv", "ConvTranspose", "Gemm")]


@pytest.mark.parametrize(("operator", "scheme"), CASES)
def test_generated_networks(hub: Any, attempt: Any, operator: str, scheme: str) -> None:
    build, ranks = OPERATORS[operator]

    @settings(max_examples=12, suppress_health_check=[HealthCheck.filter_too_much], phases=[Phase.generate])
    @given(st.data())
    def check(data: st.DataObject) -> None:
        h = hub(data.draw(st.integers(0, 99)))
        model = h.model(build(h, data.draw, *source(h, data.draw, ranks)))
        trial = attempt(model, h.feeds(), scheme)
        assert trial.excess() <= 1
        assert set(trial.delegation.outside) <= {"GATHER"}

    check()
