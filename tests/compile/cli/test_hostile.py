"""Files made to break phiz, at the command line: exit code 2, one clear line, nothing written, under 5 seconds."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

Tiny = Any  # tests/compile/conftest.py


def node(tiny: Tiny, operator: str, *inputs: str, rank: int = 2, **attributes: Any) -> None:
    """One more node, whose output is the network's second."""
    tiny.nodes.append(helper.make_node(operator, inputs, ["extra"], name="extra", **attributes))
    tiny.outputs.append(("extra", [f"axis{axis}" for axis in range(rank)]))


def constant(tiny: Tiny, name: str, data: Any, dtype: Any = np.float32) -> None:
    tiny.constants.append(numpy_helper.from_array(np.asarray(data, dtype), name))


def quantised(scale: float) -> Callable[[Tiny], None]:
    def damage(tiny: Tiny) -> None:
        constant(tiny, "scale", scale)
        tiny.nodes.append(helper.make_node("QuantizeLinear", ["y", "scale"], ["integers"]))
        node(tiny, "DequantizeLinear", "integers", "scale")

    return damage


def infinite_loop(tiny: Tiny) -> None:
    constant(tiny, "many", 2**62, np.int64)
    constant(tiny, "yes", True, bool)
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["state"], ["next"])],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, [1, 4]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, [1, 4]),
        ],
    )
    node(tiny, "Loop", "many", "yes", "y", body=body)


def branch(tiny: Tiny) -> None:
    constant(tiny, "yes", True, bool)
    body = helper.make_graph(
        [helper.make_node("Relu", ["y"], ["then"])], "b", [], [helper.make_empty_tensor_value_info("then")]
    )
    node(tiny, "If", "yes", then_branch=body, else_branch=body)


def bomb(tiny: Tiny) -> None:
    """Four terabytes, from a constant of two numbers."""
    constant(tiny, "sizes", [2**20, 2**20], np.int64)
    tiny.nodes.append(helper.make_node("ConstantOfShape", ["sizes"], ["zeros"]))
    node(tiny, "ReduceSum", "zeros", keepdims=1)


def wide(tiny: Tiny) -> None:
    constant(tiny, "sizes", [2**20, 2**20, 1, 4], np.int64)
    node(tiny, "Expand", "y", "sizes", rank=4)


def hidden(tiny: Tiny) -> None:
    """Two gigabytes, and no inference follows a power: only running it tells."""
    constant(tiny, "base", [23171], np.int64)
    constant(tiny, "two", [2], np.int64)
    tiny.nodes.append(helper.make_node("Pow", ["base", "two"], ["sizes"]))
    tiny.nodes.append(helper.make_node("ConstantOfShape", ["sizes"], ["zeros"]))
    node(tiny, "ReduceSum", "zeros", rank=1, keepdims=1)


def clip(tiny: Tiny) -> None:
    constant(tiny, "bounds", [0, 1, 2])
    node(tiny, "Clip", "y", "bounds")


def slope(tiny: Tiny) -> None:
    constant(tiny, "slope", np.ones(7))
    node(tiny, "PRelu", "y", "slope")


def cycle(tiny: Tiny) -> None:
    tiny.nodes[1].input[0] = "r2"


def twice(tiny: Tiny) -> None:
    tiny.nodes[3].output[0] = "c1"


def shapes(tiny: Tiny) -> None:
    tiny.replace("w2", np.ones((8, 9, 3), np.float32))


def text(tiny: Tiny) -> None:
    tiny.constants = [c for c in tiny.constants if c.name != "w2"]
    tiny.constants.append(helper.make_tensor("w2", TensorProto.STRING, [1], [b"a"]))


BY_NETWORK: dict[str, tuple[Callable[[Tiny], None], str]] = {
    "scale 0": (quantised(0.0), "already quantised"),
    "scale negative": (quantised(-1.0), "already quantised"),
    "scale NaN": (quantised(float("nan")), "tensor 'scale'.*NaN or Inf"),
    "infinite loop": (infinite_loop, "Loop.*recurrent"),
    "branch": (branch, "If.*at run time"),
    "bomb": (bomb, r"shape \[1048576, 1048576\] is more than"),
    "hidden": (hidden, "onnxruntime cannot run it.*ConstantOfShape"),
    "wide": (wide, r"tensor 'extra'.*is more than"),
    "bound of three": (clip, "onnxruntime cannot|its input 1"),
    "slope of seven": (slope, "onnxruntime cannot|do not fit|PRelu"),
    "cycle": (cycle, "topologically sorted"),
    "duplicate name": (twice, "single static assignment|c1"),
    "wrong shapes": (shapes, "onnxruntime cannot|do not fit"),
    "strings": (text, "not a valid ONNX model|onnxruntime cannot|do not fit|STRING"),
}

if sys.platform != "linux":
    del BY_NETWORK["hidden"]  # no other system promises to keep a process small


def weight(proto: onnx.ModelProto) -> onnx.TensorProto:
    return next(tensor for tensor in proto.graph.initializer if tensor.name == "w2")


def opset(number: int) -> Callable[[onnx.ModelProto], None]:
    def damage(proto: onnx.ModelProto) -> None:
        proto.opset_import[0].version = number

    return damage


def no_opset(proto: onnx.ModelProto) -> None:
    del proto.opset_import[:]


def no_nodes(proto: onnx.ModelProto) -> None:
    del proto.graph.node[:]


def cut(proto: onnx.ModelProto) -> None:
    weight(proto).raw_data = weight(proto).raw_data[:-4]


def longer(proto: onnx.ModelProto) -> None:
    weight(proto).raw_data += b"\0" * 4


def dims(*sizes: int) -> Callable[[onnx.ModelProto], None]:
    def damage(proto: onnx.ModelProto) -> None:
        del weight(proto).dims[:]
        weight(proto).dims.extend(sizes)

    return damage


def wrong_field(proto: onnx.ModelProto) -> None:
    """Floats by type, int8 by content."""
    weight(proto).ClearField("raw_data")
    weight(proto).int32_data.extend([1] * 192)


def no_type(proto: onnx.ModelProto) -> None:
    weight(proto).data_type = 9999


def sparse(proto: onnx.ModelProto) -> None:
    values = helper.make_tensor("few", TensorProto.FLOAT, [1], [1.0])
    places = helper.make_tensor("places", TensorProto.INT64, [1], [0])
    proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [4]))


def sequence(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].CopyFrom(helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, [1, 512]))


def empty_axis(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 0


def huge_input(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2**40


def function(proto: onnx.ModelProto) -> None:
    proto.opset_import.append(helper.make_opsetid("own", 1))
    inside = [helper.make_node("Relu", ["a"], ["b"])]
    proto.functions.append(helper.make_function("own", "Mine", ["a"], ["b"], inside, [helper.make_opsetid("", 18)]))
    proto.graph.node[2].op_type, proto.graph.node[2].domain = "Mine", "own"


BY_FILE: dict[str, tuple[Callable[[onnx.ModelProto], None], str]] = {
    "opset 0": (opset(0), "opset|not a valid ONNX model"),
    "opset 9999": (opset(9999), "opset|not a valid ONNX model"),
    "no opset": (no_opset, "opset|not a valid ONNX model"),
    "no nodes": (no_nodes, "holds no graph"),
    "truncated tensor": (cut, r"tensor 'w2': its data does not fit its type and shape \[8, 8, 3\]"),
    "oversized tensor": (longer, "tensor 'w2': its data does not fit"),
    "enormous tensor": (dims(2**40, 2**40), "tensor 'w2': its data does not fit"),
    "negative axis": (dims(-1, 8, 3), "tensor 'w2': its data does not fit"),
    "wrong field": (wrong_field, "not a valid ONNX model|tensor 'w2': its data does not fit"),
    "unknown type": (no_type, "tensor 'w2': its data does not fit"),
    "sparse": (sparse, "its weights are sparse"),
    "sequence": (sequence, "input 'x': it is no tensor"),
    "empty axis": (empty_axis, "axis 0 has the size 0"),
    "huge input": (huge_input, "input 'x': its shape .* is more than 512 MiB"),
    "function": (function, "Mine.*it is a function of the model"),
}


@pytest.fixture
def refused(phiz: Callable[..., Any], tmp_path: Path) -> Callable[[Path, str], None]:
    def check(path: Path, message: str) -> None:
        start, before = time.process_time(), sorted(tmp_path.rglob("*"))
        ran = phiz("compile", path, "-t", "onnx", "-o", tmp_path / "out")
        lines = [line for line in ran.err.splitlines() if not line.endswith("…")]
        assert ran.code == 2, ran.err
        assert len(lines) == 1
        assert lines[0].startswith("phiz: ")
        assert "Traceback" not in ran.err
        assert re.search(message, lines[0]), lines[0]
        assert sorted(tmp_path.rglob("*")) == before
        assert time.process_time() - start < 5

    return check


@pytest.mark.parametrize("name", BY_NETWORK)
def test_a_hostile_network(refused: Callable[[Path, str], None], tiny: Tiny, tmp_path: Path, name: str) -> None:
    damage, message = BY_NETWORK[name]
    damage(tiny)
    refused(tiny.save(tmp_path / "x.onnx"), message)


@pytest.mark.parametrize("name", BY_FILE)
def test_a_hostile_file(refused: Callable[[Path, str], None], tiny: Tiny, tmp_path: Path, name: str) -> None:
    damage, message = BY_FILE[name]
    proto = tiny.proto()
    damage(proto)
    (tmp_path / "x.onnx").write_bytes(proto.SerializeToString())
    refused(tmp_path / "x.onnx", message)


@pytest.mark.parametrize(
    "location", ["../w.bin", "/etc/passwd", "link.bin", "circle.bin", "pipe.bin", "none.bin", "a\0b"]
)
def test_hostile_external_data(refused: Callable[[Path, str], None], tiny: Tiny, tmp_path: Path, location: str) -> None:
    inside = tmp_path / "model"
    inside.mkdir()
    proto = tiny.proto()
    tensor = weight(proto)
    (tmp_path / "w.bin").write_bytes(tensor.raw_data)
    (inside / "link.bin").symlink_to(tmp_path / "w.bin")
    (inside / "circle.bin").symlink_to(inside / "circle.bin")
    os.mkfifo(inside / "pipe.bin")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    (inside / "x.onnx").write_bytes(proto.SerializeToString())
    refused(inside / "x.onnx", "tensor 'w2': its data .*(outside the model's folder|no file, or missing)")


def test_names_that_are_no_text(refused: Callable[[Path, str], None], tiny: Tiny, tmp_path: Path) -> None:
    data = tiny.proto().SerializeToString()
    (tmp_path / "x.onnx").write_bytes(data.replace(b"second", b"\xff\xfeond\x80"))
    refused(tmp_path / "x.onnx", "its names are not text|not a valid ONNX model|not an ONNX file")


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_a_truncated_file(refused: Callable[[Path, str], None], tiny: Tiny, tmp_path: Path, share: float) -> None:
    data = tiny.proto().SerializeToString()
    (tmp_path / "x.onnx").write_bytes(data[: int(len(data) * share)])
    refused(tmp_path / "x.onnx", r"x\.onnx: not an ONNX file, or truncated")


def test_a_pipe_instead_of_a_model(refused: Callable[[Path, str], None], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.onnx")
    refused(tmp_path / "x.onnx", "it is no file")
