"""The scheme ``w8-dynamic``: one meaning in the hub graph, in ONNX's integers and in LiteRT's hybrid kernels."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from compile import capture
from compile.model import Model
from compile.quantize.apply import apply
from compile.quantize.calibrate import observe
from compile.quantize.decide import decide
from compile.quantize.recipe import PROFILES, parse
from compile.simplify.pipeline import simplify
from targets.c.lower import lower as lower_c
from targets.c.run import COMPILERS
from targets.c.run import load as load_c
from targets.capabilities import refusals, scheme_of
from targets.kernels import read
from targets.onnx.dissect import dissect
from targets.onnx.lower import lower as lower_onnx
from targets.tflite.lower import lower as lower_tflite
from targets.tflite.run import delegation, load

FLOAT = np.float32


def dynamic(model: onnx.ModelProto) -> onnx.ModelProto:
    """Every Gemm of a float model in the scheme, as docs/hub.md writes it."""
    data = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        if node.op_type == "Gemm":
            source, weight = node.input[:2]
            scale = (np.abs(data[weight]).max(axis=1) / 127).astype(FLOAT)
            for suffix, array in {
                "i": np.rint(data[weight] / scale[:, None]).astype(np.int8),
                "s": scale,
                "z": np.zeros(len(scale), np.int8),
            }.items():
                model.graph.initializer.append(numpy_helper.from_array(array, f"{weight}_{suffix}"))
            parts = [f"{source}_{node.name}_{part}" for part in "qsz"]
            nodes += [
                helper.make_node("DynamicQuantizeLinear", [source], parts, name=f"{node.name}_D"),
                helper.make_node("DequantizeLinear", parts, [f"{parts[0]}d"], name=f"{node.name}_DQ"),
                helper.make_node(
                    "DequantizeLinear",
                    [f"{weight}_{part}" for part in "isz"],
                    [f"{weight}_d"],
                    name=f"{weight}_DQ",
                    axis=0,
                ),
            ]
            node.input[0], node.input[1] = f"{parts[0]}d", f"{weight}_d"
        nodes.append(node)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    graph = helper.make_graph(nodes, "net", model.graph.input, model.graph.output, kept)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return onnx.shape_inference.infer_shapes(made, strict_mode=True)


@pytest.fixture
def head(hub: Any) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """Two products with a Relu between, the second without a bias."""
    net = hub(3)
    inner = net.op("Relu", net.gemm(net.input(1, 96), 40, 96))
    model = net.model(net.gemm(inner, 7, 40, bias=False))
    return dynamic(model), net.feeds()


def by_hand(model: onnx.ModelProto, feeds: dict[str, Any]) -> np.ndarray:
    """The formula of DynamicQuantizeLinear (onnx/defs) in float64, and integer products."""
    data = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    x = next(iter(feeds.values()))
    for node in [node for node in model.graph.node if node.op_type == "Gemm"]:
        low, high = min(float(x.min()), 0.0), max(float(x.max()), 0.0)
        step = (high - low) / 255
        zero = np.clip(np.rint(-low / step), 0, 255)
        integers = np.clip(np.rint(x / step) + zero, 0, 255) - zero
        weight = node.input[1].removesuffix("_d")
        x = integers @ data[f"{weight}_i"].T.astype(np.float64) * step * data[f"{weight}_s"]
        x = np.maximum(x + data[node.input[2]], 0) if len(node.input) > 2 else x
    return x


def copied(model: onnx.ModelProto) -> Model:
    """A Model that shares no tensor with ``model``: lowering renames them."""
    return Model(ir.from_proto(onnx.ModelProto.FromString(model.SerializeToString())))


def onnx_outputs(model: Model, feeds: dict[str, Any]) -> np.ndarray:
    data = next(iter(lower_onnx(model).files.values()))
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)[0]


def tflite_outputs(model: Model, feeds: dict[str, Any], path: Path, delegate: bool = True) -> np.ndarray:
    (data,) = lower_tflite(model).files.values()
    path.write_bytes(data)
    return next(iter(load(path, delegate=delegate).run(feeds).values()))


def test_the_hub_graph_means_what_it_says(head: Any) -> None:
    model, feeds = head
    (meant,) = ReferenceEvaluator(model).run(None, feeds)
    np.testing.assert_allclose(meant, by_hand(model, feeds), atol=1e-5)  # float32 sums of 96 terms of order 1


def test_kernels_read_float_and_int8(head: Any) -> None:
    program = read(copied(head[0]))
    assert [kernel.operator for kernel in program.kernels] == ["Gemm", "Gemm"]
    assert [scheme_of(kernel, program) for kernel in program.kernels] == ["w8-dynamic"] * 2
    assert program.kernels[0].activation == "Relu"
    source, weight, bias = (program.tensors[name] for name in program.kernels[0].inputs)
    assert (source.dtype, weight.dtype, bias.dtype) == (FLOAT, np.int8, FLOAT)
    assert not refusals("onnx", program)
    assert not refusals("tflite", program)
    assert [refusal.operator for refusal in refusals("coreml", program)] == ["Gemm", "Gemm"]


def test_onnx_multiplies_integers(head: Any) -> None:
    model, feeds = head
    hub = copied(model)
    (data,) = lower_onnx(hub).files.values()
    written = onnx.load_from_string(data)
    onnx.checker.check_model(written, full_check=True)
    operators = [node.op_type for node in written.graph.node]
    assert operators.count("MatMulInteger") == 2
    assert not {"Gemm", "DequantizeLinear"} & set(operators)
    integers = [np.prod(t.dims) for t in written.graph.initializer if t.data_type == onnx.TensorProto.INT8]
    assert integers == [96 * 40, 40 * 7]
    np.testing.assert_allclose(onnx_outputs(hub, feeds), by_hand(model, feeds), atol=1e-5)


@pytest.mark.parametrize("delegate", [True, False])
def test_litert_quantises_alike(head: Any, tmp_path: Path, delegate: bool) -> None:
    """XNNPACK and the builtin kernels round by rules of their own: a few inputs are one step of 1/255 off."""
    model, feeds = head
    expected = by_hand(model, feeds)
    found = tflite_outputs(copied(model), feeds, tmp_path / "head.tflite", delegate)
    assert np.abs(found - expected).max() < np.abs(expected).max() / 100
    if delegate:
        assert delegation(tmp_path / "head.tflite").whole


def test_c_quantises_alike(head: Any, tmp_path: Path) -> None:
    if not any(shutil.which(name) for name in COMPILERS):
        pytest.skip("there is no C compiler")
    model, feeds = head
    for name, data in lower_c(copied(model)).files.items():
        (tmp_path / name).write_bytes(data)
    found = next(iter(load_c(tmp_path / "net.c").run(feeds).values()))
    np.testing.assert_allclose(found, by_hand(model, feeds), atol=1e-5)


def test_an_old_runtime_must_refuse_the_file(head: Any, tmp_path: Path) -> None:
    """It would read the first channel's scale for all; version 12 is the first that reads all of them."""
    from ai_edge_litert import schema_py_generated as schema

    (data,) = lower_tflite(copied(head[0])).files.values()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    assert [code.version for code in model.operatorCodes] == [12]


def test_behind_an_integer_product(hub: Any, quantize: Any, tmp_path: Path) -> None:
    """What leaves an int8 convolution is widened once and quantised anew; the result may go on as int8."""
    net = hub(5)
    model = net.model(net.reshape(net.op("Relu", net.conv(net.input(1, 3, 18), 8, 3, (3,))), 1, 128))
    integer = quantize(model, "w8a8", net.feeds())
    tail = hub(6)
    tail.input(1, 128)
    second = dynamic(tail.model(tail.gemm("in0", 5, 128)))
    joined = onnx.compose.merge_models(
        onnx.compose.add_prefix(integer, "a_"),
        onnx.compose.add_prefix(second, "b_"),
        io_map=[(f"a_{integer.graph.output[0].name}", "b_in0")],
    )
    hub_model = copied(onnx.shape_inference.infer_shapes(joined))
    program = read(hub_model)
    names = [kernel.operator for kernel in program.kernels]
    assert names == ["QuantizeLinear", "Conv", "Reshape", "DequantizeLinear", "Gemm"]
    feeds = {f"a_{name}": array for name, array in net.feeds().items()}
    (expected,) = ReferenceEvaluator(joined).run(None, feeds)
    step = np.abs(expected).max() / 100
    assert np.abs(onnx_outputs(hub_model, feeds) - expected).max() < step
    assert np.abs(tflite_outputs(hub_model, feeds, tmp_path / "t.tflite") - expected).max() < step


def test_dissect_knows_every_byte_and_every_activation(head: Any) -> None:
    model = copied(head[0])
    artifact = lower_onnx(model)
    found = dissect(artifact.files)
    assert not found.unknown
    kinds = {section.kind.value for section in found.sections if section.end - section.start == 96 * 40}
    assert kinds == {"weights"}
    sizes = sorted(lifetime.size for lifetime in found.lifetimes)
    # The integers of both inputs, of both products, and their float forms are among them.
    for size in (96, 96 * 4, 40, 40 * 4, 7 * 4):
        assert size in sizes


@pytest.mark.parametrize("other", ["w8", "w8a8"])
def test_a_weight_that_other_schemes_share_is_stored_once(tmp_path: Path, other: str) -> None:
    random = np.random.default_rng(5)
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"], transB=1),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "w"], ["y"], transB=1),
    ]
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 12]) for name in "xy"]
    data = {"w": random.normal(size=(12, 12)).astype(FLOAT), "b": random.normal(size=12).astype(FLOAT)}
    constants = [numpy_helper.from_array(array, name) for name, array in data.items()]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), tmp_path / "n.onnx")
    model = simplify(capture.from_onnx(tmp_path / "n.onnx")).model
    samples = {"x": random.normal(size=(32, 12)).astype(FLOAT)}
    first = next(node.name for node in model.ir.graph if node.op_type == "Gemm")
    recipe = (*PROFILES["w8-dynamic"].recipe, parse(f"{other} on Gemm under {first}"))
    quantised = apply(model, decide(model, observe(model, samples), recipe))
    (file,) = lower_onnx(quantised).files.values()
    made = onnx.load_from_string(file)
    onnx.checker.check_model(made, full_check=True)
    matrices = [tensor for tensor in made.graph.initializer if len(tensor.dims) == 2]
    assert [list(tensor.dims) for tensor in matrices] == [[12, 12]]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(file, options)
    feeds = [{"x": row[None]} for row in samples["x"]]
    got = np.concatenate([session.run(None, feed)[0] for feed in feeds])
    hidden = np.maximum(samples["x"] @ data["w"].T + data["b"], 0)
    want = hidden @ data["w"].T
    # Three roundings to 8 bits; the transposed weight would be nowhere near.
    assert np.abs(got - want).max() < 0.05 * np.abs(want).max()
