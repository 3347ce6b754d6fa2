"""Long chains and wide nodes: the work grows with the file, not with its square."""

from __future__ import annotations

from onnx import TensorProto, helper

from targets.onnx.dissect import dissect

SIZE = 3_000


def test_purpose_behind_a_chain_of_conversions() -> None:
    """Constants all along it are for what stands at its end."""
    nodes = [helper.make_node("Transpose", [f"v{i}", f"c{i}"], [f"v{i + 1}"]) for i in range(SIZE)]
    nodes.append(helper.make_node("MatMul", ["x", f"v{SIZE}"], ["y"]))
    names = ["v0", *(f"c{i}" for i in range(SIZE))]
    constants = [helper.make_tensor(name, TensorProto.FLOAT, [4, 4], [0.0] * 16) for name in names]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy")
    data = helper.make_model(helper.make_graph(nodes, "g", [x], [y], constants)).SerializeToString()
    weights = [section for section in dissect({"m.onnx": data}).sections if section.dtype == "float32"]
    assert len(weights) == SIZE + 1
    assert {section.operator for section in weights} == {"MatMul"}


def test_what_a_name_gives_a_second_time() -> None:
    """No model may; the first one is what the readers read."""
    again = [helper.make_tensor("w", TensorProto.FLOAT, [4], [0.0] * 4) for _ in range(3)]
    nodes = [helper.make_node("Add", ["x", "w"], ["y"], name="sum")]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy")
    data = helper.make_model(helper.make_graph(nodes, "g", [x], [y], again)).SerializeToString()
    assert [constant.readers for constant in dissect({"m.onnx": data}).constants] == [("sum",), (), ()]
