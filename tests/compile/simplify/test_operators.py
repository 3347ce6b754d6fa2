"""Every operator and every spelling, through the whole pipeline: the hub's form, and the same function.

A case is data: an opset, a graph in ONNX's text form, and the operators expected in the hub. The reference is
onnxruntime on the graph as it was written, or onnx's own evaluator where that lacks an operator; both compute in
float32, in another order: 2e-5 of the output's size covers a few roundings (roots and powers lose the most).

What a graph reads by name is a constant: ``f_3_4`` random float32 ``[3, 4]``, ``i_0_m1`` the int64 vector ``[0, -1]``,
``s_m1p5`` the scalar -1.5, ``j_2`` the int64 scalar 2, ``b_2_3`` a random bool ``[2, 3]``.
"""

from __future__ import annotations

import re
from importlib.metadata import version

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidGraph
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as NotImplemented_

from compile import capture
from compile.errors import UserError
from compile.simplify.dialect import OPERATORS
from compile.simplify.forms import SPELLINGS
from compile.simplify.norms import plain_norms
from compile.simplify.pipeline import simplify

X = "(float[2,3,4] x) => (float[2,3,4] y)"
IMAGE = "(float[2,4,5,6] x) => (float[{}] y)"

CASES = {
    # activations
    "Elu": (13, f"{X} {{ y = Elu <alpha = 0.7> (x) }}", "Relu Min Elu Mul Add"),
    "Elu of 1": (22, f"{X} {{ y = Elu (x) }}", "Elu"),
    "Selu": (13, f"{X} {{ y = Selu (x) }}", "Relu Mul Min Elu Mul Add"),
    "Celu": (13, f"{X} {{ y = Celu <alpha = 2.0> (x) }}", "Relu Min Mul Elu Mul Add"),
    "HardSigmoid": (13, f"{X} {{ y = HardSigmoid (x) }}", "Mul Add Clip"),
    "HardSigmoid as torch has it": (13, f"{X} {{ y = HardSigmoid <alpha = 0.16666667> (x) }}", "Add Clip Mul"),
    "HardSwish": (14, f"{X} {{ y = HardSwish (x) }}", "Add Clip Mul Mul"),
    "Softplus": (13, f"{X} {{ a = Mul (x, s_60) y = Softplus (a) }}", "Mul Abs Mul Exp Relu Add Log Add"),
    "Softsign": (13, f"{X} {{ y = Softsign (x) }}", "Abs Add Div"),
    "Mish": (18, f"{X} {{ y = Mish (x) }}", "Abs Mul Exp Relu Add Log Add Tanh Mul"),
    "ThresholdedRelu": (13, f"{X} {{ y = ThresholdedRelu <alpha = 0.4> (x) }}", "Greater Where"),
    "Shrink": (13, f"{X} {{ y = Shrink <bias = 0.2, lambd = 0.4> (x) }}", "Greater Add Where Add Less Where"),
    "LogSoftmax": (13, f"{X} {{ y = LogSoftmax <axis = 1> (x) }}", "ReduceMax Sub Exp ReduceSum Log Sub"),
    "Softmax": (13, f"{X} {{ y = Softmax (x) }}", "Softmax"),
    "Gelu": (20, f"{X} {{ y = Gelu (x) }}", "Gelu"),
    "PRelu by channel": (13, f"{X} {{ y = PRelu (x, f_3_1) }}", "PRelu"),
    "PRelu by one": (13, f"{X} {{ y = PRelu (x, f_1) }}", "PRelu"),
    "PRelu along time": (13, f"{X} {{ y = PRelu (x, f_4) }}", "Min Mul Relu Add"),
    "Tan": (13, f"{X} {{ y = Tan (x) }}", "Sin Cos Div"),
    "Gelu by Erf": (
        13,
        f"{X} {{ a = Div (x, s_1p4142135) b = Erf (a) c = Add (b, s_1) d = Mul (x, c) y = Mul (d, s_0p5) }}",
        "Gelu",
    ),
    "Gelu by Erf, otherwise": (
        13,
        f"{X} {{ h = Mul (s_0p5, x) a = Mul (x, s_0p70710678) b = Erf (a) c = Add (s_1, b) y = Mul (c, h) }}",
        "Gelu",
    ),
    "Gelu by Tanh": (
        13,
        f"{X} {{ p = Pow (x, s_3) q = Mul (p, s_0p044715) r = Add (x, q) t = Mul (r, s_0p7978845608) u = Tanh (t) "
        "v = Add (u, s_1) h = Mul (x, s_0p5) y = Mul (h, v) }",
        "Gelu",
    ),
    "Gelu of a sum": (
        13,
        f"{X} {{ z = Add (x, f_4) a = Mul (z, s_0p70710678) b = Erf (a) c = Add (s_1, b) d = Mul (c, z) "
        "y = Mul (d, s_0p5) }",
        "Add Gelu",
    ),
    "Clip": (13, f"{X} {{ y = Clip (x, s_m0p5, s_0p5) }}", "Clip"),
    "Clip below": (13, f"{X} {{ y = Clip (x, s_m0p5) }}", "Max"),
    "Clip above": (13, f'{X} {{ y = Clip (x, "", s_0p5) }}', "Min"),
    "Clip at 0": (13, f"{X} {{ y = Clip (x, s_0, s_inf) }}", "Relu"),
    "Clip between nothing": (13, f"{X} {{ a = Tanh (x) y = Clip (a) }}", "Tanh"),
    "Clip the wrong way round": (13, f"{X} {{ y = Clip (x, s_0p5, s_m0p5) }}", "Max Min"),
    "Max with 0": (13, f"{X} {{ y = Max (s_0, x) }}", "Relu"),
    # arithmetic
    "Sum": (13, f"{X} {{ a = Tanh (x) y = Sum (f_4, x, a) }}", "Tanh Add Add"),
    "Mean": (13, f"{X} {{ a = Tanh (x) y = Mean (x, f_4, a) }}", "Tanh Add Add Mul"),
    "Max of three": (13, f"{X} {{ a = Tanh (x) y = Max (x, f_4, a) }}", "Tanh Max Max"),
    "Min of one": (13, f"{X} {{ a = Tanh (x) y = Min (a) }}", "Tanh"),
    "Sub a constant": (13, f"{X} {{ y = Sub (x, f_4) }}", "Add"),
    "Sub from a constant": (13, f"{X} {{ y = Sub (f_4, x) }}", "Sub"),
    "Div by a constant": (13, f"{X} {{ y = Div (x, f_4) }}", "Mul"),
    "Neg and Reciprocal": (13, f"{X} {{ a = Neg (x) b = Exp (a) y = Reciprocal (b) }}", "Mul Exp Div"),
    "Pow": (13, f"{X} {{ a = Pow (x, j_2) b = Add (a, s_1) c = Pow (b, s_m0p5) y = Pow (c, s_3) }}",
            "Mul Add Sqrt Div Mul Mul"),
    "Pow by any": (13, f"{X} {{ a = Exp (x) y = Pow (a, s_1p7) }}", "Exp Pow"),
    "Pow by one number of rank 1": (13, f"{X} {{ y = Pow (x, i_2) }}", "Mul"),
    "comparisons": (
        13,
        f"{X} {{ a = Less (x, s_0p3) b = Greater (x, s_m0p3) c = And (a, b) d = Not (c) e = Xor (a, d) "
        "y = Cast <to = 1> (e) }",
        "Less Greater And Not Or And Not And Cast",
    ),
    "Where": (16, f"{X} {{ a = Equal (x, s_0) y = Where (a, f_4, x) }}", "Equal Where"),
    "Where by a constant": (16, f"{X} {{ y = Where (b_3_4, x, f_4) }}", "Mul Add"),
    "Where masks scores": (16, f"{X} {{ a = Where (b_3_4, x, s_minf) y = Softmax <axis = 1> (a) }}", "Mul Add Softmax"),
    "Trilu": (14, f"{X} {{ y = Trilu <upper = 0> (x, j_1) }}", "Mul"),
    "ReduceSum that might do nothing": (
        13, "(float[2,3,4] x) => (float[2,1,4] y) { y = ReduceSum <noop_with_empty_axes = 1> (x, i_1) }", "ReduceSum"),
    "Cast to float16 and back": (13, f"{X} {{ a = Cast <to = 11> (x) y = Cast <to = 1> (a) }}", "Reshape"),
    "Cast to bool": (13, f"{X} {{ a = Cast <to = 9> (x) y = Cast <to = 1> (a) }}", "Equal Not Cast"),
    # norms
    "LayerNormalization": (
        17, f"{X} {{ y = LayerNormalization <axis = -1> (x, f_4, f_4) }}",
        "GlobalAveragePool Sub Mul GlobalAveragePool Add Sqrt Div Mul Add",
    ),
    "LayerNormalization over two": (
        17, f"{X} {{ y = LayerNormalization <axis = 1, epsilon = 0.1> (x, f_3_4) }}",
        "ReduceMean Sub Mul ReduceMean Add Sqrt Div Mul",
    ),
    "GroupNormalization by channel": (
        21, "(float[2,4,5] x) => (float[2,4,5] y) { y = GroupNormalization <num_groups = 2> (x, f_4, f_4) }",
        "Reshape GlobalAveragePool Sub Mul GlobalAveragePool Add Sqrt Div Reshape Mul Add",
    ),
    "InstanceNormalization": (
        13, f"{X} {{ y = InstanceNormalization (x, f_3, f_3) }}",
        "GlobalAveragePool Sub Mul GlobalAveragePool Add Sqrt Div Mul Add",
    ),
    "RMSNormalization": (
        23, f"{X} {{ y = RMSNormalization (x, f_4) }}", "Mul GlobalAveragePool Add Sqrt Div Mul",
    ),
    "LpNormalization": (13, f"{X} {{ y = LpNormalization <axis = 1> (x) }}", "Mul ReduceSum Sqrt Max Div"),
    "LpNormalization by magnitude": (13, f"{X} {{ y = LpNormalization <p = 1> (x) }}", "Abs ReduceSum Max Div"),
    "MeanVarianceNormalization": (
        13, IMAGE.format("2,4,5,6") + " { y = MeanVarianceNormalization <axes = [0, 2, 3]> (x) }",
        "ReduceMean Sub Mul ReduceMean Sqrt Add Div",
    ),
    # reductions
    "ReduceMean, axes an attribute": (
        13, "(float[2,3,4] x) => (float[2,4] y) { y = ReduceMean <axes = [-2], keepdims = 0> (x) }",
        "ReduceMean Reshape",
    ),
    "ReduceMean of everything": (
        18, "(float[2,3,4] x) => (float[1] y) { a = ReduceMean <keepdims = 0> (x) y = Reshape (a, i_1) }",
        "ReduceMean Reshape",
    ),
    "ReduceSum of nothing": (13, f"{X} {{ a = ReduceSum <noop_with_empty_axes = 1> (x) y = Tanh (a) }}", "Tanh"),
    "ReduceMax and ReduceMin": (
        18, "(float[2,3,4] x) => (float[2,3,1] y) { a = ReduceMax (x, i_m1) b = ReduceMin (x, i_2) y = Sub (a, b) }",
        "ReduceMax ReduceMin Sub",
    ),
    "other reductions": (
        18, "(float[2,3,4] x) => (float[2,1,4] y) { a = ReduceL1 (x, i_1) b = ReduceL2 (x, i_1) "
        "c = ReduceSumSquare (x, i_1) d = ReduceLogSumExp (x, i_1) e = ReduceLogSum (c, i_1) y = Sum (a, b, c, d, e) }",
        "Abs ReduceSum Mul ReduceSum Sqrt ReduceMax Sub Exp ReduceSum Log Add Log Add Add Add Add",
    ),
    "GlobalMaxPool": (13, "(float[2,3,4] x) => (float[2,3,1] y) { y = GlobalMaxPool (x) }", "ReduceMax"),
    # selections
    "Split into equal parts": (13, f"{X} {{ a, b = Split <axis = 2> (x) y = Concat <axis = -1> (b, a) }}",
                               "Slice Slice Concat"),
    "Split as told": (
        18, f"{X} {{ a, b = Split <axis = -1> (x, i_1_3) c = Sigmoid (a) y = Mul (x, c) }}", "Slice Sigmoid Mul"),
    "Gather one": (13, "(float[2,3,4] x) => (float[2,4] y) { y = Gather <axis = 1> (x, j_m1) }", "Slice Reshape"),
    "Gather a run": (13, "(float[2,3,4] x) => (float[2,3,2] y) "
    "{ y = Gather <axis = -1> (x, i_1_3) }", "Slice Slice Concat"),
    "Gather every other": (13, "(float[2,3,8] x) => (float[2,3,3] y) { y = Gather <axis = 2> (x, i_1_3_5) }", "Slice"),
    "Gather anywhere": (
        13, "(float[2,3,4] x) => (float[2,3,9] y) { y = Gather <axis = 2> (x, i_3_1_0_m1_2_1_3_0_2) }", "Gather"),
    "GatherND": (13, "(float[2,3,4] x) => (float[2,4] y) { y = GatherND (x, k_0_2_1_0) }", "Reshape Slice"),
    "Slice backwards": (
        13, f"{X} {{ y = Slice (x, i_m1, i_m9, i_1, i_m1) }}", "Slice Slice Slice Concat"),
    "Pad by reflection": (
        13, '(float[2,3,4] x) => (float[2,3,7] y) { y = Pad <mode = "reflect"> (x, i_0_0_2_0_0_1) }',
        "Slice Slice Concat",
    ),
    "Pad with the edge": (
        18, '(float[2,3,4] x) => (float[2,4,7] y) { y = Pad <mode = "edge"> (x, i_2_0_1_1, "", i_m1_1) }',
        "Slice Slice Concat Slice Concat",
    ),
    "Pad around": (
        19, '(float[2,3,4] x) => (float[2,3,6] y) '
        '{ y = Pad <mode = "wrap"> (x, i_0_0_1_0_0_1) }', "Slice Slice Concat"),
    "Pad that crops": (
        13, "(float[2,3,4] x) => (float[2,2,5] y) { y = Pad (x, i_0_0_2_0_m1_m1, s_3) }", "Slice Pad"),
    "Expand": (13, "(float[2,1,4] x) => (float[5,2,3,4] y) { y = Expand (x, i_5_1_3_1) }", "Reshape Expand"),
    "Expand before a sum": (13, "(float[2,3,1] x) => (float[2,3,4] y) "
    "{ a = Expand (x, i_2_3_4) y = Add (a, f_4) }", "Add"),
    "Tile": (13, "(float[2,3,4] x) => (float[4,3,12] y) { y = Tile (x, i_2_1_3) }",
             "Reshape Expand Reshape Expand Reshape"),
    # space
    "DepthToSpace by columns": (
        13, '(float[2,8,3,5] x) => (float[2,2,6,10] y) { y = DepthToSpace <blocksize = 2, mode = "CRD"> (x) }',
        "Reshape Transpose Reshape"),
    "DepthToSpace by depth": (
        13, "(float[2,8,3,5] x) => (float[2,2,6,10] y) { y = DepthToSpace <blocksize = 2> (x) }",
        "Reshape Transpose Reshape"),
    "SpaceToDepth": (
        13, "(float[2,2,6,10] x) => (float[2,8,3,5] y) { y = SpaceToDepth <blocksize = 2> (x) }",
        "Reshape Transpose Reshape"),
    "ConvTranspose to a shape": (
        13, "(float[1,4,5] x) => (float[1,3,11] y) "
        "{ y = ConvTranspose <strides = [2], output_shape = [11]> (x, f_4_3_4) }",
        "ConvTranspose"),
    "ConvTranspose, same and grouped": (
        22, '(float[1,4,5] x) => (float[1,4,10] y) '
        '{ y = ConvTranspose <strides = [2], auto_pad = "SAME_UPPER", group = 2> (x, f_4_2_3, f_4) }',
        "ConvTranspose"),
    "AveragePool, dilated": (
        19, "(float[1,3,9] x) => (float[1,3,5] y) "
        "{ y = AveragePool <kernel_shape = [3], dilations = [2]> (x) }", "Conv"),
    # products
    "MatMul of unequal rank": (
        13, "(float[2,3,4] x, float[4,5] z) => (float[2,3,5] y) { y = MatMul (x, z) }", "Reshape MatMul"),
    "MatMul with a vector": (13, "(float[2,3,4] x, float[4] z) => (float[2,3] y) { y = MatMul (x, z) }",
                             "Reshape MatMul Reshape"),
    "MatMul by a stack": (13, "(float[2,3,4] x) => (float[2,3,5] y) { y = MatMul (x, f_2_4_5) }", "MatMul"),
    "Gemm by what is computed": (
        13, "(float[3,4] x, float[5,3] z) => (float[4,5] y) "
        "{ y = Gemm <transA = 1, transB = 1, alpha = 0.5> (x, z, f_5) }",
        "Transpose Transpose MatMul Mul Add"),
    "Gemm of a constant": (
        13, "(float[4,5] x) => (float[3,5] y) { y = Gemm (f_3_4, x) }", "Transpose Gemm Transpose"),
    "Einsum of attention": (
        13, '(float[2,3,4,5] x, float[2,3,6,5] z) => (float[2,3,4,6] y) '
        '{ y = Einsum <equation = "bhid, bhjd -> bhij"> (x, z) }',
        "Transpose MatMul"),
    "Einsum with a matrix": (
        13, '(float[2,3,4] x) => (float[2,5,3] y) { y = Einsum <equation = "bij,jk->bki"> (x, f_4_5) }',
        "Reshape Gemm Reshape Transpose"),
    "Einsum with an ellipsis": (
        13, '(float[2,3,4] x, float[2,4,5] z) => (float[2,3,5] y) '
        '{ y = Einsum <equation = "...ij,...jk"> (x, z) }', "MatMul"),
    "Einsum sums": (
        13, '(float[2,3,4] x, float[2,5] z) => (float[5,3] y) { y = Einsum <equation = "bij,bk->ki"> (x, z) }',
        "ReduceSum Reshape Transpose MatMul Transpose"),
    "Einsum of three": (
        13, '(float[2,3] x, float[3,4] z) => (float[2,5] y) { y = Einsum <equation = "ij,jk,kl->il"> (x, z, f_4_5) }',
        "MatMul Gemm"),
    "Einsum of one": (13, '(float[2,3,4] x) => (float[4,2] y) { y = Einsum <equation = "ijk->ki"> (x) }',
                      "ReduceSum Reshape Transpose"),
}  # fmt: skip

_RESIZE = "(float[1,2,4,5] x) => (float[1,2,{}] y) {{ y = Resize <{}> (x, , {}) }}"
_TWICE = 'mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode = "floor"'
RESIZES = {
    "nearest twice": (_TWICE, "f_s_1_1_2_2", "8,10"),
    **{
        f"nearest {how} {rounding}": (
            f'mode = "nearest", coordinate_transformation_mode = "{how}", nearest_mode = "{rounding}"', "", "7,4")
        for how in ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric")
        for rounding in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    },
    **{
        f"linear {how}": (f'mode = "linear", coordinate_transformation_mode = "{how}"', "", "7,4")
        for how in ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric")
    },
    **{
        f"nearest {how} where float32 breaks a tie": (
            f'mode = "nearest", coordinate_transformation_mode = "{how}", nearest_mode = "floor"',
            "f_s_1_1_1_0p6", "4,3")
        for how in ("half_pixel", "asymmetric", "pytorch_half_pixel")
    },
    "linear by a factor that leaves a rest": ('mode = "linear"', "f_s_1_1_1p3_0p7", "5,3"),
}  # fmt: skip


def constant(name: str) -> np.ndarray:
    kind, *parts = name.split("_")
    numbers = [float(part.replace("m", "-").replace("p", ".")) for part in parts if part != "s"]
    random = np.random.default_rng(len(name))
    if kind == "f":
        if parts[0] == "s":
            return np.asarray(numbers, np.float32)
        return random.normal(size=[int(n) for n in numbers]).astype(np.float32)
    if kind == "b":
        return random.random([int(n) for n in numbers]) < 0.6
    if kind == "s":
        return np.asarray(numbers[0], np.float32)
    data = np.asarray(numbers, np.int64)
    return data[0] if kind == "j" else data.reshape(-1, 2) if kind == "k" else data


def build(opset: int, text: str) -> onnx.ModelProto:
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> g {text}')
    names = {name for node in proto.graph.node for name in node.input if re.match(r"[fijkbs]_", name)}
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(constant(name), name) for name in sorted(names))
    return proto


def compare(proto: onnx.ModelProto, folder) -> list[str]:
    """The hub's operators, after its outputs were found to be those of the graph as written."""
    onnx.save(proto, folder / "case.onnx")
    model = simplify(capture.from_onnx(folder / "case.onnx")).model
    onnx.checker.check_model(onnx.load_from_string(model.to_bytes()), full_check=True)
    random = np.random.default_rng(5)
    feed = {port.name: random.normal(size=port.shape).astype(np.float32) for port in model.inputs}
    for got, want in zip(run(model.to_bytes(), feed), reference(proto, feed), strict=True):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, want, rtol=0, atol=2e-5 * max(1, np.abs(want).max()))
    return [node.op_type for node in model.ir.graph]


def run(model: bytes, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model, options).run(None, feed)


def reference(proto: onnx.ModelProto, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
    """onnxruntime's, without rewrites; onnx's own for what onnxruntime does not have."""
    try:
        return run(proto.SerializeToString(), feed)
    except (NotImplemented_, InvalidGraph):
        return ReferenceEvaluator(proto).run(None, feed)


def require_latest(name):
    """Older libraries find another way to the same function, or cannot run what these cases are compared with."""
    latest = ("ReduceSum of nothing", "other reductions", "Pad that crops", "Einsum of one", "nothing to compute")
    if name in latest and version("onnxsim") < "0.8":
        pytest.skip("other rewrites in this version of onnxsim or onnxruntime")


@pytest.mark.parametrize("name", CASES)
def test_operator(name, tmp_path):
    require_latest(name)
    opset, text, operators = CASES[name]
    assert " ".join(compare(build(opset, text), tmp_path)) == operators


@pytest.mark.parametrize("opset", [13, 18, 19, 22])
@pytest.mark.parametrize("name", RESIZES)
def test_resize(name, opset, tmp_path):
    attributes, scales, size = RESIZES[name]
    if "symmetric" in name and opset < 19:
        pytest.skip("came with opset 19")
    sizes = scales or f", i_1_2_{size.replace(',', '_')}"
    found = compare(build(opset, _RESIZE.format(size, attributes, sizes)), tmp_path)
    native = name in ("linear half_pixel", "linear align_corners")
    assert found == ["Resize"] if native else "Resize" not in found


REFUSALS = {
    "running sums": ("(float[2] x) => (float[2] y) { y = CumSum (x, j_0) }", "CumSum.*no integer"),
    "cubic": (
        "(float[1,1,4,4] x) => (float[1,1,8,8] y) "
        '{ y = Resize <mode = "cubic"> (x, , , i_1_1_8_8) }', "Resize.*its mode is cubic",
    ),
    "a diagonal": ('(float[3,3] x) => (float[3] y) { y = Einsum <equation = "ii->i"> (x) }', "Einsum"),
    "Erf alone": (f"{X} {{ y = Erf (x) }}", "Erf.*only as a part of Gelu"),
    "a broken mask": (f"{X} {{ y = Add (x, f_s_inf_0_0_0) }}", "holds? NaN or Inf"),
    "what is nearly Gelu": (f"{X} {{ a = Mul (x, s_0p7) b = Erf (a) c = Add (s_1, b) y = Mul (c, x) }}", "Erf"),
    "float16 at the door": ("(float16[2] x) => (float16[2] y) { y = Relu (x) }", "input 'x'.*float32"),
    "float16 outside": ("(float[2] x) => (float16[2] y) { y = Cast <to = 10> (x) }", "output 'y'.*float32"),
    "bool outside": ("(float[2] x) => (bool[2] y) { y = Less (x, s_0) }", "output 'y'.*float32"),
    "nothing to compute": (f"{X} {{ y = Identity (f_2_3_4) }}", "output 'y'.*nothing computes it"),
    "a power that varies": (f"{X} {{ y = Pow (x, f_4) }}", "Pow.*scalar"),
    "a batch norm that learns": (
        "(float[2,3] x, float[3] m) => (float[2,3] y) { y = BatchNormalization (x, f_3, f_3, m, f_3) }",
        "BatchNormalization.*eval mode",
    ),
    "an empty slice": ("(float[2,3] x) => (float[2,0] y) { y = Slice (x, i_1, i_1, i_1) }", "Slice.*empty"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_refusal(name, tmp_path):
    require_latest(name)
    text, message = REFUSALS[name]
    onnx.save(build(18, text), tmp_path / "case.onnx")
    with pytest.raises(UserError, match=message):
        simplify(capture.from_onnx(tmp_path / "case.onnx"))


@pytest.mark.parametrize("opset", range(13, 24))
def test_every_opset_ends_as_the_hubs(opset, tmp_path):
    parts = ", num_outputs = 2" if opset >= 18 else ""
    text = f"{X} {{ a = Softmax (x) b = MatMul (a, f_4_4) c = Clip (b, s_m1, s_1) d, e = Split <axis = 2{parts}> (c) "
    operators = "Softmax Reshape Gemm Clip Reshape Slice Slice Concat"
    assert " ".join(compare(build(opset, text + "y = Concat <axis = 2> (e, d) }"), tmp_path)) == operators


def test_group_normalization_by_group_as_before_opset_21():
    """onnx's checker calls it deprecated and lets none through; older versions of it do. The reference is numpy."""
    text = "(float[2,4,5] x) => (float[2,4,5] y) { y = GroupNormalization <num_groups = 2> (x, f_2, f_2) }"
    model = ir.from_proto(build(18, text))
    plain_norms(model)
    model.opset_imports[""] = 20
    x = np.random.default_rng(0).normal(size=(2, 4, 5))
    groups = x.reshape(2, 2, 10)
    standard = (groups - groups.mean(2, keepdims=True)) / np.sqrt(groups.var(2, keepdims=True) + 1e-5)
    wanted = standard * constant("f_2")[:, None] + constant("f_2")[:, None]
    got = run(ir.to_proto(model).SerializeToString(), {"x": x.astype(np.float32)})[0]
    np.testing.assert_allclose(got, wanted.reshape(2, 4, 5), rtol=0, atol=2e-5)


def test_of_what_phiz_takes_only_this_changed_from_opset_13_to_23():
    """Attributes and inputs, by onnx's own schemas: what is not in this list means the same in every opset."""
    changed = set()
    for operator in (*OPERATORS, *SPELLINGS):
        try:
            schemas = [onnx.defs.get_schema(operator, version) for version in (13, 23)]
        except onnx.defs.SchemaError:
            continue  # not in both
        sides = [(sorted(schema.attributes), len(schema.inputs)) for schema in schemas]
        if sides[0] != sides[1]:
            changed.add(operator)
    reductions = {f"Reduce{kind}" for kind in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "SumSquare")}
    understood = {"AveragePool", "BatchNormalization", "Cast", "Pad", "Reshape", "Resize"}  # only attributes came in
    assert changed == reductions | {"Split"} | understood


def test_a_name_that_a_pass_would_give_may_exist(tmp_path):
    text = "(float[2,3] x) => (float[2,3] y) { c = Neg (x) b = Tanh (c) a = Softsign (b) y = Sub (a, c) }"
    proto = build(13, text)
    renames = {"c": "a.0", "b": "a.constant"}  # as torch's old exporter numbers its values
    for node in proto.graph.node:
        for names in (node.input, node.output):
            names[:] = [renames.get(name, name) for name in names]
    assert compare(proto, tmp_path)[-1] == "Sub"
