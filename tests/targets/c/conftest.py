"""Running generated C beside onnxruntime. Without a C compiler these tests are skipped, and say so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from compile.model import Model
from targets.c.dissect import dissect
from targets.c.lower import lower
from targets.c.run import load

STRICT = ("-std=c99", "-O1", "-fPIC", "-shared", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror")
# float32's eps times what is accumulated on the way; some functions are good to a few of their last bits.
FLOAT = 1e-5


@pytest.fixture
def written(tmp_path: Path) -> Callable[[onnx.ModelProto], Path]:
    """``written(model)``: the path of the source that a hub graph becomes, its header beside it."""

    def write(model: onnx.ModelProto) -> Path:
        artifact = lower(Model(ir.from_proto(model)))
        for name, data in artifact.files.items():
            (tmp_path / name).write_bytes(data)
        dissect(artifact.files)
        return tmp_path / artifact.name

    return write


@pytest.fixture
def differences(
    compiler: str, written: Callable[..., Path], quantize: Callable[..., Any], reference: Callable[..., Any]
) -> Callable[..., dict[str, float]]:
    """``differences(model, feeds, scheme)``: how far each output is from onnxruntime's, in what it may be off by.

    That is one step for an output of integers, and ``FLOAT`` of its largest element for one of floats.
    """

    def run(model: onnx.ModelProto, feeds: dict[str, Any], scheme: str = "float") -> dict[str, float]:
        own = quantize(model, scheme, feeds)
        expected = reference(own, feeds)
        found = load(written(own), STRICT).run(feeds)
        assert list(found) == list(expected)
        allowed = tolerances(own, expected)
        return {name: apart(found[name], expected[name]) / allowed[name] for name in expected}

    return run


def apart(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """The largest difference; none between equal infinities and between NaNs."""
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    with np.errstate(invalid="ignore"):
        same = (found == expected) | (np.isnan(found) & np.isnan(expected))
        return float(np.where(same, 0.0, np.abs(found - expected)).max(initial=0))


def tolerances(model: onnx.ModelProto, expected: dict[str, NDArray[Any]]) -> dict[str, float]:
    """Of each output: a step where it comes from a DQ."""
    data = {tensor.name: tensor for tensor in model.graph.initializer}
    steps = {
        node.output[0]: float(numpy_helper.to_array(data[node.input[1]]))
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] not in data
    }
    found = {}
    for name, array in expected.items():
        finite = np.abs(array[np.isfinite(array)])
        found[name] = 1.001 * steps[name] if name in steps else FLOAT * float(finite.max(initial=0)) + 1e-30
    return found
