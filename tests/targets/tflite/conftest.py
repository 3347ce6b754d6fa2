"""Running a lowered graph in LiteRT beside onnxruntime.

Where the environment variable ``PHIZ_TFLITE_RUNTIME`` names the Python of an environment with ``tflite-runtime`` (2.14
needs Python 3.11 at most and ``numpy<2``), that runs every graph as well: it must be right or refuse the file.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from compile.model import Model
from targets.tflite.lower import lower
from targets.tflite.run import Delegation, delegation, load


@dataclass(frozen=True)
class Trial:
    """One lowered graph, executed: its file, LiteRT's outputs, onnxruntime's, and what each may differ by."""

    path: Path
    outputs: dict[str, NDArray[Any]]
    expected: dict[str, NDArray[Any]]
    tolerance: dict[str, float]

    def excess(self) -> float:
        """The largest difference over its tolerance."""
        assert list(self.outputs) == list(self.expected)
        return max(
            float(_apart(self.outputs[name], self.expected[name]).max()) / self.tolerance[name] for name in self.outputs
        )

    @property
    def delegation(self) -> Delegation:
        return delegation(self.path)


def _apart(found: NDArray[Any], expected: NDArray[Any]) -> NDArray[Any]:
    """Differences; none between equal infinities and between NaNs."""
    with np.errstate(invalid="ignore"):
        same = (found == expected) | (np.isnan(found) & np.isnan(expected))
        return np.where(same, 0.0, np.abs(found - expected))


def _tolerances(model: onnx.ModelProto, expected: dict[str, NDArray[Any]]) -> dict[str, float]:
    """One step for an output that comes from a DQ; else float32's eps times everything accumulated on the way."""
    data = {tensor.name: tensor for tensor in model.graph.initializer}
    steps = {
        node.output[0]: float(numpy_helper.to_array(data[node.input[1]]))
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.output[0] in expected
    }
    known = (*model.graph.input, *model.graph.value_info, *model.graph.output)
    shape = {info.name: [axis.dim_value for axis in info.type.tensor_type.shape.dim] for info in known}
    shape |= {name: list(tensor.dims) for name, tensor in data.items()}
    terms = 0
    for node in model.graph.node:
        terms += 8  # XNNPACK's transcendental functions are within 8 units in the last place
        if node.op_type.startswith("Reduce"):
            terms += int(np.prod(shape[node.input[0]]) / np.prod(shape[node.output[0]]))
        if node.op_type in ("MatMul", "Softmax", "Resize"):  # the coordinates of a Resize are float32 too
            terms += max(shape[node.input[0]])
        if node.op_type in ("Conv", "ConvTranspose", "Gemm"):
            weight = next(
                iter(t for name in (node.input[1], node.input[1].replace("_d", "_i")) if (t := data.get(name)))
            )
            outputs = 1 if node.op_type == "ConvTranspose" else 0
            terms += int(np.prod(weight.dims)) // weight.dims[outputs]
    eps = float(np.finfo(np.float32).eps)
    # A step is compared in float32, whose own rounding is far below 1 % of a step.
    return {
        name: 1.01 * steps[name]
        if name in steps
        else eps * terms * max(1.0, float(np.abs(value).max(where=np.isfinite(value), initial=0)))
        for name, value in expected.items()
    }


_SERVER = """
import sys, numpy
from compile.errors import UserError
from pathlib import Path
from targets.tflite.run import load
for line in sys.stdin:
    path = Path(line.strip())
    try:
        numpy.savez(path.with_suffix(".out.npz"), **load(path).run(numpy.load(path.with_suffix(".in.npz"))))
        print("ran", flush=True)
    except UserError as error:
        print(error, flush=True)
"""


class OldRuntime:
    """A process with ``tflite-runtime`` that runs files through phiz's own runner."""

    def __init__(self, python: str) -> None:
        self.python = python
        self.start()

    def start(self) -> None:
        root, pipe = Path(__file__).parents[3], subprocess.PIPE
        command = [self.python, "-c", _SERVER]
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=root)

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()

    def run(self, path: Path, feeds: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Its outputs; none where it refuses the file."""
        np.savez(path.with_suffix(".in.npz"), **feeds)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        verdict = self.process.stdout.readline().strip()
        if not verdict:
            self.stop()
            self.start()
            pytest.fail("the old runtime died")
        return dict(np.load(path.with_suffix(".out.npz"))) if verdict == "ran" else {}


@pytest.fixture(scope="session")
def old_runtime() -> Iterator[OldRuntime | None]:
    """The old runtime, where there is one."""
    python = os.environ.get("PHIZ_TFLITE_RUNTIME")
    runtime = OldRuntime(python) if python else None
    yield runtime
    if runtime is not None:
        runtime.stop()


@pytest.fixture
def attempt(reference: Any, quantize: Any, tmp_path: Path, old_runtime: OldRuntime | None) -> Callable[..., Trial]:
    """``attempt(model, feeds, scheme)``: quantise, lower, execute."""

    def run(model: onnx.ModelProto, feeds: dict[str, NDArray[Any]], scheme: str = "float") -> Trial:
        graph = quantize(model, scheme, feeds)
        expected = reference(graph, feeds)
        artifact = lower(Model(ir.from_proto(graph)))
        path = tmp_path / artifact.name
        path.write_bytes(artifact.files[artifact.name])
        trial = Trial(path, load(path).run(feeds), expected, _tolerances(graph, expected))
        if old_runtime is not None and (outputs := old_runtime.run(path, feeds)):
            outputs = {name: outputs[name] for name in expected}
            # Its integer kernels round otherwise: over the nine layers of a student that is 3 steps.
            assert Trial(path, outputs, expected, trial.tolerance).excess() <= 3, "wrong in the old runtime"
        return trial

    return run


@pytest.fixture
def operators() -> Callable[[Path], list[str]]:
    """The operator names in a file, read with the schema's own classes."""

    def read(path: Path) -> list[str]:
        from ai_edge_litert import schema_py_generated as schema

        names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
        model = schema.Model.GetRootAsModel(path.read_bytes(), 0)
        graph = model.Subgraphs(0)
        codes = [model.OperatorCodes(at).BuiltinCode() for at in range(model.OperatorCodesLength())]
        return [names[codes[graph.Operators(at).OpcodeIndex()]] for at in range(graph.OperatorsLength())]

    return read
