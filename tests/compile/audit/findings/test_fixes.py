"""Files as other tools write them: doing what a finding says wins the bytes that it says, and it is not found again."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import flatbuffers
import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from compile.audit.findings.search import search
from targets.onnx.dissect import dissect
from targets.tflite.dissect import dissect as dissect_tflite

RNG = np.random.default_rng(31)
WEIGHT = RNG.normal(size=(96, 96)).astype(np.float32)
INTEGERS = np.rint(WEIGHT / np.abs(WEIGHT).max() * 127).astype(np.int8)
HALF = WEIGHT.astype(np.float16)


def raw(name: str, values: NDArray[np.generic]) -> TensorProto:
    return numpy_helper.from_array(values, name)


def model(nodes: list[onnx.NodeProto], constants: list[TensorProto]) -> onnx.ModelProto:
    """From ``x`` [4, 96] to the last node's output, float32."""
    shape = (4, 96)
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, shape)],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


def dense(number: int, weight: str, **attributes: int) -> onnx.NodeProto:
    source = "x" if number == 0 else f"y{number - 1}"
    return helper.make_node("Gemm", [source, weight], [f"y{number}"], **attributes)


def unused() -> tuple[onnx.ModelProto, onnx.ModelProto]:
    nodes = [dense(0, "w")]
    return model(nodes, [raw("w", WEIGHT), raw("old", WEIGHT[:40])]), model(nodes, [raw("w", WEIGHT)])


def duplicates() -> tuple[onnx.ModelProto, onnx.ModelProto]:
    before = model([dense(0, "w"), dense(1, "v")], [raw("w", WEIGHT), raw("v", WEIGHT)])
    return before, model([dense(0, "w"), dense(1, "w")], [raw("w", WEIGHT)])


def transposed() -> tuple[onnx.ModelProto, onnx.ModelProto]:
    copy = raw("w.t", np.ascontiguousarray(WEIGHT.T))
    before = model([dense(0, "w"), dense(1, "w.t")], [raw("w", WEIGHT), copy])
    return before, model([dense(0, "w"), dense(1, "w", transB=1)], [raw("w", WEIGHT)])


def two_dtypes() -> tuple[onnx.ModelProto, onnx.ModelProto]:
    cast = helper.make_node("Cast", ["h"], ["v"], to=TensorProto.FLOAT)
    rounded = raw("w", HALF.astype(np.float32))
    before = model([dense(0, "w"), cast, dense(1, "v")], [rounded, raw("h", HALF)])
    return before, model([cast, dense(0, "v"), dense(1, "v")], [raw("h", HALF)])


def halves() -> tuple[onnx.ModelProto, onnx.ModelProto]:
    cast = helper.make_node("Cast", ["h"], ["w"], to=TensorProto.FLOAT)
    before = model([dense(0, "w")], [raw("w", HALF.astype(np.float32))])
    return before, model([cast, dense(0, "w")], [raw("h", HALF)])


def varints() -> tuple[onnx.ModelProto, onnx.ModelProto]:
    nodes = [helper.make_node("DequantizeLinear", ["q", "s"], ["w"]), dense(0, "w")]
    scale = raw("s", np.float32(0.1))
    long = helper.make_tensor("q", TensorProto.INT8, INTEGERS.shape, INTEGERS.ravel().tolist())
    assert not long.raw_data
    return model(nodes, [long, scale]), model(nodes, [raw("q", INTEGERS), scale])


def zero_points() -> tuple[onnx.ModelProto, onnx.ModelProto]:
    bias = [raw("b", np.arange(96, dtype=np.int32)), raw("s", np.full(96, 0.5, np.float32))]

    def nodes(*zero: str) -> list[onnx.NodeProto]:
        add = helper.make_node("Add", ["y0", "bias"], ["y1"])
        return [helper.make_node("DequantizeLinear", ["b", "s", *zero], ["bias"], axis=0), dense(0, "w"), add]

    zero = raw("z", np.zeros(96, np.int32))
    small = raw("w", WEIGHT)
    return model(nodes("z"), [*bias, zero, small]), model(nodes(), [*bias, small])


def names() -> tuple[onnx.ModelProto, onnx.ModelProto]:
    def chain(prefix: str, name: str) -> onnx.ModelProto:
        values = ["x", *(f"{prefix}{index}" for index in range(8)), "y"]
        pairs = pairwise(values)
        nodes = [
            helper.make_node("Relu", [before], [after], name=name and f"{name}{index}")
            for index, (before, after) in enumerate(pairs)
        ]
        return model(nodes, [])

    return chain("encoder/layers/attention/self/", "encoder/layers/attention/self/Relu_"), chain("v", "")


def documented() -> tuple[onnx.ModelProto, onnx.ModelProto]:
    before, after = model([dense(0, "w")], [raw("w", WEIGHT)]), model([dense(0, "w")], [raw("w", WEIGHT)])
    before.graph.node[0].doc_string = 'File "/model.py", line 3\n' * 60
    return before, after


CASES = {
    "unused-tensors": unused,
    "duplicate-tensors": duplicates,
    "transposed-copies": transposed,
    "same-weight-two-dtypes": two_dtypes,
    "wasteful-storage, halves": halves,
    "wasteful-storage, varints": varints,
    "wasteful-storage, zero points": zero_points,
    "long-names": names,
    "metadata-share": documented,
}
COST = 40  # bytes that a Cast, an attribute or a name takes in place of what is won


@pytest.mark.parametrize("case", CASES)
def test_the_fix_wins_what_the_finding_says(case: str) -> None:
    make: Callable[[], tuple[onnx.ModelProto, onnx.ModelProto]] = CASES[case]
    before, after = make()
    onnx.checker.check_model(before)
    onnx.checker.check_model(after)
    x = RNG.normal(size=(4, 96)).astype(np.float32)
    results = [ReferenceEvaluator(one).run(None, {"x": x})[0] for one in (before, after)]
    np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-5)  # float32 sums in another order

    rule = case.partition(",")[0]
    old, new = before.SerializeToString(), after.SerializeToString()
    (finding,) = (f for f in search(dissect({"m.onnx": old}), {"m.onnx": old}) if f.rule == rule)
    assert finding.saves - COST <= len(old) - len(new) <= finding.saves + 2 * COST
    assert rule not in {f.rule for f in search(dissect({"m.onnx": new}), {"m.onnx": new})}


def renamed(tflite: bytes, name: str | None) -> bytes:
    """With another name for the weight of its one operator, which is neither input nor output."""
    model = schema.ModelT.InitFromPackedBuf(tflite)
    model.subgraphs[0].tensors[1].name = name
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_a_tensor_of_tflite_needs_no_name(tflite: bytes) -> None:
    old, new = renamed(tflite, "encoder/layers/0/" * 20), renamed(tflite, None)
    (finding,) = search(dissect_tflite({"m.tflite": old}), {"m.tflite": old})
    assert (finding.rule, finding.saves) == ("long-names", 4 + 340 + 1)  # length, letters, and a zero
    assert 0 <= len(old) - len(new) - finding.saves < 16  # the string was padded, too
    assert not search(dissect_tflite({"m.tflite": new}), {"m.tflite": new})
    Interpreter(model_content=new).allocate_tensors()


def test_a_buffer_of_tflite_that_no_tensor_uses(tflite: bytes) -> None:
    model = schema.ModelT.InitFromPackedBuf(tflite)
    left = schema.BufferT()
    left.data = np.arange(256, dtype=np.uint8).repeat(4)
    model.buffers.append(left)
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    data = bytes(builder.Output())
    (finding,) = search(dissect_tflite({"m.tflite": data}), {"m.tflite": data})
    assert (finding.rule, finding.saves) == ("unused-tensors", 1_024)


def test_a_tail_of_tflite_that_nothing_refers_to(tflite: bytes) -> None:
    data = tflite + b"appended" * 50
    (finding,) = search(dissect_tflite({"m.tflite": data}), {"m.tflite": data})
    assert (finding.rule, finding.saves) == ("unexplained-bytes", 400)
