"""Each form of the ONNX target says what the hub graph says: the same values, in the operators its readers know."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx import TensorProto, numpy_helper

from compile.model import Model
from compile.simplify.forms import FORMS as HUB
from targets.capabilities import refusals
from targets.catalogue import find
from targets.kernels import read
from targets.onnx.lower import FORMS, lower
from targets.onnx.run import Session
from targets.onnx.spelling import OLDER

FLOAT = np.float32


def binary(operator: str, *after: str) -> Any:
    def build(net: Any) -> str:
        found = net.op(operator, net.input(2, 5), net.input(2, 5))
        for name in after:
            found = net.op(name, found, **({"to": TensorProto.FLOAT} if name == "Cast" else {}))
        return found

    return build


def reduction(operator: str) -> Any:
    return lambda net: net.op(operator, net.input(2, 3, 7), net.constant([0, 2], np.int64), keepdims=1)


def resize(mode: str) -> Any:
    def build(net: Any) -> str:
        sizes = net.constant([1, 2, 11], np.int64)
        given = {"mode": "linear", "coordinate_transformation_mode": mode, "antialias": 0}
        return net.op("Resize", net.input(1, 2, 5), "", "", sizes, keep_aspect_ratio_policy="stretch", **given)

    return build


def where(net: Any) -> str:
    x = net.input(2, 5)
    return net.op("Where", net.op("Not", net.op("LessOrEqual", x, net.constant(0.2))), x, net.constant(np.ones((2, 5))))


def pool(kind: str, **given: Any) -> Any:
    return lambda net: net.pool(kind, net.input(1, 3, 11), (3,), strides=[2], pads=[1, 1], **given)


BUILDS: dict[str, Any] = {
    "Gelu": lambda net: net.op("Gelu", net.input(2, 9), approximate="none"),
    "Gelu inside": lambda net: net.gemm(net.op("Gelu", net.gemm(net.input(1, 4), 6, 4), approximate="tanh"), 3, 6),
    "LeakyRelu": lambda net: net.op("LeakyRelu", net.input(2, 9), alpha=0.2),
    "PRelu": lambda net: net.op("PRelu", net.input(2, 3, 5), net.noise(3, 1)),
    "Pad": lambda net: net.pad(net.input(2, 3), [0, 1, 0, 2], 0.5),
    "Reshape": lambda net: net.op("Reshape", net.input(2, 6), net.constant([3, 4], np.int64), allowzero=1),
    "AveragePool": pool("AveragePool"),
    "AveragePool counting": pool("AveragePool", count_include_pad=1),
    "AveragePool counting in 2-D": lambda net: net.pool(
        "AveragePool", net.input(1, 2, 6, 8), (2, 3), strides=[1, 2], pads=[1, 0, 0, 2], count_include_pad=1
    ),
    "MaxPool": pool("MaxPool"),
    "Conv": lambda net: net.conv(net.input(1, 3, 20), 4, 3, (5,), strides=[2], pads=[2, 1]),
    **{name: reduction(name) for name in ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin")},
    **{f"Resize {mode}": resize(mode) for mode in ("half_pixel", "align_corners")},
    **{name: binary(name, "Cast") for name in ("LessOrEqual", "GreaterOrEqual", "Equal")},
    "Where": where,
}


def hub_model(proto: onnx.ModelProto) -> Model:
    own = onnx.load_from_string(proto.SerializeToString())  # onnx-ir's tensors are views of the message
    return Model(ir.from_proto(own))


def lowered(proto: onnx.ModelProto, form: str) -> onnx.ModelProto:
    (data,) = lower(hub_model(proto), form).files.values()
    return onnx.load_from_string(data)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", BUILDS)
def test_every_form_computes_what_the_hub_does(hub: Any, reference: Any, name: str, form: str) -> None:
    """Equal but for float32's rounding: Gelu's arithmetic is spelled out, and rounds in other places."""
    net = hub()
    proto, feeds = net.model(BUILDS[name](net)), net.feeds()
    found = lowered(proto, form)
    onnx.checker.check_model(found, full_check=True)
    expected, (got,) = reference(proto, feeds), reference(found, feeds).values()
    np.testing.assert_allclose(got, *expected.values(), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("form", ["qdq", "unity"])
def test_old_forms_are_of_opset_15(hub: Any, form: str) -> None:
    net = hub()
    found = lowered(net.model(BUILDS["Gelu"](net)), form)
    assert [(entry.domain, entry.version) for entry in found.opset_import] == [("", 15)]
    assert found.ir_version == 8


def test_no_hub_operator_changed_its_form_after_opset_15_unnoticed() -> None:
    """By the schemas: inputs and attributes of 15 and 20 differ only where there is a spelling, or hub forms never
    use the difference (a Pad has no axes, an AveragePool no dilations)."""
    unused = {("Pad", "axes"), ("AveragePool", "dilations")}
    for operator in (*HUB, "QuantizeLinear", "DequantizeLinear"):
        if operator in OLDER:
            continue
        old, new = (onnx.defs.get_schema(operator, opset) for opset in (15, 20))
        names = [{*schema.attributes, *(port.name for port in schema.inputs)} for schema in (old, new)]
        assert {(operator, name) for name in names[0] ^ names[1]} <= unused, operator


@pytest.mark.parametrize("form", ["", "arm", "qdq"])
@pytest.mark.parametrize("scheme", ["w8", "w8a8"])
def test_integers_mean_the_same_in_every_form(hub: Any, quantize: Any, reference: Any, scheme: str, form: str) -> None:
    net = hub()
    x = net.op("Relu", net.conv(net.input(1, 3, 20), 4, 3, (5,)))
    y = net.gemm(net.reshape(x, 1, 64), 5, 64)
    feeds = net.feeds()
    proto = quantize(net.model(y), scheme, feeds)
    found = lowered(proto, form)
    onnx.checker.check_model(found, full_check=True)
    (expected,), (got,) = (reference(model, feeds).values() for model in (proto, found))
    np.testing.assert_array_equal(got, expected)
    activations = TensorProto.UINT8 if form == "" else TensorProto.INT8
    data = {tensor.name: tensor.data_type for tensor in found.graph.initializer}
    types = {data[node.input[2]] for node in found.graph.node if node.op_type == "QuantizeLinear"}
    assert types == ({activations} if scheme == "w8a8" else set())
    assert {node.domain for node in found.graph.node} == {""}


def test_unity_gets_float_only(hub: Any, quantize: Any) -> None:
    net = hub()
    model = net.model(net.gemm(net.input(1, 8), 4, 8))
    for scheme in ("w8", "w8a8"):
        program = read(hub_model(quantize(model, scheme, net.feeds())))
        assert {refusal.operator for refusal in refusals("onnx:unity", program)} >= {"Gemm"}
    assert not refusals("onnx:unity", read(hub_model(model)))
    assert set(find("onnx:unity").instead.values()) == {"float16"}


def test_unity_refuses_what_its_importer_ignores(hub: Any) -> None:
    net = hub()
    model = hub_model(net.model(net.pool("MaxPool", net.input(1, 3, 11), (3,), strides=[1], dilations=[2])))
    (refusal,) = refusals("onnx:unity", read(model))
    assert refusal.operator == "MaxPool"
    assert "dilations" in refusal.reason
    assert not refusals("onnx", read(model))


def test_a_form_is_in_the_name(hub: Any) -> None:
    net = hub()
    model = hub_model(net.model(net.op("Relu", net.input(1, 3))))
    assert [(lower(model, form).target, lower(model, form).name) for form in FORMS] == [
        ("onnx", "net.onnx"), ("onnx:arm", "net.arm.onnx"), ("onnx:qdq", "net.qdq.onnx"),
        ("onnx:unity", "net.unity.onnx"),
    ]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_shared_weight_is_stored_once(hub: Any, form: str) -> None:
    net = hub()
    weight = net.noise(8, 8)
    x = net.input(1, 8)
    for _ in range(3):
        x = net.op("Gemm", x, weight, transB=1, transA=0, alpha=1.0, beta=1.0)
    model = net.model(x)
    stored = [numpy_helper.to_array(tensor) for tensor in lowered(model, form).graph.initializer]
    assert len([array for array in stored if array.shape == (8, 8)]) == 1


@pytest.mark.parametrize("form", ["", "arm", "qdq"])
@pytest.mark.parametrize("relu", [False, True])
def test_a_float_product_between_integers_stays_float(hub: Any, reference: Any, form: str, relu: bool) -> None:
    """With onnxruntime's usual rewrites as without any: its own would round the weights, and move one value in ten by
    a step."""
    net = hub()
    step, zero = net.constant(0.05), net.constant(3, np.int8)

    def pair(x: str) -> str:
        return net.op("DequantizeLinear", net.op("QuantizeLinear", x, step, zero), step, zero)

    y = net.conv(pair(net.input(1, 4, 200)), 6, 4, (3,))
    proto, feeds = net.model(pair(net.op("Relu", y) if relu else y)), net.feeds()
    (expected,) = reference(proto, feeds).values()
    session = onnxruntime.InferenceSession(lowered(proto, form).SerializeToString(), providers=["CPUExecutionProvider"])
    (got,) = session.run(None, feeds)
    assert (np.abs(got - expected) > 0.001).mean() <= 0.002  # a tie may fall either way, and then by one step
    hub_session = Session(proto.SerializeToString(), "the hub")
    assert (np.abs(hub_session.run(feeds)[proto.graph.output[0].name] - expected) > 0.001).mean() <= 0.002
