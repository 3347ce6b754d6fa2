"""Lowers ONNX protos and stores the packages where a test may run them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir
import pytest

from compile.model import Model
from targets.base import Artifact
from targets.coreml.lower import lower


@pytest.fixture
def lowered() -> Callable[..., Artifact]:
    """``lowered(proto, form)``: the package of a hub graph; in float32 where no form is asked for."""
    return lambda proto, form="fp32": lower(Model(ir.from_proto(proto)), form)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[Any], Path]:
    """Writes a package's files; returns the package's folder."""

    def save(files: Any) -> Path:
        for name, data in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(data)
        return tmp_path / next(iter(files)).split("/")[0]

    return save


@pytest.fixture
def student(student_of: Any) -> onnx.ModelProto:
    """The shape of the demo's student, int8: strided convolutions, cropped residuals, two fully connected layers."""
    return student_of("w8a8")


@pytest.fixture
def student_of(hub: Any, quantize: Any) -> Callable[[str], onnx.ModelProto]:
    """The same in another scheme."""
    return lambda scheme: _student(hub, quantize, scheme)


def _student(hub: Any, quantize: Any, scheme: str) -> onnx.ModelProto:
    net = hub(7)
    x = net.reshape(net.input(1, 8192), 1, 1, 8192)
    before, length = 1, 8192
    for kernel, stride, after in ((22, 10, 16), (10, 4, 32), (7, 4, 64), (4, 2, 80)):
        x = net.op("Relu", net.conv(x, after, before, (kernel,), strides=[stride]))
        before, length = after, (length - kernel) // stride + 1
    for _ in range(5):
        residual = net.slice(x, 2, 2, length - 2)
        x = net.op("Relu", net.op("Add", net.conv(x, 80, 80, (5,)), residual))
        length -= 4
    x = net.reshape(net.op("Relu", net.conv(x, 80, 80, (4,))), 1, 80)
    x = net.gemm(net.op("Relu", net.gemm(x, 80, 80)), 52, 80)
    names = ",".join(f'"control{index:08}"' for index in range(52))  # as long as ARKit's on average
    facts = {"sample_rate": "16000", "frame_rate": "50.0", "window": "8192", "look_ahead_ms": "256.0"}
    metadata = {f"phiz.{key}": value for key, value in {**facts, "controls": f"[{names}]"}.items()}
    model = net.model(x, metadata=metadata)
    return quantize(model, scheme, net.feeds())
