"""Hub graphs for the targets' tests, and a small quantiser of its own.

``hub()`` collects a float graph in the dialect of docs/hub.md; ``quantize(model, scheme, inputs)`` rewrites it with
Q/DQ pairs. Neither uses the code under test: shapes come from ONNX's own inference, ranges from onnxruntime.
``generated`` draws networks of every operator that has an integer form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import assume
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Arrays = Mapping[str, NDArray[Any]]

MOVES = ("Reshape", "Transpose", "Slice", "Gather", "Expand", "MaxPool", "Pad", "Concat")
SHARES = (*MOVES, "AveragePool", "GlobalAveragePool")
FIXED = {"Sigmoid": (np.float32(1 / 256), -128), "Tanh": (np.float32(1 / 128), 0)}


class Hub:
    """A float graph in the making; each operator method returns the name of its output."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.inputs: list[Any] = []
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def input(self, *shape: int) -> str:
        name = f"in{len(self.inputs)}"
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return name

    def constant(self, data: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(data, dtype), name))
        return name

    def array(self, name: str) -> NDArray[Any]:
        """The data of a constant."""
        return next(numpy_helper.to_array(tensor) for tensor in self.constants if tensor.name == name)

    def noise(self, *shape: int, scale: float = 1.0) -> str:
        return self.constant(self.random.normal(0, scale, shape))

    def op(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [f"v_{name}"], name=name, **attributes))
        return f"v_{name}"

    def conv(
        self, x: str, o: int, i: int, kernel: tuple[int, ...], bias: bool = True, group: int = 1, **given: Any
    ) -> str:
        """Conv with random weights of unit gain; ``i`` is the channels of one group."""
        rank = len(kernel)
        attributes = {"strides": [1] * rank, "dilations": [1] * rank, "pads": [0] * 2 * rank, "group": group, **given}
        weight = self.noise(o, i, *kernel, scale=(i * np.prod(kernel)) ** -0.5)
        operands = [x, weight] + ([self.noise(o, scale=0.3)] if bias else [])
        return self.op("Conv", *operands, kernel_shape=list(kernel), **attributes)

    def conv_transpose(
        self, x: str, o: int, i: int, kernel: tuple[int, ...], bias: bool = True, group: int = 1, **given: Any
    ) -> str:
        """ConvTranspose with random weights; ``o`` and ``i`` are all channels."""
        rank = len(kernel)
        attributes = {"strides": [1] * rank, "dilations": [1] * rank, "pads": [0] * 2 * rank, "group": group}
        attributes |= {"output_padding": [0] * rank, **given}
        weight = self.noise(i, o // group, *kernel, scale=(i // group * np.prod(kernel)) ** -0.5)
        operands = [x, weight] + ([self.noise(o, scale=0.3)] if bias else [])
        return self.op("ConvTranspose", *operands, kernel_shape=list(kernel), **attributes)

    def gemm(self, x: str, m: int, k: int, bias: bool = True) -> str:
        operands = [x, self.noise(m, k, scale=k**-0.5)] + ([self.noise(m, scale=0.3)] if bias else [])
        return self.op("Gemm", *operands, transB=1, transA=0, alpha=1.0, beta=1.0)

    def reshape(self, x: str, *shape: int) -> str:
        return self.op("Reshape", x, self.constant(shape, np.int64))

    def gather(self, x: str, axis: int, *indices: int) -> str:
        return self.op("Gather", x, self.constant(indices, np.int64), axis=axis)

    def expand(self, x: str, *shape: int) -> str:
        return self.op("Expand", x, self.constant(shape, np.int64))

    def reduce(self, kind: str, x: str, *axes: int) -> str:
        return self.op(f"Reduce{kind}", x, self.constant(axes, np.int64), keepdims=1)

    def resize(self, x: str, *shape: int, mode: str = "half_pixel") -> str:
        sizes = self.constant(shape, np.int64)
        return self.op("Resize", x, "", "", sizes, mode="linear", coordinate_transformation_mode=mode)

    def slice(self, x: str, axis: int, start: int, end: int, step: int = 1) -> str:
        numbers = [self.constant([number], np.int64) for number in (start, end, axis, step)]
        return self.op("Slice", x, *numbers)

    def pad(self, x: str, pads: list[int], value: float | None = None) -> str:
        operands = [self.constant(pads, np.int64)] + ([] if value is None else [self.constant(value)])
        return self.op("Pad", x, *operands, mode="constant")

    def pool(self, kind: str, x: str, kernel: tuple[int, ...], **given: Any) -> str:
        rank = len(kernel)
        attributes = {"kernel_shape": list(kernel), "strides": list(kernel), "pads": [0] * 2 * rank, "ceil_mode": 0}
        extra = {"dilations": [1] * rank} if kind == "MaxPool" else {"count_include_pad": 0}
        return self.op(kind, x, **{**attributes, **extra, **given})

    def model(self, *outputs: str, metadata: Mapping[str, str] | None = None) -> onnx.ModelProto:
        infos = [helper.make_empty_tensor_value_info(name) for name in outputs]
        graph = helper.make_graph(self.nodes, "net", self.inputs, infos, self.constants)
        model = _model(graph)
        helper.set_model_props(model, dict(metadata or {}))
        return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)

    def feeds(self) -> dict[str, NDArray[np.float32]]:
        """Random inputs."""
        return {
            info.name: self.random.normal(0, 1, [d.dim_value for d in info.type.tensor_type.shape.dim]).astype(
                np.float32
            )
            for info in self.inputs
        }


def _model(graph: Any) -> onnx.ModelProto:
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def _run(model: onnx.ModelProto, feeds: Arrays) -> dict[str, NDArray[Any]]:
    """The reference: onnxruntime without graph rewriting, so that Q/DQ mean what they say."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


def _ranges(model: onnx.ModelProto, feeds: Arrays) -> dict[str, tuple[float, float]]:
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    known = {output.name for output in probe.graph.output}
    made = {name for node in model.graph.node for name in node.output}
    probe.graph.output.extend(info for info in model.graph.value_info if info.name in made - known)
    values = {**feeds, **_run(probe, feeds)}
    return {name: (min(float(v.min()), 0.0), max(float(v.max()), 0.0)) for name, v in values.items()}


class _Quantizer:
    """Rewrites one float model after the rules of docs/hub.md."""

    def __init__(self, model: onnx.ModelProto, scheme: str, feeds: Arrays) -> None:
        self.model, self.scheme = model, scheme
        self.data = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        self.ranges = _ranges(model, feeds)
        self.root = {name: name for name in self.ranges}
        self.fixed: dict[str, tuple[Any, int]] = {}
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.ready: set[str] = set()

    def find(self, name: str) -> str:
        return name if self.root[name] == name else self.find(self.root[name])

    def parameters(self, name: str) -> tuple[np.float32, np.int8]:
        root = self.find(name)
        if root in self.fixed:
            scale, zero = self.fixed[root]
            return scale, np.int8(zero)
        members = [self.ranges[other] for other in self.root if self.find(other) == root]
        low, high = min(low for low, _ in members), max(high for _, high in members)
        scale = np.float32((high - low) / 255 or 1.0)
        return scale, np.int8(np.clip(np.rint(-128 - low / scale), -128, 127))

    def put(self, name: str, data: Any) -> str:
        self.constants[name] = numpy_helper.from_array(np.asarray(data), name)
        return name

    def pair(self, name: str) -> str:
        """The DQ side of an activation, made once."""
        if name not in self.ready:
            scale, zero = self.parameters(name)
            side = [self.put(f"{name}_s", scale), self.put(f"{name}_z", zero)]
            self.nodes.append(helper.make_node("QuantizeLinear", [name, *side], [f"{name}_q"], name=f"{name}_Q"))
            self.nodes.append(
                helper.make_node("DequantizeLinear", [f"{name}_q", *side], [f"{name}_d"], name=f"{name}_DQ")
            )
            self.ready.add(name)
        return f"{name}_d"

    def weight(self, name: str, axis: int, copies: int) -> tuple[str, NDArray[np.float32]]:
        """The DQ side of a weight, by channel along ``axis``; and the scale of each output, for ``copies`` groups."""
        data = self.data[name]
        scale = (np.abs(np.moveaxis(data, axis, 0)).reshape(data.shape[axis], -1).max(1) / 127).astype(np.float32)
        by_channel = scale.reshape([-1 if at == axis else 1 for at in range(data.ndim)])
        self.put(f"{name}_i", np.clip(np.rint(data / by_channel), -127, 127).astype(np.int8))
        side = [self.put(f"{name}_s", scale), self.put(f"{name}_z", np.zeros(len(scale), np.int8))]
        self.nodes.append(
            helper.make_node("DequantizeLinear", [f"{name}_i", *side], [f"{name}_d"], name=f"{name}_DQ", axis=axis)
        )
        return f"{name}_d", np.tile(scale, copies)

    def bias(self, name: str, scale: NDArray[np.float32]) -> str:
        self.put(f"{name}_i", np.rint(self.data[name] / scale).astype(np.int32))
        side = self.put(f"{name}_s", scale)
        self.nodes.append(
            helper.make_node("DequantizeLinear", [f"{name}_i", side], [f"{name}_d"], name=f"{name}_DQ", axis=0)
        )
        return f"{name}_d"

    def operand(self, name: str) -> str:
        """A constant operand of Add, Mul or Concat, per tensor."""
        data = self.data[name]
        scale, zero = self.parameters(name)
        self.put(f"{name}_i", np.clip(np.rint(data / scale) + zero, -128, 127).astype(np.int8))
        side = [self.put(f"{name}_s", scale), self.put(f"{name}_z", zero)]
        self.nodes.append(helper.make_node("DequantizeLinear", [f"{name}_i", *side], [f"{name}_d"], name=f"{name}_DQ"))
        return f"{name}_d"

    def is_activation(self, node: Any) -> bool:
        """Whether a kernel computes it along: Relu, and Clip to [0, 6]."""
        bounds = [float(self.data[name]) for name in node.input[1:]] if node.op_type == "Clip" else []
        return node.op_type == "Relu" or bounds == [0, 6]

    def run(self) -> onnx.ModelProto:
        graph = self.model.graph
        integer = self.scheme == "w8a8"
        uses = [name for node in graph.node for name in node.input] + [output.name for output in graph.output]
        for node in graph.node:
            if node.op_type in ("Add", "Mul", "Concat"):
                for name in [name for name in node.input if name in self.data]:
                    self.ranges[name] = (min(float(self.data[name].min()), 0.0), max(float(self.data[name].max()), 0.0))
                    self.root[name] = name
        for node in graph.node:
            if node.op_type in SHARES:
                for name in [*node.input, *node.output]:
                    if name in self.root:
                        self.root[self.find(name)] = self.find(node.output[0])
        for node in graph.node:
            if node.op_type in FIXED:
                self.fixed[self.find(node.output[0])] = FIXED[node.op_type]
        alone = {name for name in uses if uses.count(name) == 1}
        absorbed = {
            node.output[0]
            for node in graph.node
            if node.op_type in ("Conv", "Gemm", "Add") and node.output[0] in alone
            if any(self.is_activation(other) and other.input[0] == node.output[0] for other in graph.node)
        }
        for node in graph.node:
            inputs = list(node.input)
            product = node.op_type in ("Conv", "ConvTranspose", "Gemm")
            if integer:
                skipped = absorbed | self.data.keys()
                inputs = [self.pair(name) if name in self.root and name not in skipped else name for name in inputs]
            if product and self.scheme != "float":
                turned = node.op_type == "ConvTranspose"
                groups = next((a.i for a in node.attribute if a.name == "group"), 1)
                inputs[1], scale = self.weight(node.input[1], int(turned), groups if turned else 1)
                if integer and len(inputs) > 2:
                    inputs[2] = self.bias(node.input[2], self.parameters(node.input[0])[0] * scale)
            if integer and node.op_type in ("Add", "Mul", "Concat"):
                inputs = [self.operand(name) if name in self.data else name for name in inputs]
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            del copy.input[:]
            copy.input.extend(inputs)
            self.nodes.append(copy)
        if integer:
            for output in graph.output:
                self.pair(output.name)
        names = [f"{output.name}_d" if integer else output.name for output in graph.output]
        infos = [helper.make_empty_tensor_value_info(name) for name in names]
        used = {name for node in self.nodes for name in node.input}
        kept = [t for t in graph.initializer if t.name in used]
        model = _model(helper.make_graph(self.nodes, "net", graph.input, infos, [*kept, *self.constants.values()]))
        model.metadata_props.extend(self.model.metadata_props)
        return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)


@pytest.fixture
def hub() -> Callable[..., Hub]:
    """Starts a float hub graph."""
    return Hub


@pytest.fixture
def quantize() -> Callable[..., onnx.ModelProto]:
    """``quantize(model, scheme, feeds)``: the graph with the Q/DQ pairs of ``w8a8`` or ``w8``; ``float`` as it is."""
    return lambda model, scheme, feeds: _Quantizer(model, scheme, feeds).run()


@pytest.fixture
def reference() -> Callable[..., dict[str, NDArray[Any]]]:
    """``reference(model, feeds)``: outputs by onnxruntime."""
    return _run


@pytest.fixture
def generated() -> Mapping[str, Callable[[Any, Callable[..., Any]], str]]:
    """For each operator with an integer form, ``build(hub, draw)``: the operator with drawn shapes and attributes."""

    def on(build: Build, ranks: tuple[int, ...]) -> Callable[[Any, Draw], str]:
        return lambda h, draw: build(h, draw, *source(h, draw, ranks))

    return {name: on(*entry) for name, entry in OPERATORS.items()}


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
