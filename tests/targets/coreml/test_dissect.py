from __future__ import annotations

import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from compile.errors import UserError
from targets.base import Kind
from targets.coreml import run
from targets.coreml.dissect import dissect


def totals(dissection, end=""):
    sizes = Counter()
    for section in dissection.sections:
        if section.file.endswith(end):
            sizes[section.kind] += section.end - section.start
    return sizes


def check_cover(dissection, files):
    assert dissection.sizes == {name: len(data) for name, data in files.items()}
    position = dict.fromkeys(files, 0)
    for section in dissection.sections:
        assert section.start == position[section.file] < section.end
        position[section.file] = section.end
    assert position == dissection.sizes


def test_every_byte_of_the_student_has_a_label(student, lowered):
    files = lowered(student).files
    dissection = dissect(files)
    check_cover(dissection, files)
    kinds = totals(dissection)
    stored = {t.name: numpy_helper.to_array(t) for t in student.graph.initializer if t.name.endswith("_i")}
    weights = sum(data.nbytes for data in stored.values() if data.dtype == np.int8)
    biases = sum(data.nbytes for data in stored.values() if data.dtype == np.int32)
    assert kinds[Kind.WEIGHTS] == weights + biases
    # A float32 scale for each channel; for the pairs a scale and a byte, where they are not shared.
    assert 4 * 804 < kinds[Kind.QUANTIZATION] <= 4 * 804 + (18 + 18) * 5 + 12
    assert kinds[Kind.UNMAPPED] == 0
    assert dissection.unknown == ()
    assert dissection.metadata == {p.key: p.value for p in student.metadata_props}
    matrices = {s.layer for s in dissection.sections if s.file.endswith("weight.bin") and s.kind is Kind.WEIGHTS}
    assert len(matrices) == 12
    assert {s.dtype for s in dissection.sections if s.kind is Kind.WEIGHTS} == {"int8", "float32"}


def test_a_constant_without_elements_is_unknown(student, lowered):
    """Its blob is in the weight file still, but nothing says that it is this constant's."""
    from coremltools.proto import Model_pb2

    files = dict(lowered(student).files)
    path = next(name for name in files if name.endswith(".mlmodel"))
    model = Model_pb2.Model.FromString(files[path])
    function = model.mlProgram.functions["main"]
    (block,) = function.block_specializations.values()
    before = dissect(files)
    held = [o for o in block.operations if o.type == "const" and o.attributes["val"].HasField("blobFileValue")]
    held[0].attributes["val"].ClearField("blobFileValue")
    files[path] = model.SerializeToString()
    found = dissect(files)
    assert before.unknown == ()
    name = held[0].outputs[0].name
    assert found.unknown == (f"the elements of tensor '{name}', which the program does not hold",)


@pytest.mark.parametrize("form", ["", "ios18"])
def test_every_byte_of_a_float16_student_has_a_label(form, student_of, lowered):
    files = lowered(student_of("w8"), form).files
    dissection = dissect(files)
    check_cover(dissection, files)
    by_kind = {kind: Counter() for kind in Kind}
    layers = {kind: set() for kind in Kind}
    for section in dissection.sections:
        by_kind[section.kind][section.dtype] += section.end - section.start
        layers[section.kind].add(section.layer)
    assert by_kind[Kind.WEIGHTS] == {"int8": 236448, "float16": 2 * 804}  # biases
    zeros = 12 if form == "" else 0  # iOS 18 may leave the zero point out
    assert by_kind[Kind.QUANTIZATION] == Counter({"float16": 2 * 804, "int8": zeros})
    assert layers[Kind.WEIGHTS] == layers[Kind.QUANTIZATION], "named after the layers that they belong to"
    assert len(layers[Kind.WEIGHTS]) == 12
    assert not by_kind[Kind.UNMAPPED]


def test_a_relu6_is_fused_like_a_relu(hub, quantize, lowered):
    net = hub()
    y = net.op("Relu", net.conv(net.input(1, 4, 20), 4, 4, (5,)))
    model = quantize(net.model(y), "w8a8", net.feeds())
    plain = [(life.size, life.first, life.last) for life in dissect(lowered(model).files).lifetimes]
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    relu.op_type = "Clip"
    relu.input.extend(["low", "high"])
    model.graph.initializer.extend(numpy_helper.from_array(np.float32(n), s) for n, s in ((0, "low"), (6, "high")))
    assert b"relu6" in next(data for name, data in lowered(model).files.items() if name.endswith(".mlmodel"))
    assert [(life.size, life.first, life.last) for life in dissect(lowered(model).files).lifetimes] == plain


def test_lifetimes_are_those_of_integer_kernels(hub, quantize, lowered):
    net = hub()
    x = net.input(1, 4, 20)
    y = net.op("Relu", net.op("Add", net.conv(x, 4, 4, (5,)), net.slice(x, 2, 2, 18)))
    found = dissect(lowered(quantize(net.model(y), "w8a8", net.feeds())).files).lifetimes
    # quantise, convolve, slice, add with its relu, dequantise; the input lives throughout.
    assert sorted((life.size, life.first, life.last) for life in found) == sorted(
        [(4 * 80, 0, 4), (80, 0, 2), (64, 1, 3), (64, 2, 3), (64, 3, 4), (4 * 64, 4, 4)]
    )
    assert {life.tensor for life in found} >= {"in0", y + "_d"}


def test_lifetimes_of_a_float_graph(hub, lowered):
    net = hub()
    model = net.model(net.gemm(net.op("Relu", net.gemm(net.input(1, 8), 16, 8)), 4, 16))
    found = dissect(lowered(model).files).lifetimes
    assert sorted((life.size, life.first, life.last) for life in found) == [(16, 1, 1), (32, 0, 1), (64, 0, 1)]


def test_a_value_that_both_kinds_read_exists_twice(hub, quantize, lowered):
    net = hub()
    x = net.conv(net.input(1, 4, 20), 4, 4, (5,))
    model = quantize(net.model(net.op("Sigmoid", x), x), "w8a8", net.feeds())
    sizes = sorted(life.size for life in dissect(lowered(model).files).lifetimes)
    assert sizes == [64, 64, 80, 4 * 64, 4 * 64, 4 * 80]


STOCK = """
import sys
import coremltools as ct, numpy as np
from coremltools.converters.mil import Builder as mb

random = np.random.default_rng(0)

@mb.program(input_specs=[mb.TensorSpec(shape=(1, 3, 64))], opset_version=ct.target.iOS16)
def program(x):
    weight, bias = random.normal(size=(16, 3, 5)).astype(np.float32), np.ones(16, np.float32)
    x = mb.relu(x=mb.conv(x=x, weight=weight, bias=bias, strides=[2]))
    x = mb.reshape(x=x, shape=[1, 480])
    return mb.linear(x=x, weight=random.normal(size=(8, 480)).astype(np.float32), name="y")

ct.convert(program, convert_to="mlprogram", minimum_deployment_target=ct.target.iOS16).save(sys.argv[1])
"""


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    """A package as coremltools writes it: its default passes, float16."""
    folder = tmp_path_factory.mktemp("stock")
    subprocess.run([sys.executable, "-c", STOCK, str(folder / "stock.mlpackage")], capture_output=True, check=True)
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_stock_package_dissects(stock):
    dissection = dissect(stock)
    check_cover(dissection, stock)
    kinds = totals(dissection)
    assert kinds[Kind.UNMAPPED] <= 0.01 * sum(dissection.sizes.values())
    assert totals(dissection, "weight.bin")[Kind.WEIGHTS] == 2 * (16 * 3 * 5 + 16 + 8 * 480)
    assert {s.dtype for s in dissection.sections if s.file.endswith("weight.bin") and s.dtype} == {"float16"}
    assert dissection.lifetimes
    assert "com.github.apple.coremltools.version" in dissection.metadata


def test_a_stock_package_evaluates(stock, saved):
    """Against the same network in float64: of five results in a row, each rounds to 11 bits, as do the weights."""
    random = np.random.default_rng(0)
    kernel, matrix = random.normal(size=(16, 3, 5)), random.normal(size=(8, 480))
    x = np.random.default_rng(1).normal(size=(1, 3, 64)).astype(np.float32)
    taps = np.lib.stride_tricks.sliding_window_view(x, 5, 2)[:, :, ::2]
    expected = np.maximum(np.einsum("nctk,ock->not", taps, kernel) + 1, 0).reshape(1, 480) @ matrix.T
    found = run.load(saved(stock)).run({"x": x})["y"]
    assert found.dtype == np.float32
    assert 0 < np.abs(found - expected).max() <= 6 * 2.0**-11 * np.abs(expected).max()


def test_a_stock_package_says_what_cannot_be_checked(stock, saved):
    files = {name: data.replace(b"relu", b"relx") for name, data in stock.items()}
    with pytest.raises(UserError, match="operation 'relx' cannot be evaluated on this machine: not checked"):
        run.load(saved(files))


def test_dissecting_needs_neither_numpy_nor_coremltools(student, lowered, saved):
    path = saved(lowered(student).files)
    program = (
        "import sys, pathlib\n"
        "from targets.coreml.dissect import dissect\n"
        "root = pathlib.Path(sys.argv[1])\n"
        "files = [path for path in root.rglob('*') if path.is_file()]\n"
        "print(len(dissect({p.relative_to(root.parent).as_posix(): p.read_bytes() for p in files}).sections))\n"
        "assert not {'numpy', 'coremltools', 'torch', 'onnx_ir', 'google.protobuf'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 50


@pytest.fixture
def package(hub, quantize, lowered):
    net = hub()
    x = net.input(1, 4, 20)
    y = net.op("Relu", net.op("Add", net.conv(x, 4, 4, (5,)), net.slice(x, 2, 2, 18)))
    return lowered(quantize(net.model(y), "w8a8", net.feeds())).files


# One package serves all examples; they only read it.
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_packages_are_refused_or_understood(data, package, tmp_path):
    files = dict(package)
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.sampled_from(sorted(files)))
        files[name] = mutated(files[name], data)
    with suppress(UserError):
        dissection = dissect(files)
        check_cover(dissection, files)
        steps = max((life.last for life in dissection.lifetimes), default=0)
        assert all(0 <= life.first <= life.last <= steps and life.size >= 0 for life in dissection.lifetimes)
    with suppress(UserError):
        execute(files, tmp_path)


def mutated(content, data):
    position = data.draw(st.integers(0, max(len(content) - 1, 0)))
    kind = data.draw(st.sampled_from(["cut", "flip", "insert", "remove", "repeat"]))
    some = data.draw(st.binary(min_size=1, max_size=9))
    return {
        "cut": content[:position],
        "flip": content[:position] + some + content[position + len(some) :],
        "insert": content[:position] + some + content[position:],
        "remove": content[:position] + content[position + len(some) :],
        "repeat": content[:position] + content[max(position - 40, 0) :],
    }[kind]


def execute(files, folder):
    for name, content in files.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    runner = run.load(folder / next(iter(files)).split("/")[0])
    with np.errstate(all="ignore"):
        for values in runner.run({"in0": np.ones((1, 4, 20), np.float32)}).values():
            assert isinstance(values, np.ndarray)
