"""Small networks and samples that several tests of the compiler share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper


class Tiny:
    """An ONNX file in the making: waveform ``x [1, 512]`` → Conv1d ×2 with a residual → Gemm → ``y [1, 4]``."""

    def __init__(self) -> None:
        random = np.random.default_rng(3)

        def weight(name: str, *shape: int) -> onnx.TensorProto:
            gain = np.prod(shape[1:]) ** -0.5 if len(shape) > 1 else 0.1
            return numpy_helper.from_array(random.normal(0, gain, shape).astype(np.float32), name)

        constants = [
            numpy_helper.from_array(np.asarray(numbers, np.int64), name)
            for name, numbers in {"s1": [1, 1, 512], "b": [1], "e": [-1], "a": [2], "flat": [1, -1]}.items()
        ]
        self.constants = [
            *constants,
            *(weight("w1", 8, 1, 16), weight("b1", 8), weight("w2", 8, 8, 3), weight("w3", 4, 8 * 61), weight("b3", 4)),
        ]
        self.nodes = [
            helper.make_node("Reshape", ["x", "s1"], ["wave"]),
            helper.make_node("Conv", ["wave", "w1", "b1"], ["c1"], strides=[8], name="first"),
            helper.make_node("Relu", ["c1"], ["r1"]),
            helper.make_node("Conv", ["r1", "w2"], ["c2"], name="second"),
            helper.make_node("Slice", ["r1", "b", "e", "a"], ["crop"]),
            helper.make_node("Add", ["c2", "crop"], ["sum"]),
            helper.make_node("Relu", ["sum"], ["r2"]),
            helper.make_node("Reshape", ["r2", "flat"], ["features"]),
            helper.make_node("Gemm", ["features", "w3", "b3"], ["y"], transB=1, name="head"),
        ]
        self.inputs: list[tuple[str, list[int | str]]] = [("x", [1, 512])]
        self.outputs: list[tuple[str, list[int | str]]] = [("y", [1, 4])]

    def replace(self, name: str, data: np.ndarray) -> Tiny:
        """Swap a constant."""
        self.constants = [c for c in self.constants if c.name != name]
        self.constants.append(numpy_helper.from_array(data, name))
        return self

    def proto(self) -> onnx.ModelProto:
        ports = [
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in side]
            for side in (self.inputs, self.outputs)
        ]
        graph = helper.make_graph(self.nodes, "tiny", *ports, initializer=self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)

    def save(self, path: Path) -> Path:
        onnx.save(self.proto(), path)
        return path


@pytest.fixture
def tiny() -> Tiny:
    return Tiny()


@pytest.fixture
def tiny_path(tmp_path: Path) -> Path:
    return Tiny().save(tmp_path / "tiny.onnx")


@pytest.fixture
def noise() -> Callable[..., np.ndarray]:
    """Smooth noise with loud and quiet stretches: ``noise(count, 512)``, float32."""

    def draw(*shape: int) -> np.ndarray:
        random = np.random.default_rng(11)
        level = random.uniform(0.1, 1, (shape[0], *[1] * (len(shape) - 1)))
        return (random.normal(size=shape) * level).astype(np.float32)

    return draw
