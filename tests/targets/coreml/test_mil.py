from __future__ import annotations

import re
import struct
from collections import Counter

import numpy as np
import pytest

from compile.errors import UserError
from targets.coreml import mil, storage
from targets.coreml.specification import program


def parsed(files):
    from coremltools.proto import Model_pb2

    spec = Model_pb2.Model()
    spec.ParseFromString(next(data for name, data in files.items() if name.endswith(".mlmodel")))
    return spec


def test_the_reader_agrees_with_coremltools_own_classes(student, lowered):
    files = lowered(student).files
    spec, package = parsed(files), program(files)
    (block,) = spec.mlProgram.functions["main"].block_specializations.values()
    main = package.functions["main"]
    assert main.outputs == tuple(block.outputs)
    assert len(main.operations) == len(block.operations) > 70
    assert dict(spec.description.metadata.userDefined) == package.metadata
    weights = next(data for name, data in files.items() if name.endswith("weight.bin"))
    values = 0
    for ours, theirs in zip(main.operations, block.operations, strict=True):
        assert ours.type == theirs.type
        assert [value.name for value in ours.outputs] == [value.name for value in theirs.outputs]
        for value, named in zip(ours.outputs, theirs.outputs, strict=True):
            check_type(value.type, named.type)
        assert ours.inputs.keys() == theirs.inputs.keys()
        assert ours.attributes.keys() == theirs.attributes.keys()
        for key, argument in theirs.inputs.items():
            for given, binding in zip(ours.inputs[key], argument.arguments, strict=True):
                if binding.WhichOneof("binding") == "name":
                    assert given == binding.name
                else:
                    check_value(given, binding.value, weights)
                    values += 1
        for key, attribute in theirs.attributes.items():
            check_value(ours.attributes[key], attribute, weights)
            values += 1
    assert values > 100


def check_type(ours, theirs):
    tensor = theirs.tensorType
    assert storage.TYPES[tensor.dataType][0] == ours.dtype
    assert ours.shape == tuple(dimension.constant.size for dimension in tensor.dimensions)


def check_value(ours, theirs, weights):
    check_type(ours.type, theirs.type)
    if theirs.WhichOneof("value") == "blobFileValue":
        _, code, size, start = struct.unpack_from("<IIQQ", weights, theirs.blobFileValue.offset)
        assert (ours.start, ours.end, ours.record) == (start, start + size, theirs.blobFileValue.offset)
        assert storage.BLOB_TYPES[code] == ours.type.dtype
        assert bytes(ours.data) == weights[start : start + size]
        return
    tensor = theirs.immediateValue.tensor
    kind = tensor.WhichOneof("value")
    found = getattr(tensor, kind).values
    if kind == "strings":
        assert ours.text == found[0]
    elif kind == "bytes":
        assert bytes(ours.data) == found
    else:
        np.testing.assert_array_equal(np.frombuffer(ours.data, ours.type.dtype), np.asarray(found, ours.type.dtype))


def test_enumerations_are_those_of_coremltools(tmp_path):
    from coremltools import libmilstoragepython
    from coremltools.proto import MIL_pb2

    for number, (name, _) in storage.TYPES.items():
        theirs = MIL_pb2.DataType.Name(number).lower()
        assert name == {"string": "str"}.get(theirs, theirs)
    for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "float"):
        writer = libmilstoragepython._BlobStorageWriter(str(tmp_path / f"{name}.bin"))
        offset = getattr(writer, f"write_{name}_data")(np.arange(5, dtype="float32" if name == "float" else name))
        del writer
        data = (tmp_path / f"{name}.bin").read_bytes()
        dtype, start, end = storage.record(data, offset, "weight.bin")
        assert dtype == {"float": "float32"}.get(name, name)
        assert (end - start, len(data)) == (5 * np.dtype(dtype).itemsize, end)


def test_coremltools_reads_our_weight_file(student, lowered, tmp_path):
    from coremltools import libmilstoragepython

    files = lowered(student).files
    (tmp_path / "weight.bin").write_bytes(next(data for name, data in files.items() if name.endswith("weight.bin")))
    reader = libmilstoragepython._BlobStorageReader(str(tmp_path / "weight.bin"))
    blobs = [
        constant
        for operation in program(files).functions["main"].operations
        for constant in operation.attributes.values()
        if constant is not None and constant.record is not None
    ]
    assert Counter(blob.type.dtype for blob in blobs) == {"int8": 12, "float32": 2 * 12}  # weights; scales and biases
    for blob in blobs:
        stored = getattr(reader, {"int8": "read_int8_data", "float32": "read_float_data"}[blob.type.dtype])(blob.record)
        np.testing.assert_array_equal(stored, np.frombuffer(blob.data, blob.type.dtype))


def test_a_dynamic_size_is_no_size():
    assert mil.Type("float32", None).size is None
    assert mil.Type("float32", (2, 3)).size == 24
    assert mil.Type("int4", (3,)).size == 2
    assert mil.Type("float32", ()).size == 4


PACKAGE = "net.fp32.mlpackage"
MODEL = f"{PACKAGE}/Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = f"{PACKAGE}/Data/com.apple.CoreML/weights/weight.bin"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.pop(f"{PACKAGE}/Manifest.json"), "it has no Manifest.json"),
        (lambda f: f.update({f"{PACKAGE}/Manifest.json": b"[" * 100000}), "names no root model"),
        (lambda f: f.update({f"{PACKAGE}/Manifest.json": b"{}"}), "names no root model"),
        (lambda f: f.pop(MODEL), "names 'com.apple.CoreML/model.mlmodel', which is not in"),
        (lambda f: f.pop(WEIGHTS), "weights/weight.bin', which is not in the package"),
        (lambda f: f.update({MODEL: b""}), "it holds no model of a known kind"),
        (lambda f: f.update({MODEL: f[MODEL][:-1]}), "malformed at byte"),
        (lambda f: f.update({WEIGHTS: f[WEIGHTS][:-1]}), "points outside"),
        (lambda f: f.update({WEIGHTS: b"\0" * 999}), "there is no record at byte 64"),
    ],
)
def test_broken_packages_are_one_line_errors(change, message, hub, lowered):
    net = hub()
    files = dict(lowered(net.model(net.conv(net.input(1, 16, 40), 16, 16, (3,)))).files)
    change(files)
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        program(files)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda op: op.inputs["x"].arguments[0].ClearField("name"), "'conv' uses '' too early"),
        (
            lambda op: op.outputs[0].type.tensorType.dimensions[0].constant.__setattr__("size", 1 << 62),
            "absurdly large",
        ),
        (lambda op: op.outputs[0].type.tensorType.__setattr__("rank", 7), "rank is wrong"),
        (
            lambda op: op.inputs["strides"].arguments[0].value.immediateValue.tensor.ints.values.append(1),
            "constant has",
        ),
        (lambda op: op.inputs["strides"].arguments[0].value.type.tensorType.__setattr__("dataType", 33), None),
    ],
)
def test_programs_that_contradict_themselves_are_errors(change, message, hub, lowered):
    net = hub()
    files = dict(lowered(net.model(net.conv(net.input(1, 16, 40), 16, 16, (3,)))).files)
    spec = parsed(files)
    (block,) = spec.mlProgram.functions["main"].block_specializations.values()
    change(next(operation for operation in block.operations if operation.type == "conv"))
    files[next(name for name in files if name.endswith(".mlmodel"))] = spec.SerializeToString()
    if message is None:  # signed read as unsigned: the reader cannot know, the sizes agree
        program(files)
        return
    with pytest.raises(UserError, match=message):
        program(files)
