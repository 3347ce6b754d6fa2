from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import numpy_helper

from compile.errors import UnsupportedNode, UserError
from compile.model import Model
from targets.coreml import run
from targets.coreml.lower import lower


def conv(net, o, i, size, kernel, **given):
    shape = (2, i * given.get("group", 1), *size)
    return net.conv(net.input(*shape), o, i, kernel, **given)


def unary(operator, **attributes):
    return lambda net: net.op(operator, net.conv(net.input(1, 3, 20), 4, 3, (3,)), **attributes)


def pooled(kind, size, kernel, **given):
    return lambda net: net.pool(kind, net.input(1, 3, *size), kernel, **given)


def joined(net):
    x = net.input(1, 3, 20)
    return net.op("Concat", net.conv(x, 4, 3, (3,)), net.conv(x, 2, 3, (3,)), axis=1)


def residual(net):
    x = net.input(1, 4, 20)
    return net.op("Relu", net.op("Add", net.conv(x, 4, 4, (5,)), net.slice(x, 2, 2, 18)))


def averaged(net):
    x = net.conv(net.input(1, 3, 9, 8), 4, 3, (3, 3))
    return net.gemm(net.reshape(net.op("GlobalAveragePool", x), 1, 4), 5, 4)


CASES = {
    "conv1d": lambda net: conv(net, 8, 3, (50,), (5,), strides=[2], pads=[2, 1]),
    "conv1d_dilated": lambda net: conv(net, 8, 3, (50,), (5,), dilations=[3]),
    "conv1d_depthwise": lambda net: conv(net, 6, 1, (50,), (5,), group=6),
    "conv1d_grouped": lambda net: conv(net, 6, 2, (50,), (5,), group=3, bias=False),
    "conv2d": lambda net: conv(net, 5, 3, (12, 11), (3, 2), strides=[2, 1], pads=[1, 0, 2, 1], dilations=[1, 2]),
    "conv2d_grouped": lambda net: conv(net, 8, 2, (9, 7), (3, 3), group=4),
    "turned1d": lambda net: net.conv_transpose(net.input(2, 4, 15), 6, 4, (5,), strides=[3], pads=[1, 2]),
    "turned2d": lambda net: net.conv_transpose(net.input(1, 4, 5, 6), 6, 4, (3, 2), strides=[2, 1], group=2),
    "gemm": lambda net: net.gemm(net.input(3, 16), 10, 16),
    "gemm_without_bias": lambda net: net.gemm(net.input(3, 16), 10, 16, bias=False),
    "fused_relu": unary("Relu"),
    "sigmoid": unary("Sigmoid"),
    "tanh": unary("Tanh"),
    "leaky_relu": unary("LeakyRelu", alpha=0.1),
    "relu_of_an_input": lambda net: net.op("Relu", net.input(1, 3, 20)),
    "add": residual,
    "add_constant": lambda net: net.op("Add", net.input(1, 3, 20), net.noise(3, 1)),
    "mul": lambda net: net.op("Mul", net.input(2, 3, 20), net.input(1, 3, 1)),
    "mul_constant": lambda net: net.op("Mul", net.noise(3, 1), net.input(1, 3, 20)),
    "concat": joined,
    "pad": lambda net: net.pad(net.input(1, 3, 20), [0, 1, 2, 0, 0, 3]),
    "pad_2d": lambda net: net.pad(net.input(1, 3, 6, 5), [0, 0, 1, 2, 0, 0, 3, 4], value=0.0),
    "reshape": lambda net: net.reshape(net.input(2, 3, 20), 6, 4, 5),
    "transpose": lambda net: net.op("Transpose", net.input(2, 3, 20), perm=[2, 0, 1]),
    "slice": lambda net: net.slice(net.input(2, 3, 20), 2, 3, 17),
    "gather": lambda net: net.gather(net.input(2, 3, 20), 2, 3, 3, 0, 19),
    "expand": lambda net: net.expand(net.input(2, 1, 20), 2, 3, 20),
    "slice_with_steps": lambda net: net.slice(net.input(2, 3, 20), 2, 3, 18, 4),
    "max_pool": pooled("MaxPool", (21,), (3,), strides=[2], pads=[1, 0]),
    "max_pool_2d": pooled("MaxPool", (12, 9), (3, 2), strides=[2, 2], pads=[1, 0, 1, 1]),
    "average_pool": pooled("AveragePool", (21,), (3,), strides=[2], pads=[1, 1]),
    "average_pool_2d": pooled("AveragePool", (12, 9), (3, 2), pads=[1, 1, 0, 0], count_include_pad=1),
    "global_average_pool": averaged,
}
WEIGHTED = {name for name in CASES if name.startswith(("conv", "gemm", "turned"))} | {
    "add",
    "concat",
    "global_average_pool",
}
SCHEMES = [(name, scheme) for name in CASES for scheme in ("float", "w8a8", "w8") if scheme != "w8" or name in WEIGHTED]


@pytest.mark.parametrize(("case", "scheme"), SCHEMES)
def test_a_package_computes_what_onnxruntime_does(case, scheme, hub, quantize, reference, lowered, saved):
    net = hub(3)
    model = quantize(net.model(CASES[case](net)), scheme, feeds := net.feeds())
    expected = reference(model, feeds)
    found = run.load(saved(lowered(model).files)).run(feeds)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].shape == values.shape
        assert found[name].dtype == values.dtype == np.float32
        np.testing.assert_allclose(found[name], values, rtol=0, atol=tolerance(model, scheme, values))
        # Nobody could tell a wrong result from a right one if everything lay within the tolerance.
        assert np.ptp(values) > 8 * tolerance(model, scheme, values)


def tolerance(model, scheme, values):
    """Two quantisation steps of the output for int8; else float32's epsilon times the longest sum of products.

    Sums of at most 64 products in two orders differ by at most 64 epsilon of the largest magnitude met, which for these
    unit-gain layers is below 8 times the largest output; tanh and exp of two libraries by a few units in the last
    place.
    """
    if scheme != "w8a8":
        return 64 * np.finfo(np.float32).eps * 8 * np.abs(values).max()
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    last = next(node for node in reversed(model.graph.node) if node.output[0] == model.graph.output[0].name)
    return 2.01 * float(constants[last.input[1]])


def test_the_student_agrees_with_onnxruntime_within_two_steps(student, reference, lowered, saved):
    runner = run.load(saved(lowered(student).files))
    random = np.random.default_rng(1)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in student.graph.initializer}
    scale = constants[student.graph.node[-1].input[1]]
    for _ in range(4):
        feeds = {student.graph.input[0].name: random.normal(0, 1, (1, 8192)).astype(np.float32)}
        (expected,), (found,) = reference(student, feeds).values(), runner.run(feeds).values()
        assert len(np.unique(expected)) > 20
        assert np.abs(found - expected).max() <= 2.01 * scale


@pytest.mark.parametrize(("form", "scheme", "most"), [("", "w8", 1.05), ("ios18", "w8", 1.05), ("w8a8", "w8a8", 1.08)])
def test_the_student_is_hardly_larger_than_its_numbers(form, scheme, most, student_of, lowered):
    """Int8 weights, int32 biases and float32 scales a channel: what no int8 file can do without."""
    minimum = 236448 + 8 * 804  # weights and channels
    assert sum(map(len, lowered(student_of(scheme), form).files.values())) <= most * minimum


def test_metadata_and_ports_survive(student, lowered):
    spec = _spec(lowered(student))
    assert dict(spec.description.metadata.userDefined) == {p.key: p.value for p in student.metadata_props}
    assert [(p.name, list(p.type.multiArrayType.shape)) for p in spec.description.input] == [("in0", [1, 8192])]
    (port,) = spec.description.output
    assert (port.name, list(port.type.multiArrayType.shape)) == (student.graph.output[0].name, [1, 52])
    float32 = type(port.type.multiArrayType).FLOAT32
    assert port.type.multiArrayType.dataType == float32
    assert spec.specificationVersion == 8


def test_float_graphs_ask_for_ios_16_only(hub, quantize, lowered):
    net = hub()
    model = net.model(conv(net, 8, 3, (50,), (5,)))
    assert _spec(lowered(model)).specificationVersion == 7
    weights = quantize(model, "w8", net.feeds())
    assert _spec(lowered(weights)).specificationVersion == 7
    assert "constexpr_affine_dequantize" in _operations(lowered(weights))


def test_nothing_but_the_graph_is_in_the_program(student, lowered):
    found = _operations(lowered(student))
    made = [node.op_type for node in student.graph.node]
    assert found.count("conv") == made.count("Conv") == 10
    assert found.count("linear") == 2
    assert found.count("add") == 5
    assert found.count("constexpr_affine_dequantize") == 12
    assert "relu" not in found  # each stands before a Q that clips at 0
    # One Q for the input and each convolution, addition and product; none behind what only moves elements.
    assert found.count("quantize") == found.count("dequantize") == 1 + 10 + 5 + 2


def test_a_relu_is_kept_where_its_quantisation_reaches_below_zero(hub, quantize, lowered):
    net = hub()
    model = quantize(net.model(net.op("Relu", net.conv(net.input(1, 3, 20), 4, 3, (3,)))), "w8a8", net.feeds())
    zeros = [t for t in model.graph.initializer if t.name == model.graph.node[-1].input[2]]
    assert "relu" not in _operations(lowered(model))
    zeros[0].CopyFrom(numpy_helper.from_array(np.int8(-100), zeros[0].name))
    assert "relu" in _operations(lowered(model))


def test_a_requantising_slice_keeps_its_pair(hub, quantize, reference, lowered, saved):
    net = hub()
    model = quantize(net.model(net.slice(net.input(1, 3, 20), 2, 3, 17)), "w8a8", feeds := net.feeds())
    last = model.graph.node[-1]
    model.graph.initializer.append(numpy_helper.from_array(np.float32(0.5), "other"))
    for node in model.graph.node:
        if node.name in (last.name, last.name.replace("_DQ", "_Q")):
            node.input[1] = "other"
    found = run.load(saved(lowered(model).files)).run(feeds)
    np.testing.assert_array_equal(found[last.output[0]], reference(model, feeds)[last.output[0]])


def test_shared_weights_are_stored_once(hub, lowered):
    net = hub()
    x = net.input(1, 16, 40)
    once = net.conv(x, 16, 16, (3,))
    weight, bias = net.nodes[-1].input[1:]
    given = {"kernel_shape": [3], "strides": [1], "dilations": [1], "pads": [0, 0], "group": 1}
    model = net.model(net.op("Conv", once, weight, bias, **given))
    (weights,) = (data for name, data in lowered(model).files.items() if name.endswith("weight.bin"))
    assert len(weights) == 64 + 64 + 4 * 16 * 16 * 3 + 64 + 4 * 16
    assert int.from_bytes(weights[:4], "little") == 2


def test_equal_graphs_give_equal_bytes_in_other_processes(student_of, tmp_path):
    path = tmp_path / "student.onnx"
    path.write_bytes(student_of("w8").SerializeToString())
    program = (
        "import sys, hashlib, onnx_ir as ir\n"
        "from compile.model import Model\n"
        "from targets.coreml.lower import FORMS, lower\n"
        "files = {}\n"
        "for form in FORMS: files |= lower(Model(ir.load(sys.argv[1])), form).files\n"
        "assert len(files) == 3 * 4\n"
        "assert 'torch' not in sys.modules and 'tensorflow' not in sys.modules\n"
        "print(hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest())\n"
    )
    digests = set()
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program, str(path)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""  # coremltools keeps its remarks to itself
        digests.add(done.stdout)
    assert len(digests) == 1


def test_the_manifest_names_the_model_and_the_weights(student, lowered):
    artifact = lowered(student)
    assert (artifact.target, artifact.name) == ("coreml:fp32", "net.fp32.mlpackage")
    assert (lowered(student, "").target, lowered(student, "").name) == ("coreml", "net.mlpackage")
    manifest = json.loads(artifact.files[f"{artifact.name}/Manifest.json"])
    items = manifest["itemInfoEntries"]
    assert {item["path"] for item in items.values()} == {"com.apple.CoreML/model.mlmodel", "com.apple.CoreML/weights"}
    assert items[manifest["rootModelIdentifier"]]["path"] == "com.apple.CoreML/model.mlmodel"
    assert set(artifact.files) == {
        f"{artifact.name}/{path}"
        for path in (
            "Manifest.json",
            "Data/com.apple.CoreML/model.mlmodel",
            "Data/com.apple.CoreML/weights/weight.bin",
        )
    }


@pytest.mark.parametrize(
    ("form", "scheme", "version"), [("", "w8", 7), ("fp32", "w8", 7), ("ios18", "w8", 9), ("w8a8", "w8a8", 8)]
)
def test_coremltools_reads_the_package(form, scheme, version, student_of, lowered, saved):
    """Its own loader, its own package library, and its own program reader, which infers every type anew."""
    from coremltools import libmodelpackage
    from coremltools.converters.mil.frontend.milproto.load import load as load_program
    from coremltools.models.utils import load_spec

    path = saved(lowered(student_of(scheme), form).files)
    assert libmodelpackage.ModelPackage.isValid(str(path))
    spec = load_spec(str(path))
    assert spec.specificationVersion == version
    weights = str(path / "Data/com.apple.CoreML/weights")
    program = load_program(spec, specification_version=version, file_weights_dir=weights)
    (output,) = program.functions["main"].outputs
    assert tuple(output.shape) == (1, 52)


def test_two_outputs_of_one_value_both_exist(hub, quantize, reference, lowered, saved):
    net = hub()
    model = quantize(net.model(net.slice(net.input(1, 3, 20), 2, 3, 17)), "w8a8", feeds := net.feeds())
    twin = onnx.NodeProto()
    twin.CopyFrom(model.graph.node[-1])
    twin.name, twin.output[0] = "twin", "twin"
    model.graph.node.append(twin)
    port = model.graph.output.add()
    port.CopyFrom(model.graph.output[0])
    port.name = "twin"
    expected, found = reference(model, feeds), run.load(saved(lowered(model).files)).run(feeds)
    assert found.keys() == expected.keys() == {"twin", model.graph.output[0].name}
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])


def test_an_unknown_form_is_refused(hub, lowered):
    net = hub()
    with pytest.raises(UserError, match="unknown form 'ios99' of Core ML; choose from: fp32, ios18, w8a8"):
        lowered(net.model(net.op("Relu", net.input(1, 4))), "ios99")


def test_an_output_of_truths_is_refused(hub, lowered):
    net = hub()
    model = net.model(net.op("Less", net.input(1, 4), net.constant(0.0)))
    with pytest.raises(UserError, match="tensor 'v_n0': Core ML's inputs and outputs are float32 here, it is bool"):
        lowered(model)


def test_an_output_that_is_an_input_is_refused(hub, lowered):
    net = hub()
    model = net.model(net.op("Relu", net.input(1, 4)))
    model.graph.output.append(model.graph.input[0])
    with pytest.raises(UserError, match="tensor 'in0': it is both an input and an output"):
        lowered(model)


@pytest.mark.parametrize(
    ("operator", "attributes", "reason"),
    [
        ("MaxPool", {"kernel_shape": [2], "strides": [1], "pads": [0, 0], "dilations": [2], "ceil_mode": 0}, "dilated"),
        ("Erf", {}, "no such operator"),
    ],
)
def test_what_core_ml_lacks_is_refused(operator, attributes, reason, hub, lowered):
    net = hub()
    model = net.model(net.op(operator, net.input(1, 2, 8), **attributes))
    with pytest.raises(UnsupportedNode, match=f"{operator} at node 'n0'.*by the Core ML target: .*{reason}"):
        lowered(model)


def test_negative_padding_and_rank_six_are_refused(hub, lowered):
    net = hub()
    with pytest.raises(UnsupportedNode, match="negative"):
        lowered(net.model(net.pad(net.input(1, 2, 8), [0, 0, -1, 0, 0, 0])))
    net = hub()
    with pytest.raises(UnsupportedNode, match="rank 6"):
        lowered(net.model(net.reshape(net.input(1, 2, 8), 1, 1, 1, 2, 2, 4)))
    net = hub()
    with pytest.raises(UnsupportedNode, match="cannot reshape to a scalar"):
        lowered(net.model(net.reshape(net.input(1, 1))))


def test_port_names_that_core_ml_forbids_are_replaced_and_remembered(hub, saved):
    net = hub()
    model = net.model(net.op("Relu", net.input(1, 4)))
    model.graph.input[0].name = model.graph.node[0].input[0] = "input.1"
    model.graph.output[0].name = model.graph.node[0].output[0] = "1"
    artifact = lower(Model(ir.from_proto(model)))
    description = _spec(artifact).description
    assert [port.name for port in (*description.input, *description.output)] == ["input_1", "_1"]
    runner = run.load(saved(artifact.files))
    assert runner.inputs == {"input.1": (1, 4)}
    (answer,) = runner.run({"input.1": np.array([[-1, 0, 1, 2]], np.float32)}).items()
    assert (answer[0], answer[1].tolist()) == ("1", [[0, 0, 1, 2]])


def _spec(artifact):
    from coremltools.proto import Model_pb2

    spec = Model_pb2.Model()
    spec.ParseFromString(next(data for name, data in artifact.files.items() if name.endswith(".mlmodel")))
    return spec


def _operations(artifact):
    (block,) = _spec(artifact).mlProgram.functions["main"].block_specializations.values()
    return [operation.type for operation in block.operations]
