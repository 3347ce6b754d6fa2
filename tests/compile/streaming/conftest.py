"""Networks that can be streamed, drawn at random, and how to push audio through one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from compile import capture
from compile.model import Model
from compile.simplify.pipeline import simplify
from targets.base import Runner
from targets.stream import Stream
from targets.streamed import Streamed

Array = NDArray[np.float32]


class Drawn:
    """A network of valid operators in the making: ``x [1, samples]`` to frames of ``y``.

    Args:
        seed: of the drawing.
        end: ``flat`` (a fully connected layer reads all frames), ``mean`` (one reads their mean), ``frames`` (none).
    """

    def __init__(self, seed: int, end: str = "flat") -> None:
        self.choose, self.random = Random(seed), np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.samples = self.length = self.choose.randint(400, 700)
        self.channels = 1
        self.now = self.add("Reshape", "x", self.constant([1, 1, self.samples]))
        for draw in self.choose.choices(DRAWS, k=self.choose.randint(3, 7)):
            if self.length > 60:
                draw(self)
        if self.length > 40:
            self.strided()
        if end == "mean":
            self.now, self.length = self.add("GlobalAveragePool", self.now), 1
        if end != "frames":
            self.now = self.add("Reshape", self.now, self.constant([1, -1]))
            inside = self.channels * self.length
            self.now = self.add("Gemm", self.now, self.weight(4, inside), self.weight(4), transB=1)
        self.shape = (1, self.channels, self.length) if end == "frames" else (1, 4)

    def proto(self) -> onnx.ModelProto:
        """The network as drawn."""
        self.nodes[-1].output[0] = "y"
        graph = helper.make_graph(
            self.nodes,
            "drawn",
            [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, self.samples])],
            [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, self.shape)],
            self.constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    def add(self, operator: str, *inputs: str, **attributes: object) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def constant(self, data: object, dtype: type = np.int64) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(data, dtype), name))
        return name

    def weight(self, *shape: int) -> str:
        gain = float(np.prod(shape[1:])) ** -0.5 if len(shape) > 1 else 0.3
        return self.constant(self.random.normal(0, gain, shape), np.float32)

    def convolved(self, source: str, kernel: int, stride: int = 1, dilation: int = 1, channels: int = 0) -> str:
        out = channels or self.channels
        weights = self.weight(out, self.channels, kernel), self.weight(out)
        return self.add("Conv", source, *weights, strides=[stride], dilations=[dilation])

    def cut(self, source: str, start: int, end: int, step: int = 1) -> str:
        return self.add("Slice", source, *(self.constant([number]) for number in (start, end, 2, step)))

    def strided(self) -> None:
        kernel, stride, dilation = (
            self.choose.randint(1, 7),
            self.choose.randint(1, 4),
            self.choose.choice([1, 1, 2, 3]),
        )
        channels = self.choose.choice([4, 6, 8])
        self.now = self.convolved(self.now, kernel, stride, dilation, channels)
        self.channels, self.length = channels, (self.length - (kernel - 1) * dilation - 1) // stride + 1
        self.now = self.add("Relu", self.now)

    def pooled(self) -> None:
        kernel, stride = self.choose.randint(1, 4), self.choose.randint(1, 3)
        operator = self.choose.choice(["MaxPool", "AveragePool"])
        self.now = self.add(operator, self.now, kernel_shape=[kernel], strides=[stride])
        self.length = (self.length - kernel) // stride + 1

    def residual(self) -> None:
        side = self.choose.randint(1, 3)
        inner = self.cut(self.now, side, self.length - side)
        self.now = self.add("Relu", self.add("Add", self.convolved(self.now, 2 * side + 1), inner))
        self.length -= 2 * side

    def branches(self) -> None:
        """Two convolutions, of which one hears later samples, or fewer of them."""
        short, long, stride, late = *sorted(self.choose.sample(range(1, 9), 2)), self.choose.randint(1, 3), 0
        if self.choose.random() < 0.5:
            late = self.choose.randint(1, 5)
        first = self.convolved(self.cut(self.now, late, self.length), short, stride)
        second = self.convolved(self.now, long, stride)
        one, other = (self.length - late - short) // stride + 1, (self.length - long) // stride + 1
        self.length = min(one, other)
        parts = [self.cut(first, one - self.length, one), self.cut(second, 0, self.length)]
        self.now, self.channels = self.add("Concat", *parts, axis=1), 2 * self.channels

    def thinned(self) -> None:
        start, step = self.choose.randint(0, 3), self.choose.randint(2, 3)
        self.now = self.cut(self.now, start, self.length, step)
        self.length = -(-(self.length - start) // step)

    def pointwise(self) -> None:
        operator = self.choose.choice(["Tanh", "Sigmoid", "LeakyRelu", "Exp", "scale", "dense"])
        if operator == "scale":
            scaled = self.add("Mul", self.now, self.weight(self.channels, 1))
            self.now = self.add("Add", scaled, self.weight(1, self.channels, 1))
        elif operator == "dense":  # a fully connected layer a frame
            rows = self.add("Transpose", self.now, perm=[0, 2, 1])
            dense = self.add("MatMul", rows, self.weight(self.channels, self.channels))
            self.now = self.add("Transpose", dense, perm=[0, 2, 1])
        elif operator == "Exp":
            self.now = self.add("Exp", self.add("Tanh", self.now))
        else:
            self.now = self.add(operator, self.now)


DRAWS = (
    *(Drawn.strided, Drawn.strided, Drawn.pooled, Drawn.residual, Drawn.residual),
    *(Drawn.branches, Drawn.thinned, Drawn.pointwise),
)


@pytest.fixture
def drawn(tmp_path: Path) -> Callable[[int, str], Model]:
    """A drawn network in the hub dialect, by seed and end."""

    def draw(seed: int, end: str) -> Model:
        path = tmp_path / f"drawn{seed}.onnx"
        onnx.save(Drawn(seed, end).proto(), path)
        return simplify(capture.from_onnx(path)).model

    return draw


@pytest.fixture
def hops() -> Callable[[Runner, Stream, Array], Iterator[tuple[int, Array]]]:
    """Push ``audio [1, samples]`` from the reset on: (samples heard so far, the first output) after every hop."""

    def push(runner: Runner, stream: Stream, audio: Array) -> Iterator[tuple[int, Array]]:
        streamed = Streamed(runner, stream)
        ((name, _),) = streamed.inputs.items()
        for end in range(stream.hop, audio.shape[1] + 1, stream.hop):
            outputs = streamed.run({name: np.ascontiguousarray(audio[:, end - stream.hop : end])})
            yield end, np.asarray(next(iter(outputs.values())), np.float32)

    return push
