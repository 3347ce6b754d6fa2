"""Programs whose numbers, names and types were changed: understood or refused, never more.

``test_dissect.py`` changes bytes, most of which stop the reader. Here the message stays well formed, so that the
changes reach the evaluator and the dissector.
"""

from __future__ import annotations

import resource
from contextlib import suppress
from time import process_time

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compile.errors import UserError
from compile.model import Model
from compile.streaming.stream import stream
from targets.coreml import run
from targets.coreml.dissect import dissect
from targets.coreml.lower import lower

NUMBERS = (0, 1, 2, 3, -1, -7, 13, 127, 65537, 2**24, 2**31 - 1, -(2**31))
DTYPES = (1, 2, 10, 11, 21, 23, 31, 4711)


def everything(net, scheme):
    """One network with an operation of each kind that allocates or indexes; none of bool among int8."""
    x = net.input(1, 4, 12)
    y = net.conv(x, 6, 4, (3,), pads=[1, 1], strides=[2])
    y = net.op("Relu", net.conv_transpose(y, 4, 6, (4,), strides=[2], pads=[1, 1], output_padding=[1]))
    y = net.op("PRelu", net.resize(y, 1, 4, 20), net.noise(4, 1))
    y = net.op("Add", net.gather(y, 2, *range(0, 20, 2)), net.expand(net.reduce("Max", y, 2), 1, 4, 10))
    if scheme != "w8a8":
        y = net.op("Where", net.op("Less", y, net.constant(0.5)), y, net.constant(0.25))
    y = net.pool("MaxPool", net.pad(y, [0, 0, 2, 0, 0, 2]), (2,))
    y = net.op("MatMul", net.op("Softmax", y, axis=2), net.op("Transpose", y, perm=[0, 2, 1]))
    return net.gemm(net.reshape(net.slice(y, 2, 0, 4, 2), 1, 8), 5, 8)


def flowing(net):
    """One that can be streamed: integers, floats and sums of both are kept."""
    x = net.op("Relu", net.conv(net.input(1, 4, 12), 6, 4, (3,)))
    y = net.op("Add", net.slice(x, 2, 1, 9), net.conv(x, 6, 6, (3,)))
    return net.gemm(net.reshape(y, 1, 48), 5, 48)


class Made(dict):
    """Packages by form; hypothesis prints its arguments, and these are long."""

    def __repr__(self):
        return "packages"


@pytest.fixture(scope="module")
def packages():
    """Filled by the test, with fixtures of a smaller scope."""
    return Made()


WINDOWS = [("", "w8", False), ("ios18", "w8", False), ("w8a8", "w8a8", False)]
STREAMS = [("ios18", "w8", True), ("ios18", "w8a8", True)]


@pytest.mark.parametrize(("form", "scheme", "streams"), [*WINDOWS, *STREAMS])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_program_is_understood_or_refused(data, form, scheme, streams, packages, hub, quantize, tmp_path):
    if (form, scheme, streams) not in packages:
        net = hub(1)
        made = net.model(flowing(net) if streams else everything(net, scheme))
        model = Model(ir.from_proto(quantize(made, scheme, net.feeds())))
        packages[form, scheme, streams] = files = lower(stream(model) if streams else model, form).files
        assert len(execute(files, tmp_path)) == (4 if streams else 1)  # as it is, it runs
    files = dict(packages[form, scheme, streams])
    path = next(name for name in files if name.endswith(".mlmodel"))
    files[path] = changed(files[path], data)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, process_time()
    with suppress(UserError):
        dissection = dissect(files)
        for name, size in dissection.sizes.items():
            ends = [0, *(section.end for section in dissection.sections if section.file == name)]
            starts = [*(section.start for section in dissection.sections if section.file == name), size]
            assert ends == starts
    with suppress(UserError):
        execute(files, tmp_path)
    assert process_time() - began < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20  # KiB: 1 GiB


def changed(program, data):
    from coremltools.proto import Model_pb2

    spec = Model_pb2.Model.FromString(program)
    (block,) = spec.mlProgram.functions["main"].block_specializations.values()
    for _ in range(data.draw(st.integers(1, 3))):
        operation = block.operations[data.draw(st.integers(0, len(block.operations) - 1))]
        change = data.draw(st.sampled_from([numbers, names, shapes, removal, kinds]))
        change(operation, block, data)
    return spec.SerializeToString()


def numbers(operation, block, data):
    """Other integers or truths among the arguments."""
    values = [binding.value for given in operation.inputs.values() for binding in given.arguments]
    values += operation.attributes.values()
    lists = [value.immediateValue.tensor.ints.values for value in values if value.immediateValue.tensor.ints.values]
    for value in values:
        if value.HasField("blobFileValue"):
            value.blobFileValue.offset = data.draw(st.sampled_from([0, 64, 128, 192, 2**40]))
    if lists:
        chosen = data.draw(st.sampled_from(lists))
        chosen[data.draw(st.integers(0, len(chosen) - 1))] = data.draw(st.sampled_from(NUMBERS))
        if data.draw(st.booleans()):
            chosen.append(data.draw(st.sampled_from(NUMBERS)))


def names(operation, block, data):
    """Another value as an argument, or the same under another parameter."""
    known = [value.name for other in block.operations for value in other.outputs]
    known += [binding.name for other in block.operations for binding in _bindings(other)]
    bindings = _bindings(operation)
    if bindings:
        data.draw(st.sampled_from(bindings)).name = data.draw(st.sampled_from(known))
    if len(operation.inputs) > 1:
        first, second = (data.draw(st.sampled_from(sorted(operation.inputs))) for _ in range(2))
        if data.draw(st.booleans()):
            operation.inputs[first].CopyFrom(operation.inputs[second])


def _bindings(operation):
    return [binding for given in operation.inputs.values() for binding in given.arguments if binding.name]


def shapes(operation, block, data):
    """Another result, or another type of a constant."""
    types = [value.type.tensorType for value in operation.outputs]
    types += [binding.value.type.tensorType for given in operation.inputs.values() for binding in given.arguments]
    if not types:
        return
    chosen = data.draw(st.sampled_from(types))
    if chosen.dimensions and data.draw(st.booleans()):
        size = data.draw(st.sampled_from([0, 1, 2, 5, 4096, 2**27, 2**40]))
        chosen.dimensions[data.draw(st.integers(0, len(chosen.dimensions) - 1))].constant.size = size
    else:
        chosen.dataType = data.draw(st.sampled_from(DTYPES))


def removal(operation, block, data):
    """One argument less, or none of the results."""
    if operation.inputs and data.draw(st.booleans()):
        del operation.inputs[data.draw(st.sampled_from(sorted(operation.inputs)))]
    elif operation.outputs:
        del operation.outputs[0]


def kinds(operation, block, data):
    """Another operation on the same arguments."""
    operation.type = data.draw(st.sampled_from(sorted({other.type for other in block.operations} | {"tile", "pow"})))


def execute(files, folder):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    runner = run.load(folder / next(iter(files)).split("/")[0])
    states = {name: np.ones(shape, np.float16) for name, shape in runner.inputs.items() if name != "in0"}
    with np.errstate(all="ignore"):
        return runner.run({"in0": np.ones((1, 4, 1 if states else 12), np.float32), **states})
