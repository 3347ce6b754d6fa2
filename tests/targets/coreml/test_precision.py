"""What a float16 program computes in float32, why, and that it is right then."""

from __future__ import annotations

import json

import numpy as np
import onnx_ir as ir
import pytest
from onnx import numpy_helper

from compile.model import PEAK, Model
from targets.coreml import mil, run
from targets.coreml.lower import lower
from targets.coreml.precision import float32_nodes, narrows
from targets.coreml.specification import program


def reasons(model):
    graph = ir.from_proto(model).graph
    return {node.op_type: reason for node, reason in float32_nodes(graph).items()}


def types_of(files):
    """The result types of each kind of operation in a package."""
    found = {}
    for operation in program(files).functions["main"].operations:
        found.setdefault(operation.type, set()).update(value.type.dtype for value in operation.outputs)
    return found


def noted(artifact):
    return json.loads(program(artifact.files).metadata.get("phiz.float32", "{}"))


def test_int8_weights_make_it_float16_from_the_first_product_on(student_of, lowered):
    model = student_of("w8")
    assert reasons(model) == {}  # the reshape of the input moves what the product reads
    found = types_of(lowered(model, "").files)
    assert found["conv"] == found["linear"] == found["constexpr_affine_dequantize"] == {"float16"}
    assert found["cast"] == {"float16", "float32"}
    assert noted(lowered(model, "")) == {}


def test_what_only_moves_is_as_wide_as_whatever_reads_it(hub, quantize):
    """The first reshape feeds int8 weights alone, the second an exponential as well, the third is the output."""
    net = hub()
    x = net.input(1, 24)
    one, other = net.reshape(x, 1, 2, 12), net.reshape(x, 1, 3, 8)
    narrow, both = net.conv(one, 4, 2, (3,)), net.conv(net.op("Transpose", other, perm=[0, 2, 1]), 4, 8, (3,))
    model = net.model(narrow, both, net.op("Exp", other), net.reshape(x, 1, 4, 6))
    graph = ir.from_proto(quantize(model, "w8", net.feeds())).graph
    moved = {tuple(node.outputs[0].shape) for node in float32_nodes(graph) if node.op_type in ("Reshape", "Transpose")}
    assert moved == {(1, 3, 8), (1, 4, 6)}


def test_what_the_plan_keeps_in_float_is_float32(student_of, lowered):
    found = types_of(lowered(student_of("float"), "").files)
    assert {dtype for dtypes in found.values() for dtype in dtypes} <= {"float32", "int32", "str"}
    assert "cast" not in found


def test_int8_activations_make_it_float32(student, lowered):
    assert "float16" not in {dtype for dtypes in types_of(lowered(student, "").files).values() for dtype in dtypes}


def test_a_norm_is_float32_up_to_the_next_product(hub, quantize, reference, lowered, saved):
    net = hub()
    x = net.gemm(net.input(2, 16), 12, 16)
    loud = net.op("Mul", x, net.constant(900.0))  # squares beyond 65504
    centred = net.op("Sub", loud, net.reduce("Mean", loud, 1))
    variance = net.reduce("Mean", net.op("Mul", centred, centred), 1)
    y = net.op("Div", centred, net.op("Sqrt", net.op("Add", variance, net.constant(1e-12))))
    model = quantize(net.model(net.gemm(net.op("Relu", y), 4, 12)), "w8", feeds := net.feeds())
    graph = ir.from_proto(model).graph
    wide = [node.op_type for node in float32_nodes(graph)]
    assert sorted(wide) == sorted(["ReduceMean", "Sub", "Mul", "ReduceMean", "Add", "Sqrt", "Div", "Relu"])
    artifact = lowered(model, "")
    assert types_of(artifact.files)["linear"] == {"float16"}
    assert sorted(noted(artifact).values()) == [
        "ReduceMean leaves the range of float16 easily",
        "ReduceMean leaves the range of float16 easily",
        "its constant 'c5' does not fit float16",
        "squares leave the range of float16 easily",
    ]
    (expected,), (found,) = reference(model, feeds).values(), run.load(saved(artifact.files)).run(feeds).values()
    np.testing.assert_allclose(found, expected, rtol=0, atol=2.0**-8 * np.abs(expected).max())


def test_what_a_logarithm_reads_is_float32_and_right_beyond_what_calibration_saw(
    hub, quantize, reference, lowered, saved
):
    """Powers of up to 10^6, of which nothing says that they are more than 1: no peaks are noted."""
    net = hub()
    x = net.conv(net.input(1, 3, 20), 4, 3, (3,))
    bands = net.conv(net.op("Mul", x, x), 4, 4, (1,), bias=False)
    net.constants[-1].CopyFrom(
        numpy_helper.from_array(np.abs(net.array(net.nodes[-1].input[1])), net.nodes[-1].input[1])
    )
    y = net.op("Log", net.op("Add", bands, net.constant(0.001)))
    model = quantize(net.model(net.conv(y, 4, 4, (1,))), "w8", feeds := net.feeds())
    artifact = lowered(model, "")
    assert types_of(artifact.files)["conv"] == {"float16", "float32"}
    assert "a logarithm reads it: powers leave the range of float16 easily" in noted(artifact).values()
    loud = {name: np.float32(300) * array for name, array in feeds.items()}
    (expected,), (found,) = reference(model, loud).values(), run.load(saved(artifact.files)).run(loud).values()
    np.testing.assert_allclose(found, expected, rtol=0, atol=2.0**-8 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("numbers", "fit"),
    [
        ([1.0, -65504.0], True),
        ([1.0, 65536.0], False),
        ([np.inf, -np.inf, 0.0], True),  # a mask
        ([1e-5], True),  # an epsilon, with 8 bits left of 11
        ([1e-12], False),
        ([1.0, 1e-12], True),  # lost beside the 1
        ([3e-6, 2e-6], False),
        ([], True),
    ],
)
def test_which_numbers_float16_holds(numbers, fit):
    assert narrows(np.array(numbers, np.float32)) is fit


def test_tiny_weights_are_float32_and_right(hub, quantize, reference, lowered, saved):
    net = hub()
    x = net.conv(net.input(1, 3, 20), 4, 3, (3,), bias=False)
    net.constants[-1].CopyFrom(numpy_helper.from_array(net.array("c0") * np.float32(1e-5), "c0"))
    model = quantize(net.model(net.op("Mul", x, net.constant(1e4))), "w8", feeds := net.feeds())
    artifact = lowered(model, "")
    assert list(noted(artifact).values()) == ["its constant 'c0_d' does not fit float16"]
    (expected,), (found,) = reference(model, feeds).values(), run.load(saved(artifact.files)).run(feeds).values()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize(("peak", "wide"), [(40000.0, []), (50000.0, ["Gemm", "Relu"])])
def test_what_calibration_saw_near_the_end_of_float16_is_float32(peak, wide, hub, quantize):
    net = hub()
    x = net.gemm(net.input(1, 8), 8, 8)
    model = ir.from_proto(quantize(net.model(net.gemm(net.op("Relu", x), 4, 8)), "w8", net.feeds()))
    first = next(node for node in model.graph if node.op_type == "Gemm")
    first.outputs[0].meta[PEAK] = peak
    artifact = lower(Model(model))
    assert [node.op_type for node in float32_nodes(model.graph)] == wide
    assert types_of(artifact.files)["linear"] == ({"float16", "float32"} if wide else {"float16"})
    reason = f"'{first.outputs[0].name}' reaches 5e+04, float16 ends at 65504"
    assert set(noted(artifact).values()) == ({reason} if wide else set())


@pytest.mark.parametrize("form", ["", "ios18", "fp32"])
def test_weights_of_both_precisions_are_stored_once(form, hub, quantize, reference, lowered, saved):
    """One weight, used twice: in float16, and in float32 beside a bias that float16 cannot hold."""
    net = hub()
    x = net.gemm(net.input(1, 32), 32, 32)
    weight, loud = net.constant(net.array(net.nodes[-1].input[1])), net.constant([1e5, *[0.5] * 31])
    y = net.op("Gemm", x, weight, loud, transB=1, transA=0, alpha=1.0, beta=1.0)
    model = quantize(net.model(y), "w8", feeds := net.feeds())
    artifact = lowered(model, form)
    package = program(artifact.files)
    stored = {
        (constant.type.dtype, constant.start)
        for operation in package.functions["main"].operations
        for constant in (*operation.attributes.values(), *(a for given in operation.inputs.values() for a in given))
        if isinstance(constant, mil.Constant) and constant.type.shape == (32, 32)
    }
    assert [dtype for dtype, _ in stored] == ["int8"]
    (expected,), (found,) = reference(model, feeds).values(), run.load(saved(artifact.files)).run(feeds).values()
    np.testing.assert_allclose(found[:, 1:], expected[:, 1:], rtol=0, atol=2.0**-8 * np.abs(expected[:, 1:]).max())
    np.testing.assert_allclose(found[:, 0], expected[:, 0], rtol=1e-6)


@pytest.mark.parametrize(("form", "read_as"), [("", "const"), ("ios18", "const"), ("fp32", "constexpr_cast")])
def test_float16_weights_stay_two_bytes(form, read_as, hub, reference, lowered, saved):
    net = hub()
    weight = net.op("Cast", net.constant(net.random.normal(0, 0.2, (40, 32)), np.float16), to=1)
    x = net.op("Gemm", net.input(3, 32), weight, net.noise(40), transB=1, transA=0, alpha=1.0, beta=1.0)
    model, feeds = net.model(x), net.feeds()
    artifact = lowered(model, form)
    assert read_as in types_of(artifact.files)
    weights = next(data for name, data in artifact.files.items() if name.endswith("weight.bin"))
    assert len(weights) <= 2 * 40 * 32 + 4 * 40 + 4 * 64
    (expected,), (found,) = reference(model, feeds).values(), run.load(saved(artifact.files)).run(feeds).values()
    tolerance = 1e-6 if form == "fp32" else 2.0**-9
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())
