"""Every byte of an ``.onnx`` file and of its external data has a label, whoever wrote it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from compile.errors import UserError
from compile.memory import lower_bound
from targets.base import Dissection, Kind, Lifetime
from targets.onnx.dissect import dissect

RNG = np.random.default_rng(5)


def bytes_of(dissection: Dissection, kind: Kind) -> int:
    return sum(section.end - section.start for section in dissection.sections if section.kind is kind)


def assert_covers(dissection: Dissection, sizes: dict[str, int]) -> None:
    """By its own arithmetic: sorted, gapless, each file to its last byte."""
    assert dict(dissection.sizes) == sizes
    ends = dict.fromkeys(sizes, 0)
    for section in dissection.sections:
        assert section.start == ends[section.file] < section.end
        ends[section.file] = section.end
    assert ends == sizes


def ints(shape: tuple[int, ...]) -> NDArray[np.int8]:
    return RNG.integers(-127, 128, shape).astype(np.int8)


class Graph:
    """Nodes and initializers of a small graph, in the hub dialect."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=f"n_{output}", **attributes))
        return output

    def qdq(self, value: str, scale: float = 0.1, zero: int = 131) -> str:
        parameters = [
            self.constant(f"{value}_s", np.array(scale, np.float32)),
            self.constant(f"{value}_z", np.array(zero, np.uint8)),
        ]
        self.node("QuantizeLinear", [value, *parameters], f"{value}_q")
        return self.node("DequantizeLinear", [f"{value}_q", *parameters], f"{value}_dq")

    def weight(self, name: str, value: NDArray[Any], step: float = 0.02) -> str:
        scale = self.constant(f"{name}_s", np.full(value.shape[0], step, np.float32))
        zero = self.constant(f"{name}_z", np.zeros(value.shape[0], value.dtype))
        return self.node("DequantizeLinear", [self.constant(name, value), scale, zero], f"{name}_dq", axis=0)

    def build(self, inputs: dict[str, tuple[int, ...]], outputs: list[str], infer: bool = True) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            self.constants,
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9, producer_name="test"
        )
        helper.set_model_props(model, {"phiz.sample_rate": "16000"})
        return onnx.shape_inference.infer_shapes(model, data_prop=True) if infer else model


def small(infer: bool = True) -> onnx.ModelProto:
    """w8a8 conv with a fused Relu, a Reshape that moves integers, a w8a8 head and a w8 head on the same features."""
    g = Graph()
    features = g.node(
        "Conv",
        [
            g.qdq("audio"),
            g.weight("cw", ints((4, 2, 3))),
            g.weight("cb", RNG.integers(-99, 99, 4).astype(np.int32), 0.002),
        ],
        "conv",
        kernel_shape=[3],
        strides=[2],
        pads=[1, 1],
        dilations=[1],
        group=1,
    )
    features = g.qdq(g.node("Relu", [features], "relu"), zero=0)
    flat = g.qdq(g.node("Reshape", [features, g.constant("shape", np.array([1, 32]))], "flat"), zero=0)
    g.qdq(g.node("Gemm", [flat, g.weight("hw", ints((5, 32)))], "head", transB=1))
    g.node("Gemm", [flat, g.weight("fw", ints((6, 32)))], "controls", transB=1)
    return g.build({"audio": (1, 2, 16)}, ["head_dq", "controls"], infer)


HUB = small().SerializeToString()


def test_every_byte_has_a_label() -> None:
    dissection = dissect({"m.onnx": HUB})
    assert_covers(dissection, {"m.onnx": len(HUB)})
    assert bytes_of(dissection, Kind.UNMAPPED) == bytes_of(dissection, Kind.PADDING) == 0


def test_sections_hold_what_they_say() -> None:
    """Against onnx's own reader."""
    expected = {tensor.name: tensor.raw_data for tensor in onnx.load_from_string(HUB).graph.initializer}
    found = {
        s.layer: HUB[s.start : s.end]
        for s in dissect({"m.onnx": HUB}).sections
        if s.kind in (Kind.WEIGHTS, Kind.QUANTIZATION)
    }
    assert found == expected
    parameters = {s.layer for s in dissect({"m.onnx": HUB}).sections if s.kind is Kind.QUANTIZATION}
    assert parameters == {name for name in expected if name.endswith(("_s", "_z"))}


def test_element_types_are_named() -> None:
    types = {s.layer: s.dtype for s in dissect({"m.onnx": HUB}).sections if s.kind is Kind.WEIGHTS}
    assert types == {"cw": "int8", "cb": "int32", "hw": "int8", "fw": "int8", "shape": "int64"}


def test_metadata_is_read_and_labelled() -> None:
    dissection = dissect({"m.onnx": HUB})
    assert dissection.metadata == {"phiz.sample_rate": "16000", "producer_name": "test"}
    labelled = b"".join(HUB[s.start : s.end] for s in dissection.sections if s.kind is Kind.METADATA)
    assert b"phiz.sample_rate" in labelled
    assert b"16000" in labelled


def test_floats_between_quantised_nodes_do_not_exist(executed: Callable[..., Any]) -> None:
    dissection = dissect({"m.onnx": HUB})
    # The Conv with Relu and Q is one kernel; the Reshape only renames; onnxruntime takes the younger branch first.
    assert dissection.steps == ("n_audio_q", "n_conv", "n_flat", "n_controls", "n_head", "n_head_dq")
    assert {(life.tensor, life.size, life.first, life.last) for life in dissection.lifetimes} == {
        ("audio", 4 * 32, 0, 5),
        ("audio_q", 32, 0, 1),
        ("relu_q", 32, 1, 4),
        ("controls", 4 * 6, 3, 5),
        ("head_q", 5, 4, 5),
        ("head_dq", 4 * 5, 5, 5),
    }
    assert dissection.unknown == ()
    reference = executed(HUB)
    assert [operator for operator in reference.operators if operator != "Transpose"] == [
        *("QuantizeLinear", "QLinearConv", "Reshape", "QGemm", "QGemm", "DequantizeLinear")
    ]
    assert lower_bound(dissection.lifetimes) == reference.peak


def test_missing_shapes_are_inferred() -> None:
    bare = small(infer=False).SerializeToString()
    assert len(bare) < len(HUB)
    assert dissect({"m.onnx": bare}).lifetimes == dissect({"m.onnx": HUB}).lifetimes


def test_float_graphs_materialise_everything() -> None:
    g = Graph()
    g.node("Sigmoid", [g.node("Tanh", ["x"], "h")], "y")
    lives = dissect({"m.onnx": g.build({"x": (1, 8)}, ["y"]).SerializeToString()}).lifetimes
    assert set(lives) == {Lifetime("x", 32, 0, 1), Lifetime("h", 32, 0, 1), Lifetime("y", 32, 1, 1)}


def test_a_dynamic_shape_is_unknown() -> None:
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("Tanh", ["x"], ["y"])],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 8])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 8])],
        )
    )
    dissection = dissect({"m.onnx": model.SerializeToString()})
    assert dissection.lifetimes == ()
    assert dissection.unknown == ("the size of activation 'x'", "the size of activation 'y'")


def test_the_body_of_a_branch_is_unknown() -> None:
    value = helper.make_tensor_value_info("v", TensorProto.FLOAT, [4])
    body = helper.make_graph([helper.make_node("Tanh", ["x"], ["v"])], "body", [], [value])
    model = helper.make_model(
        helper.make_graph(
            [
                helper.make_node("Sigmoid", ["w"], ["x"]),
                helper.make_node("Sigmoid", ["x"], ["z"]),
                helper.make_node("If", ["c"], ["y"], name="branch", then_branch=body, else_branch=body),
            ],
            "g",
            [
                helper.make_tensor_value_info("c", TensorProto.BOOL, []),
                helper.make_tensor_value_info("w", TensorProto.FLOAT, [4]),
            ],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "yz"],
        )
    )
    dissection = dissect({"m.onnx": onnx.shape_inference.infer_shapes(model).SerializeToString()})
    assert dissection.unknown == ("the activations in the body of If 'branch'",)
    assert Lifetime("x", 16, 0, 2) in dissection.lifetimes  # read inside the body


def test_typed_fields_say_how_much_they_take_once_loaded() -> None:
    tensor = helper.make_tensor("w", TensorProto.INT8, [6], [1, 2, 3, -1, -2, -3])
    assert not tensor.raw_data
    model = helper.make_model(helper.make_graph([], "g", [], [], [tensor]))
    (section,) = (s for s in dissect({"m.onnx": model.SerializeToString()}).sections if s.kind is Kind.WEIGHTS)
    assert section.end - section.start == 3 + 3 * 10  # a negative varint takes ten bytes
    assert section.resident == 6


def outside(tmp_path: Path) -> dict[str, bytes]:
    onnx.save(
        small(),
        tmp_path / "m.onnx",
        save_as_external_data=True,
        location="m.data",
        size_threshold=0,
        convert_attribute=False,
    )
    return {name: (tmp_path / name).read_bytes() for name in ("m.onnx", "m.data")}


def test_external_data_is_followed(tmp_path: Path) -> None:
    files = outside(tmp_path)
    dissection = dissect(files)
    assert_covers(dissection, {name: len(data) for name, data in files.items()})
    inside = dissect({"m.onnx": HUB})
    for kind in (Kind.WEIGHTS, Kind.QUANTIZATION):
        assert bytes_of(dissection, kind) == bytes_of(inside, kind) > 0
    assert bytes_of(dissection, Kind.UNMAPPED) == 0


def test_missing_external_data_is_refused(tmp_path: Path) -> None:
    files = outside(tmp_path)
    with pytest.raises(UserError, match=r"'m\.data' is missing"):
        dissect({"m.onnx": files["m.onnx"]})


def test_short_external_data_is_refused(tmp_path: Path) -> None:
    files = outside(tmp_path)
    with pytest.raises(UserError, match="lie outside"):
        dissect({**files, "m.data": files["m.data"][:-1]})


@pytest.mark.parametrize("location", ["../m.data", "/etc/passwd", "a/../../m.data", "C:\\m.data", "", "..\\m.data"])
def test_external_data_may_not_leave_the_folder(location: str) -> None:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    model = helper.make_model(helper.make_graph([], "g", [], [], [tensor])).SerializeToString()
    with pytest.raises(UserError, match="outside the model's folder"):
        dissect({"m.onnx": model, "../m.data": b"abcd", "/etc/passwd": b"root"})


@pytest.mark.parametrize("offset", ["-4", "x", "1e3", "9" * 30, "٣"])
def test_an_external_offset_is_a_number(offset: str) -> None:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="m.data")
    tensor.external_data.add(key="offset", value=offset)
    model = helper.make_model(helper.make_graph([], "g", [], [], [tensor])).SerializeToString()
    with pytest.raises(UserError, match="is no place"):
        dissect({"m.onnx": model, "m.data": b"abcd"})


def test_files_by_onnx_are_covered() -> None:
    """The node and model tests that ship inside the onnx package: exporters of many years."""
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data"
    paths = sorted(path for path in folder.rglob("*.onnx") if path.stat().st_size < 40_000)
    assert len(paths) > 50
    for path in paths:
        data = path.read_bytes()
        dissection = dissect({path.name: data})
        assert_covers(dissection, {path.name: len(data)})
        assert bytes_of(dissection, Kind.UNMAPPED) == 0, path


def test_a_file_by_onnxruntimes_quantiser_is_covered(tmp_path: Path) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
        def __init__(self) -> None:
            self.left = [{"x": RNG.standard_normal((1, 2, 16)).astype(np.float32)} for _ in range(2)]

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            return self.left.pop() if self.left else None

    g = Graph()
    weight = g.constant("w", RNG.standard_normal((64, 2, 3)).astype(np.float32))
    g.node("Relu", [g.node("Conv", ["x", weight], "c", pads=[1, 1])], "r")
    dense = g.constant("m", RNG.standard_normal((16, 12)).astype(np.float32))
    g.node("MatMul", ["r", dense], "y")
    onnx.save(g.build({"x": (1, 2, 16)}, ["y"]), tmp_path / "float.onnx")
    quantize_static(
        tmp_path / "float.onnx",
        tmp_path / "int8.onnx",
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        weight_type=QuantType.QInt8,
    )
    data = (tmp_path / "int8.onnx").read_bytes()
    dissection = dissect({"int8.onnx": data})
    assert_covers(dissection, {"int8.onnx": len(data)})
    weights = {s.layer: s.end - s.start for s in dissection.sections if s.kind is Kind.WEIGHTS and s.dtype == "int8"}
    assert sorted(weights.values()) == [16 * 12, 64 * 2 * 3]
    assert dissection.unknown == ()
    # The features [1, 64, 16] exist as bytes only: the float of 4,096 bytes between MatMul's Q and DQ never does.
    assert max(life.size for life in dissection.lifetimes if life.tensor not in ("x", "y")) == 64 * 16


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "holds no graph"),
        (HUB[:-3], "malformed"),
        (b"not an onnx file at all", "malformed"),
        (b"\x3a\xff\xff\xff\xff\x0f", "malformed at byte 0"),
        (b"\x38\x01", "malformed at byte 0"),  # the graph as a number
    ],
)
def test_a_broken_file_is_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        dissect({"m.onnx": data})


def test_deep_nesting_is_refused() -> None:
    def wrap(inner: bytes, *tags: int) -> bytes:
        for tag in tags:
            size, length = len(inner), b""
            while size > 127:
                length, size = length + bytes([size & 127 | 128]), size >> 7
            inner = bytes([tag << 3 | 2]) + length + bytes([size]) + inner
        return inner

    nested = b""
    for _ in range(2_000):  # a graph in an attribute of a node of a graph of …
        nested = wrap(nested, 6, 5, 1)
    with pytest.raises(UserError, match="malformed"):
        dissect({"m.onnx": wrap(nested, 7)})


def test_bytes_of_no_known_field_are_unmapped() -> None:
    extra = HUB + b"\xfa\x07\x03abc"  # field 127 of ModelProto
    dissection = dissect({"m.onnx": extra})
    assert_covers(dissection, {"m.onnx": len(extra)})
    assert bytes_of(dissection, Kind.UNMAPPED) == 6


@settings(max_examples=300, deadline=2000)
@given(
    st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4),
    st.integers(0, 200),
)
def test_a_mutated_file_is_refused_or_covered(edits: list[tuple[int, bytes]], cut: int) -> None:
    mutated = bytearray(HUB)
    for position, patch in edits:
        at = position % len(HUB)
        mutated[at : at + len(patch)] = patch
    final = bytes(mutated[: len(mutated) - (cut if cut < 100 else 0)])
    try:
        dissection = dissect({"m.onnx": final})
    except UserError:
        return
    assert_covers(dissection, {"m.onnx": len(final)})


def test_a_constant_that_is_computed_at_load_and_may_have_any_size_is_unknown() -> None:
    graph = helper.make_graph(
        [helper.make_node("NonZero", ["w"], ["i"]), helper.make_node("Gather", ["x", "i"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [9])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(np.array([1, 0, 1, 1], np.float32), "w")],
    )
    dissection = dissect({"m.onnx": helper.make_model(graph).SerializeToString()})
    assert dissection.unknown == ("the size of constant 'i', which is computed as the model is loaded",)
