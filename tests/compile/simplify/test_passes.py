"""A case is data: a graph in ONNX's text form, a pass, and the operators expected afterwards.

Every case also runs before and after in onnxruntime (float32; both orders of summation differ by a few ulp, and the
folded weights are rounded once more: 1e-5 of the output's size covers it), and the pass must find nothing more to do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from compile.simplify.affine import fold_affine
from compile.simplify.ahead import fold_ahead
from compile.simplify.batchnorm import split_batchnorm
from compile.simplify.cleanup import deduplicate, drop_unused
from compile.simplify.constants import fold_constants, lift_constants
from compile.simplify.explicit import explicit_attributes
from compile.simplify.linear import gemm_form
from compile.simplify.means import global_average
from compile.simplify.noops import drop_noops
from compile.simplify.operands import explicit_operands
from compile.simplify.outcome import Outcome
from compile.simplify.reshapes import drop_noop_reshapes, merge_reshapes, plain_reshape


@dataclass(frozen=True)
class Case:
    name: str
    run: Callable[[ir.Model], Outcome]
    text: str
    operators: tuple[str, ...]
    since: tuple[int, int] = (0, 0)  # the onnxruntime before it computes the case wrong


CASES = (
    Case(
        "batchnorm becomes Mul and Add",
        split_batchnorm,
        "(float[2,3,5] x) => (float[2,3,5] y) { y = BatchNormalization <epsilon = 0.01> (x, v3, w3, u3, p3) }",
        ("Mul", "Add"),
    ),
    Case(
        "batchnorm in training mode stays",
        split_batchnorm,
        "(float[2,3,5] x) => (float[2,3,5] y) { y, m, v = BatchNormalization <training_mode = 1> (x, v3, w3, u3, p3) }",
        ("BatchNormalization",),
    ),
    Case(
        "scale and shift fold into Conv",
        fold_affine,
        "(float[1,3,9] x) => (float[1,4,7] y) { a = Conv (x, c433, v4) b = Mul (a, p141) y = Add (w141, b) }",
        ("Conv",),
    ),
    Case(
        "shift folds into Conv without bias",
        fold_affine,
        "(float[1,3,9] x) => (float[1,4,7] y) { a = Conv (x, c433) y = Add (a, w141) }",
        ("Conv",),
    ),
    Case(
        "a scale along time does not fold",
        fold_affine,
        "(float[1,3,9] x) => (float[1,4,7] y) { a = Conv (x, c433) y = Mul (a, v7) }",
        ("Conv", "Mul"),
    ),
    Case(
        "a second reader keeps the scale out",
        fold_affine,
        "(float[1,3,9] x) => (float[1,4,7] y, float[1,4,7] z) { a = Conv (x, c433) y = Mul (a, p141) z = Relu (a) }",
        ("Conv", "Mul", "Relu"),
    ),
    Case(
        "scalar scale folds into Gemm",
        fold_affine,
        "(float[2,3] x) => (float[2,4] y) { a = Gemm <transB = 1> (x, m43, v4) y = Mul (a, s) }",
        ("Gemm",),
    ),
    Case(
        "shift and scale fold into the Conv behind them",
        fold_ahead,
        "(float[1,3,9] x) => (float[1,4,7] y) { a = Mul (x, p131) b = Add (w131, a) y = Conv (b, c433, v4) }",
        ("Conv",),
    ),
    Case(
        "shift folds into the Gemm behind it",
        fold_ahead,
        "(float[2,3] x) => (float[2,4] y) { a = Add (x, v3) y = Gemm <transB = 1> (a, m43) }",
        ("Gemm",),
    ),
    Case(
        "before padding a scale folds, and a shift does not",
        fold_ahead,
        "(float[1,3,9] x) => (float[1,4,9] y) "
        "{ a = Add (x, w131) b = Mul (a, p131) y = Conv <pads = [1, 1]> (b, c433, v4) }",
        ("Add", "Conv"),
    ),
    Case(
        "what others read as well does not fold",
        fold_ahead,
        "(float[1,3,9] x) => (float[1,4,7] y, float[1,3,9] z) { a = Mul (x, p131) y = Conv (a, c433) z = Relu (a) }",
        ("Mul", "Conv", "Relu"),
    ),
    Case(
        "nor into a weight that others read",
        fold_ahead,
        "(float[1,3,9] x) => (float[1,4,7] y, float[1,4,7] z) "
        "{ a = Mul (x, p131) y = Conv (a, c433) z = Conv (x, c433) }",
        ("Mul", "Conv", "Conv"),
    ),
    Case(
        "MatMul on three axes and its bias become Gemm",
        gemm_form,
        "(float[2,5,3] x) => (float[2,5,4] y) { a = MatMul (x, m34) y = Add (a, v4) }",
        ("Reshape", "Gemm", "Reshape"),
    ),
    Case(
        "MatMul on two axes becomes Gemm alone",
        gemm_form,
        "(float[5,3] x) => (float[5,4] y) { y = MatMul (x, m34) }",
        ("Gemm",),
    ),
    Case(
        "Gemm with factors, untransposed and a row bias",
        gemm_form,
        "(float[5,3] x) => (float[5,4] y) { y = Gemm <alpha = 0.5, beta = 2.0> (x, m34, r14) }",
        ("Gemm",),
    ),
    Case(
        "Gemm with transposed input",
        gemm_form,
        "(float[3,5] x) => (float[5,4] y) { y = Gemm <transA = 1> (x, m34) }",
        ("Transpose", "Gemm"),
    ),
    Case(
        "Gemm with a bias for each row leaves it to an Add",
        gemm_form,
        "(float[5,3] x) => (float[5,4] y) { y = Gemm <beta = 2.0> (x, m34, c51) }",
        ("Gemm", "Add"),
    ),
    Case(
        "Gemm with a scalar for a bias",
        gemm_form,
        "(float[5,3] x) => (float[5,4] y) { y = Gemm <beta = 2.0> (x, m34, s) }",
        ("Gemm",),
    ),
    Case(
        "Gemm without a bias may carry any beta",
        gemm_form,
        "(float[5,3] x) => (float[5,4] y) { y = Gemm <beta = 2.0, transB = 1> (x, m43) }",
        ("Gemm",),
    ),
    Case(
        "MatMul by a stack of one matrix",
        gemm_form,
        "(float[5,3] x) => (float[1,5,4] y) { y = MatMul (x, m134) }",
        ("Gemm", "Reshape"),
    ),
    Case(
        "MatMul by a vector",
        gemm_form,
        "(float[5,3] x) => (float[5] y) { y = MatMul (x, v3) }",
        ("Gemm", "Reshape"),
    ),
    Case(
        "MatMul of a vector",
        gemm_form,
        "(float[3] x) => (float[1,4] y) { a = MatMul (x, m34) y = Add (a, r14) }",
        ("Reshape", "Gemm"),
    ),
    Case(
        "MatMul with the constant on the left",
        gemm_form,
        "(float[2,3,5] x) => (float[2,4,5] y) { y = MatMul (m43, x) }",
        ("Transpose", "Reshape", "Gemm", "Reshape", "Transpose"),
    ),
    Case(
        "a product of two activations stays",
        gemm_form,
        "(float[5,3] x) => (float[5,5] y) { t = Transpose <perm = [1, 0]> (x) y = MatMul (x, t) }",
        ("Transpose", "MatMul"),
    ),
    Case(
        "mean over time becomes GlobalAveragePool",
        global_average,
        "(float[2,3,5] x) => (float[2,3] y) { y = ReduceMean <keepdims = 0> (x, last) }",
        ("GlobalAveragePool", "Reshape"),
    ),
    Case(
        "mean over channels stays",
        global_average,
        "(float[2,3,5] x) => (float[2,1,5] y) { y = ReduceMean <keepdims = 1> (x, one) }",
        ("ReduceMean",),
    ),
    Case(
        "Flatten, Squeeze and Unsqueeze are Reshapes",
        plain_reshape,
        "(float[1,6,1] x) => (float[1,1,6] y) { a = Flatten (x) b = Squeeze (a, zero) y = Unsqueeze (b, zeroone) }",
        ("Reshape", "Reshape", "Reshape"),
    ),
    Case(
        "an Identity that has to stay is a Reshape",
        plain_reshape,
        "(float[2,3] x) => (float[2,3] y, float[2,3] z) { y = Identity (x) z = Dropout (y) }",
        ("Reshape", "Reshape"),
    ),
    Case(
        "Reshapes in a row merge, an activation goes first",
        merge_reshapes,
        "(float[2,3,4] x) => (float[24] y) { a = Reshape (x, s64) b = Relu (a) y = Reshape (b, s24) }",
        ("Relu", "Reshape"),
    ),
    Case(
        "a Reshape read twice stays before the activation",
        merge_reshapes,
        "(float[2,3,4] x) => (float[6,4] y, float[6,4] z) { a = Reshape (x, s64) y = Relu (a) z = Tanh (a) }",
        ("Reshape", "Relu", "Tanh"),
    ),
    Case(
        "a Reshape to the same shape goes",
        drop_noop_reshapes,
        "(float[6,4] x) => (float[6,4] y) { a = Relu (x) b = Reshape (a, s64) y = Tanh (b) }",
        ("Relu", "Tanh"),
    ),
    Case(
        "what changes nothing goes",
        drop_noops,
        "(float[2,3,4] x) => (float[2,3,4] y) { a = Identity (x) b = Dropout (a) c = Add (b, nil) d = Mul (ones, c) "
        "e = Transpose <perm = [0, 1, 2]> (d) f = Pad (e, nopads) g = Cast <to = 1> (f) y = Relu (g) }",
        ("Relu",),
    ),
    Case(
        "input and output stay apart",
        drop_noops,
        "(float[2,3] x) => (float[2,3] y) { y = Identity (x) }",
        ("Identity",),
    ),
    Case(
        "a slice that turns an axis round stays",
        drop_noops,
        "(float[2,9] x) => (float[2,9] y) { a = Slice (x, minus, least, one, minus) y = Relu (a) }",
        ("Slice", "Relu"),
    ),
    Case(
        "a sum with a wider zero is a broadcast and stays",
        drop_noops,
        "(float[3] x) => (float[2,3] y) { y = Add (x, wide) }",
        ("Add",),
    ),
    Case(
        "computed shapes fold",
        fold_constants,
        "(float[2,3,4] x) => (float[2,12] y) { n = Shape (x) a = Gather (n, i0) b = Unsqueeze (a, zero) "
        "c = Concat <axis = 0> (b, minus) y = Reshape (x, c) }",
        ("Reshape",),
    ),
    Case(
        "a constant that would grow into a table stays",
        fold_constants,
        "(float[40,40] x) => (float[40,40] y) { a = Expand (s, big) y = Add (x, a) }",
        ("Expand", "Add"),
    ),
    Case(
        "constants are lifted",
        lift_constants,
        "(float[2] x) => (float[2] y) { a = Constant <value_floats = [1.0, 2.0]> () y = Add (x, a) }",
        ("Add",),
    ),
    Case(
        "equal work is done once",
        deduplicate,
        "(float[1,3,9] x) => (float[1,4,7] y) { a = Conv (x, c433) b = Conv (x, d433) y = Add (a, b) }",
        ("Conv", "Add"),
    ),
    Case(
        "work that nobody reads goes",
        drop_unused,
        "(float[2] x) => (float[2] y) { a = Tanh (x) y = Relu (x) }",
        ("Relu",),
    ),
    Case(
        "automatic padding is written out",
        explicit_attributes,
        '(float[1,3,9] x) => (float[1,4,5] y) { y = Conv <auto_pad = "SAME_UPPER", strides = [2]> (x, c433) }',
        ("Conv",),
    ),
    Case(
        "a ceiling becomes padding",
        explicit_attributes,
        "(float[1,3,10] x) => (float[1,3,5] y) { y = MaxPool <kernel_shape = [3], strides = [2], ceil_mode = 1> (x) }",
        ("MaxPool",),
    ),
    Case(
        "a mean under a ceiling counts only what is there",
        explicit_attributes,
        "(float[1,3,10] x) => (float[1,3,4] y) "
        "{ y = AveragePool <kernel_shape = [3], strides = [3], ceil_mode = 1> (x) }",
        ("AveragePool",),
    ),
    Case(
        "a mean that counts its pads does not count those of a ceiling",
        explicit_attributes,
        "(float[1,3,11] x) => (float[1,3,5] y) { y = AveragePool "
        "<kernel_shape = [3], strides = [3], pads = [2, 1], count_include_pad = 1, ceil_mode = 1> (x) }",
        ("Pad", "AveragePool"),
        since=(1, 24),  # 1.23 counts the pads of the ceiling
    ),
    Case(
        "a mean that would count pads but has none",
        explicit_attributes,
        "(float[1,3,10] x) => (float[1,3,4] y) "
        "{ y = AveragePool <kernel_shape = [3], strides = [3], count_include_pad = 1, ceil_mode = 1> (x) }",
        ("AveragePool",),
        since=(1, 24),
    ),
    Case(
        "slices from the end, without axes or steps",
        explicit_operands,
        "(float[2,3,9] x) => (float[2,2,8] y) { a = Slice (x, start2, end2, axes2) y = Slice (a, zero, minus, one) }",
        ("Slice", "Slice"),
    ),
    Case(
        "pads on some axes",
        explicit_operands,
        "(float[2,3,4] x) => (float[2,3,7] y) { y = Pad (x, pads12, none, last) }",
        ("Pad",),
    ),
)

_RANDOM = np.random.default_rng(7)
CONSTANTS = {
    "v3": _RANDOM.uniform(0.5, 2, 3), "w3": _RANDOM.normal(size=3), "u3": _RANDOM.normal(size=3),
    "p3": _RANDOM.uniform(0.5, 2, 3), "v4": _RANDOM.normal(size=4), "v7": _RANDOM.normal(size=7),
    "p141": _RANDOM.uniform(-2, 2, (1, 4, 1)), "w141": _RANDOM.normal(size=(1, 4, 1)),
    "c433": _RANDOM.normal(size=(4, 3, 3)), "m43": _RANDOM.normal(size=(4, 3)), "m34": _RANDOM.normal(size=(3, 4)),
    "r14": _RANDOM.normal(size=(1, 4)), "s": np.array(0.3), "nil": np.zeros((2, 3, 4)), "ones": np.ones(4),
    "c51": _RANDOM.normal(size=(5, 1)), "m134": _RANDOM.normal(size=(1, 3, 4)),
    "wide": np.zeros((2, 3)), "none": np.array(0.0),
    "p131": _RANDOM.uniform(-2, 2, (1, 3, 1)), "w131": _RANDOM.normal(size=(1, 3, 1)),
}  # fmt: skip
CONSTANTS["d433"] = CONSTANTS["c433"]
SHAPES = {
    "last": [2], "one": [1], "zero": [0], "zeroone": [0, 1], "s64": [6, 4], "s24": [24], "nopads": [0] * 6,
    "minus": [-1], "big": [40, 40], "start2": [-8, 0], "end2": [9223372036854775807, 3], "axes2": [-1, 1],
    "pads12": [1, 2], "least": [-(2**31)],
}  # fmt: skip


def read(text: str) -> onnx.ModelProto:
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 18]> g {text}')
    used = {name for node in proto.graph.node for name in node.input}
    for name, data in CONSTANTS.items():
        if name in used:
            proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(data, np.float32), name))
    for name, numbers in SHAPES.items():
        if name in used:
            proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(numbers, np.int64), name))
    if "i0" in used:
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(0, np.int64), "i0"))
    onnx.checker.check_model(proto)
    return proto


def inferred(model: ir.Model) -> ir.Model:
    return ir.from_proto(onnx.shape_inference.infer_shapes(ir.to_proto(model), strict_mode=True))


def outputs(proto: onnx.ModelProto) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options)
    generator = np.random.default_rng(1)
    feed = {i.name: generator.normal(size=i.shape).astype(np.float32) for i in session.get_inputs()}
    return session.run(None, feed)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_pass(case: Case) -> None:
    proto = read(case.text)
    model = inferred(ir.from_proto(proto))
    outcome = case.run(model)
    result = ir.to_proto(inferred(model))
    onnx.checker.check_model(result, full_check=True)
    assert tuple(node.op_type for node in result.graph.node) == case.operators
    comparable = case.operators != ("BatchNormalization",)  # training mode has no single meaning at inference
    if comparable and tuple(map(int, onnxruntime.__version__.split(".")[:2])) >= case.since:
        for before, after in zip(outputs(proto), outputs(result), strict=True):
            np.testing.assert_allclose(after, before, rtol=0, atol=1e-5 * np.abs(before).max())

    again = case.run(model)
    assert again.rewrites == ()
    assert ir.to_proto(model) == ir.to_proto(model.clone())
    assert tuple(node.op_type for node in model.graph) == case.operators
    for node in (node for node in model.graph if node.op_type == "Gemm" and case.run is gemm_form):
        factors = {name: attribute.value for name, attribute in node.attributes.items()}
        assert factors == {"alpha": 1, "beta": 1, "transA": 0, "transB": 1}
    if case.name.startswith("a constant that would grow"):
        assert "would add" in outcome.refusals[0]


def test_folding_a_shared_weight_is_refused_with_its_reason() -> None:
    text = (
        "(float[1,3,9] x) => (float[1,4,7] y, float[1,4,7] z) "
        "{ a = Conv (x, c433) y = Mul (a, p141) z = Conv (x, c433) }"
    )
    model = inferred(ir.from_proto(read(text)))
    outcome = fold_affine(model)
    assert [node.op_type for node in model.graph] == ["Conv", "Mul", "Conv"]
    assert "shared" in outcome.refusals[0]


def test_explicit_form_has_every_attribute_and_operand() -> None:
    text = (
        '(float[1,3,9] x) => (float[1,4,8] y) { a = Conv <auto_pad = "SAME_LOWER", strides = [2]> (x, c433) '
        "b = Slice (a, zero, minus, last) c = Concat <axis = -1> (b, b) d = Transpose (c) e = Transpose (d) "
        "y = Slice (e, zero, five, last) }"
    ).replace("five", "s24")
    model = inferred(ir.from_proto(read(text)))
    explicit_attributes(model)
    explicit_operands(model)
    conv, first, concat, transpose, _, last = model.graph
    attributes = {name: attribute.value for name, attribute in conv.attributes.items()}
    assert {key: list(value) if not isinstance(value, int) else value for key, value in attributes.items()} == {
        "kernel_shape": [3],
        "strides": [2],
        "dilations": [1],
        "pads": [1, 1],
        "group": 1,
    }
    assert concat.attributes["axis"].as_int() == 2
    assert list(transpose.attributes["perm"].as_ints()) == [2, 1, 0]
    operands = [[int(value.const_value.numpy()[0]) for value in node.inputs[1:]] for node in (first, last)]
    assert operands == [[0, 4, 2, 1], [0, 8, 2, 1]]


def test_what_was_dropped_is_counted():
    text = '<ir_version: 9, opset_import: ["": 20]> g (float[2] x) => (float[2] y) <float w = {1}> { y = Relu (x) }'
    assert drop_unused(ir.from_proto(onnx.parser.parse_model(text))).rewrites == ("dropped 1 unused tensor",)
