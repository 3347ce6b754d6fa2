"""The constants of an ONNX file: their bytes against onnx's own reader, who reads them, and what is contradictory."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from compile.audit.folder import Folder
from compile.errors import UserError
from targets.base import Constant, Files, Kind
from targets.onnx.dissect import dissect

X = helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])
Y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])


def model(nodes: list[onnx.NodeProto], *constants: onnx.TensorProto, **others: Any) -> onnx.ModelProto:
    return helper.make_model(helper.make_graph(nodes, "g", [X], [Y], list(constants), **others))


def read(made: onnx.ModelProto) -> dict[str, Constant]:
    return {constant.name: constant for constant in dissect({"m.onnx": made.SerializeToString()}).constants}


def bytes_at(constant: Constant, files: Files) -> bytes:
    return b"".join(files[file][start:end] for file, start, end in constant.places)


def varints(data: bytes) -> list[int]:
    """By the encoding's definition: seven bits a byte, lowest first."""
    found, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            found.append(value - (1 << 64) if value >> 63 else value)
            value = shift = 0
    return found


FLOATS = ("float32", "float64", "float16", "int8", "uint8", "int16", "int32", "int64", "uint64", "bool")


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("raw", [True, False])
def test_elements_are_where_the_constant_says(dtype: str, raw: bool) -> None:
    array = np.array([[1, 0, 1], [0, 1, 1]]).astype(dtype)
    tensor = numpy_helper.from_array(array, "w")
    if not raw:
        tensor = helper.make_tensor("w", tensor.data_type, array.shape, array.ravel().tolist())
    data = model([helper.make_node("Relu", ["x"], ["y"])], tensor).SerializeToString()
    (constant,) = dissect({"m.onnx": data}).constants
    assert (constant.name, constant.dtype, constant.shape, constant.kind) == ("w", dtype, (2, 3), Kind.WEIGHTS)
    stored = bytes_at(constant, {"m.onnx": data})
    if constant.packed:
        assert constant.packed == "varint"
        assert not raw
        values = varints(stored)
        expected = array.view(np.uint16) if dtype == "float16" else array
        assert values == expected.ravel().tolist()
    else:
        assert np.array_equal(np.frombuffer(stored, dtype).reshape(2, 3), numpy_helper.to_array(tensor))


def test_every_initializer_of_other_peoples_files_is_found() -> None:
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data"
    compared = 0
    for path in sorted(path for path in folder.rglob("*.onnx") if path.stat().st_size < 40_000):
        data = path.read_bytes()
        found = {c.name: c for c in dissect({"m.onnx": data}).constants}
        for tensor in onnx.load_from_string(data).graph.initializer:
            constant, array = found[tensor.name], numpy_helper.to_array(tensor)
            assert constant.shape == array.shape
            if not constant.packed and constant.dtype != "string":
                assert bytes_at(constant, {"m.onnx": data}) == array.tobytes()
                compared += 1
    assert compared > 80


def test_elements_in_other_files_are_found(tmp_path: Path) -> None:
    """Several tensors in one file, at offsets with gaps between, and another file for each of the rest."""
    arrays = {name: np.random.default_rng(1).normal(size=(300, 7)).astype(np.float32) for name in "abc"}
    nodes = [helper.make_node("Sum", ["x", *arrays], ["y"])]
    made = model(nodes, *(numpy_helper.from_array(array, name) for name, array in arrays.items()))
    onnx.save(made, tmp_path / "m.onnx", save_as_external_data=True, location="all.bin", size_threshold=0)
    onnx.save(made, tmp_path / "n.onnx", save_as_external_data=True, all_tensors_to_one_file=False, size_threshold=0)
    for name in ("m.onnx", "n.onnx"):
        files = Folder(tmp_path, (name,))
        dissection = dissect(files)
        found = {c.name: bytes_at(c, files) for c in dissection.constants}
        assert found == {name: array.tobytes() for name, array in arrays.items()}
        assert all(s.kind is not Kind.UNMAPPED for s in dissection.sections)
        assert sum(s.end - s.start for s in dissection.sections) == sum(dissection.sizes.values())


def test_readers_are_named_and_what_the_bytes_are_for() -> None:
    weight, scale = np.ones((4, 4), np.int8), np.float32(0.5)
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s"], ["wide"], name="dq"),
        helper.make_node("MatMul", ["x", "wide"], ["a"], name="product"),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    constants = {"w": weight, "s": scale, "b": np.ones(4, np.float32), "idle": np.ones(2, np.float32)}
    data = model(nodes, *(numpy_helper.from_array(a, n) for n, a in constants.items())).SerializeToString()
    dissection = dissect({"m.onnx": data})
    assert {c.name: (c.readers, c.kind) for c in dissection.constants} == {
        "w": (("dq",), Kind.WEIGHTS),
        "s": (("dq",), Kind.QUANTIZATION),
        "b": (("node 2 Add",), Kind.WEIGHTS),
        "idle": ((), Kind.WEIGHTS),
    }
    operators = {s.layer: s.operator for s in dissection.sections if s.kind in (Kind.WEIGHTS, Kind.QUANTIZATION)}
    assert operators == {"w": "MatMul", "s": "MatMul", "b": "Add", "idle": ""}


def test_constants_of_nodes_are_constants() -> None:
    nodes = [
        helper.make_node("Constant", [], ["a"], value=numpy_helper.from_array(np.ones(4, np.float32))),
        helper.make_node("Constant", [], ["b"], value_floats=[1.0, 2.0, 3.0, 4.0]),
        helper.make_node("Constant", [], ["c"], value_int=7),
        helper.make_node("Constant", [], ["d"], value_strings=[b"yes", b"no"]),
        helper.make_node("Sum", ["x", "a", "b"], ["y"], name="sum"),
    ]
    made = model(nodes)
    found = read(made)
    assert {name: (c.dtype, c.shape, c.packed, c.readers) for name, c in found.items()} == {
        "a": ("float32", (4,), "", ("sum",)),
        "b": ("float32", (4,), "", ("sum",)),
        "c": ("int64", (), "varint", ()),
        "d": ("string", (2,), "", ()),
    }
    files = {"m.onnx": made.SerializeToString()}
    assert struct.unpack("<4f", bytes_at(found["b"], files)) == (1, 2, 3, 4)
    assert varints(bytes_at(found["c"], files)) == [7]


def test_bodies_read_what_is_around_them() -> None:
    """``w`` is read in both branches, each of which has a constant ``k`` of its own."""
    out = helper.make_tensor_value_info("v", TensorProto.FLOAT, [4])

    def branch(operator: str) -> onnx.GraphProto:
        inner = [helper.make_node(operator, ["w", "k"], ["v"], name=operator)]
        return helper.make_graph(inner, operator, [], [out], [numpy_helper.from_array(np.ones(4, np.float32), "k")])

    nodes = [helper.make_node("If", ["c"], ["y"], then_branch=branch("Add"), else_branch=branch("Mul"))]
    constants = (numpy_helper.from_array(np.ones(4, np.float32), "w"), numpy_helper.from_array(np.array(True), "c"))
    found = read(model(nodes, *constants))
    assert {name: constant.readers for name, constant in found.items()} == {
        "w": ("Mul", "Add"),  # attributes are written in the order of their names
        "c": ("node 0 If",),
        "k": ("Mul",),
        "k (2)": ("Add",),
    }


def test_sparse_constants_are_found() -> None:
    values = numpy_helper.from_array(np.ones(2, np.float32), "w")
    sparse = helper.make_sparse_tensor(values, numpy_helper.from_array(np.array([0, 3])), [4])
    made = model([helper.make_node("Add", ["x", "w"], ["y"], name="add")], sparse_initializer=[sparse])
    found = read(made)
    assert [(c.dtype, c.shape, c.readers) for c in found.values()] == [
        ("float32", (2,), ("add",)),
        ("int64", (2,), ("add",)),
    ]


def test_learned_attributes_are_weights() -> None:
    node = helper.make_node("Scaler", ["x"], ["y"], "scaler", domain="ai.onnx.ml", scale=[1.0, 2.0], offset=[0.5])
    found = read(model([node]))
    assert {(c.dtype, c.shape, c.readers) for c in found.values()} == {
        ("float32", (2,), ("scaler",)),
        ("float32", (1,), ("scaler",)),
    }


def described(**fields: Any) -> bytes:
    tensor = TensorProto(name="w", **fields)
    return model([helper.make_node("Add", ["x", "w"], ["y"])], tensor).SerializeToString()


def test_a_tensor_that_is_only_described_is_unknown() -> None:
    dissection = dissect({"m.onnx": described(dims=[4], data_type=1)})
    assert dissection.constants == ()
    assert dissection.unknown == ("the elements of tensor 'w', which the file does not hold",)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"dims": [4], "data_type": 1, "raw_data": bytes(15)}, r"stores 15 bytes of elements, where .* takes 16"),
        ({"dims": [2], "data_type": 7, "int64_data": [1, 2, 3]}, "stores 24 bytes"),
        ({"dims": [-1], "data_type": 1, "raw_data": bytes(4)}, "impossible"),
        ({"dims": [1 << 62, 4], "data_type": 1, "raw_data": bytes(4)}, "impossible"),
        ({"dims": [1] * 65, "data_type": 1, "raw_data": bytes(4)}, "impossible"),
        ({"dims": [1 << 40] * 30_000, "data_type": 1}, "impossible"),
    ],
)
def test_a_contradiction_is_refused(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UserError, match=complaint) as caught:
        dissect({"m.onnx": described(**fields)})
    assert "\n" not in str(caught.value)
    assert "tensor 'w'" in str(caught.value)
    assert len(str(caught.value)) < 200


def external(**entries: str) -> bytes:
    tensor = TensorProto(name="w", dims=[4], data_type=1, data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    other = TensorProto(name="v", dims=[4], data_type=1, data_location=TensorProto.EXTERNAL)
    other.external_data.add(key="location", value="m.data")
    return model([helper.make_node("Sum", ["x", "w", "v"], ["y"])], tensor, other).SerializeToString()


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ({"location": "m.data", "offset": "8"}, "overlap"),
        ({"location": "m.data", "offset": "64"}, "lie outside"),
        ({"location": "m.data", "offset": "16", "length": "8"}, "8 bytes in 'm.data', where its shape takes 16"),
        ({"location": "m.data", "offset": "9223372036854775807"}, "lie outside"),
        ({"location": "link.data"}, "leads out of the folder"),
        ({"location": "none.data"}, "missing"),
        ({"location": "folder"}, "missing"),
        ({"location": "m.onnx"}, "overlap"),
        ({"location": "m.data", "offset": "16", "prepacked_0": "Gemm+1|x;4;0"}, "is no place"),
    ],
)
def test_external_data_that_cannot_be_is_refused(entries: dict[str, str], complaint: str, tmp_path: Path) -> None:
    folder = tmp_path / "inner"
    (folder / "folder").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(bytes(16))
    (folder / "link.data").symlink_to(tmp_path / "secret")
    (folder / "m.data").write_bytes(bytes(range(64)))
    (folder / "m.onnx").write_bytes(external(**entries))
    with pytest.raises(UserError, match=complaint) as caught:
        dissect(Folder(folder, ("m.onnx",)))
    assert "\n" not in str(caught.value)


def test_two_tensors_may_share_their_bytes() -> None:
    files = {"m.onnx": external(location="m.data"), "m.data": bytes(range(16))}
    dissection = dissect(files)
    assert [c.places for c in dissection.constants] == [(("m.data", 0, 16),)] * 2
    assert sum(dissection.sizes.values()) == sum(s.end - s.start for s in dissection.sections)


def test_weights_packed_beforehand_by_onnxruntime_are_weights(tmp_path: Path) -> None:
    import onnxruntime

    weight = numpy_helper.from_array(np.ones((64, 64), np.float32), "w")
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 64])
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y], [weight])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(tmp_path / "m.onnx")
    prefix = "session.optimized_model_external_initializers"
    options.add_session_config_entry(f"{prefix}_file_name", "m.bin")
    options.add_session_config_entry(f"{prefix}_min_size_in_bytes", "100")
    options.add_session_config_entry("session.save_external_prepacked_constant_initializers", "1")
    onnxruntime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])
    dissection = dissect(Folder(tmp_path, ("m.onnx",)))
    kinds = {s.kind for s in dissection.sections if s.file == "m.bin"}
    assert Kind.UNMAPPED not in kinds
    assert dissection.sizes["m.bin"] >= 2 * 4 * 64 * 64  # packed, and as it was


def test_a_file_of_too_many_fields_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("targets.onnx.proto.MAX_FIELDS", 100)
    with pytest.raises(UserError, match="more than 100 fields"):
        dissect({"m.onnx": b"\x3a\x00" + b"\x72\x00" * 200})


def test_a_second_graph_is_refused() -> None:
    """Protobuf would merge the two, and so would whoever executes them."""
    data = model([helper.make_node("Relu", ["x"], ["y"])]).SerializeToString()
    with pytest.raises(UserError, match="several graphs"):
        dissect({"m.onnx": data + b"\x3a\x00"})
