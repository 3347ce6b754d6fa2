"""Onnxruntime as the reference for what memory a graph takes there.

``executed(model)`` is the graph that it executes, read from the optimised model that it saves; ``fits(model, size)``
whether a fresh process can run the model in an arena of so many bytes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

ALIASES = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"}
_TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8}
_RUN = """
import sys
import numpy as np
import onnxruntime as ort

path, size = sys.argv[1], int(sys.argv[2])
memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
settings = {"max_mem": size, "arena_extend_strategy": 1, "initial_chunk_size_bytes": size}
ort.create_and_register_allocator(memory, ort.OrtArenaCfg(settings))
options = ort.SessionOptions()
options.add_session_config_entry("session.use_env_allocators", "1")
options.log_severity_level = 4
options.intra_op_num_threads = 1
options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
session = ort.InferenceSession(path, options)
feeds = {value.name: np.zeros(value.shape, np.float32) for value in session.get_inputs()}
try:
    for _ in range(2):
        session.run(None, feeds)
except Exception:
    sys.exit(7)
"""


@dataclass(frozen=True)
class Executed:
    """A graph after onnxruntime's optimisers.

    Attributes:
        operators: of its nodes, in the order of execution.
        peak: the most bytes of activations alive in one step.
        constants: bytes of its initializers.
    """

    operators: tuple[str, ...]
    peak: int
    constants: int


@pytest.fixture
def executed(tmp_path: Path) -> Callable[[bytes, frozenset[str]], Executed]:
    """The graph that onnxruntime makes of a model; ``overwriting`` are operators that work in place.

    Its optimised model says what is executed, its profile in which order.
    """

    def run(model: bytes, overwriting: frozenset[str] = frozenset()) -> Executed:
        named = onnx.load_from_string(model)
        for index, node in enumerate(named.graph.node):
            node.name = node.name or f"unnamed {index}"
        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
        options.enable_profiling = True
        options.profile_file_prefix = str(tmp_path / "profile")
        session = ort.InferenceSession(named.SerializeToString(), options, providers=["CPUExecutionProvider"])
        session.run(None, {value.name: np.zeros(value.shape, _TYPES[value.type]) for value in session.get_inputs()})
        events = json.loads(Path(session.end_profiling()).read_text())
        ran = [event["name"].removesuffix("_kernel_time") for event in events if event.get("cat") == "Node"]
        optimised = onnx.load(tmp_path / "optimised.onnx")
        nodes = sorted(optimised.graph.node, key=lambda node: ran.index(node.name))
        del optimised.graph.node[:]
        optimised.graph.node.extend(nodes)
        return _read(optimised, overwriting)

    return run


@pytest.fixture
def fits(tmp_path: Path) -> Callable[[onnx.ModelProto, int], bool]:
    """Whether a model runs, node by node as it is, in an arena of ``size`` bytes beside its inputs."""

    def run(model: onnx.ModelProto, size: int) -> bool:
        onnx.save(model, tmp_path / "model.onnx")
        command = [sys.executable, "-c", _RUN, str(tmp_path / "model.onnx"), str(size)]
        code = subprocess.run(command, capture_output=True, check=False).returncode
        assert code in (0, 7)
        return code == 0

    return run


def _read(model: onnx.ModelProto, overwriting: frozenset[str]) -> Executed:
    nodes, constants = list(model.graph.node), {tensor.name for tensor in model.graph.initializer}
    sizes = _sizes(model)
    inputs, outputs = [value.name for value in model.graph.input], [value.name for value in model.graph.output]
    owner: dict[str, str] = {}
    uses = Counter(name for node in nodes for name in set(node.input))
    uses.update([*inputs, *outputs])
    spans: dict[str, list[int]] = {name: [0, len(nodes) - 1] for name in inputs}
    inside = dict.fromkeys(range(len(nodes)), 0)
    for step, node in enumerate(nodes):
        source, result = node.input[0] if node.input else "", node.output[0]
        place = owner.get(source, source)
        if source and source not in constants and result not in outputs:
            last = node.op_type in overwriting and uses[place] == 1 and sizes[source] == sizes[result]
            if node.op_type in ALIASES or last:
                owner[result] = place
                uses[place] += uses[result]
        for name in (*node.input, *node.output):
            if name and name not in constants:
                spans.setdefault(owner.get(name, name), []).append(step)
        uses.subtract(owner.get(name, name) for name in set(node.input))
        if node.op_type == "DynamicQuantizeMatMul":
            inside[step] = sizes[source] // 4  # its input, quantised to bytes
    for name in outputs:
        spans[name].append(len(nodes) - 1)
    alive = (
        inside[step] + sum(sizes[name] for name, span in spans.items() if min(span) <= step <= max(span))
        for step in range(len(nodes))
    )
    stored = sum(onnx.numpy_helper.to_array(tensor).nbytes for tensor in model.graph.initializer)
    return Executed(tuple(node.op_type for node in nodes), max(alive), stored)


def _sizes(model: onnx.ModelProto) -> Mapping[str, int]:
    """Bytes of every value, by executing the graph with all of them as outputs."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    given = {value.name for value in model.graph.output}
    for node in model.graph.node:
        shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in node.output if name and name not in given)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(shown.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feeds = {value.name: np.zeros(value.shape, _TYPES[value.type]) for value in session.get_inputs()}
    results = zip(session.get_outputs(), session.run(None, feeds), strict=True)
    return {name: value.nbytes for name, value in feeds.items()} | {o.name: value.nbytes for o, value in results}
