"""What is not what phiz writes is refused; what is read is accounted for, byte by byte."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from compile.errors import UserError
from compile.model import Model
from targets.c.dissect import dissect
from targets.c.lower import lower


@pytest.fixture(scope="module", params=["", "mapped"])
def files(request: pytest.FixtureRequest) -> dict[str, bytes]:
    """A small source in each form, with all that lies beside it."""
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    weights = numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")
    node = helper.make_node("Gemm", ["x", "w"], ["y"], name="g", transB=1, transA=0, alpha=1.0, beta=1.0)
    graph = helper.make_graph([node], "net", ports[:1], ports[1:], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    return dict(lower(Model(ir.from_proto(model)), request.param).files)


@settings(max_examples=120)
@given(data=st.data())
def test_hostile_files_are_read_or_refused(files: dict[str, bytes], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(files)))
    text = bytearray(files[name])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=8))
    try:
        found = dissect({**files, name: bytes(text)})
    except UserError:
        return
    assert sum(s.end - s.start for s in found.sections) == sum(found.sizes.values())
