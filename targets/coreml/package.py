"""An ML program as the bytes of an ``.mlpackage``: small, and the same every time.

coremltools' own saving is neither: it stores a UUID of the moment, the date, its version, every parameter as an
operation with a long name, and equal constants once a use. Here:

- values are named ``a``, ``b``, …; only the model's inputs and outputs keep their names;
- equal constants are one constant;
- a parameter is written where it is used, unless sharing it as a ``const`` operation is shorter. ``MIL.proto`` lets
  an argument bind to a name or to a value, and Chromium's WebNN backend binds parameters by value in every program
  that it hands to Core ML;
- operations other than constants carry no ``name`` attribute, which is for messages; Chromium's carry none either;
- float and int8 constants lie in ``weight.bin`` from ten elements on and are named by a ``const`` operation, as
  coremltools does it: biases and weights are what Core ML meets in every other package;
- the manifest's identifiers are derived from the content they identify.

Layout of ``weight.bin``: a header of 64 bytes (record count, version 2), then records, each a 64-byte description
(sentinel, element type, size, position of the data) and the data, padded to a multiple of 64.
"""

from __future__ import annotations

import json
import re
import string
import struct
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from targets.coreml.storage import RECORD, SENTINEL

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_@]*")
NAMES = "phiz.names"  # metadata: JSON, Core ML's name of an input or output -> the model's own

_DATA = "Data/com.apple.CoreML"
_BLOB = "@model_path/weights/weight.bin"
_IN_FILE = 10  # elements from which on a constant lies in weight.bin: coremltools' own limit
_FLOAT32, _FLOAT16 = 65568, 65552  # FeatureTypes.proto: ArrayFeatureType.ArrayDataType
_IOS17 = 8
_OPSETS = {7: "CoreML6", 8: "CoreML7", 9: "CoreML8"}
# numpy name -> (MIL.proto DataType, field of TensorValue, element type in weight.bin)
_TYPES = {
    "bool": (1, "bools", None),
    "str": (2, "strings", None),
    "float16": (10, "bytes", 1),
    "float32": (11, "floats", 2),
    "int8": (21, "bytes", 4),
    "int32": (23, "ints", None),
    "uint8": (31, "bytes", 3),
}
# coremltools' builder has an operation that writes a state and reads it again; programs have two, of these parameters.
_WRITES = {"coreml_update_state": ("write_state", {"state": "input", "value": "data"})}
# Parameters that are bound to names even where they are constants; others are settings, which may stand in place.
_OPERANDS = ("weight", "bias", "x", "y", "a", "b", "values", "indices")


@dataclass(frozen=True)
class Ports:
    """Names and shapes of a model's inputs and outputs, which are float32, and its states, float16; in order."""

    inputs: tuple[tuple[str, tuple[int, ...]], ...]
    outputs: tuple[tuple[str, tuple[int, ...]], ...]
    states: tuple[tuple[str, tuple[int, ...]], ...] = ()


def pack(function: Any, ports: Ports, version: int, metadata: Mapping[str, str], name: str) -> dict[str, bytes]:
    """The files of the package ``name`` for a MIL function, by path.

    Args:
        function: a coremltools MIL ``Function``, its inputs named like ``ports.inputs`` and ``ports.states``.
        ports: how the model's inputs, outputs and states are described.
        version: the Core ML specification version: 7 for iOS 16, 8 for iOS 17, 9 for iOS 18.
        metadata: user-defined metadata.
        name: the package's folder name.
    """
    from coremltools.proto import Model_pb2

    blobs = _Blobs()
    model = Model_pb2.Model(specificationVersion=version)
    for described, port in ((model.description.input, ports.inputs), (model.description.output, ports.outputs)):
        for title, shape in port:
            feature = described.add(name=title)
            feature.type.multiArrayType.shape.extend(shape)
            feature.type.multiArrayType.dataType = _FLOAT32
    for title, shape in ports.states:
        feature = model.description.state.add(name=title)
        feature.type.stateType.arrayType.shape.extend(shape)
        feature.type.stateType.arrayType.dataType = _FLOAT16
    model.description.metadata.userDefined.update(metadata)
    _Writer(model.mlProgram, blobs, ports).write(function, _OPSETS[version])
    files = {f"{_DATA}/model.mlmodel": bytes(model.SerializeToString(deterministic=True))}
    if blobs.records:
        files[f"{_DATA}/weights/weight.bin"] = blobs.to_bytes()
    files["Manifest.json"] = _manifest(files)
    return {f"{name}/{path}": files[path] for path in sorted(files)}


def _manifest(files: Mapping[str, bytes]) -> bytes:
    entries, root = {}, ""
    for path, data in files.items():
        # One identifier an item; the weights' item is their folder.
        item = path.removeprefix("Data/").removesuffix("/weight.bin")
        identifier = str(uuid.UUID(bytes=sha256(item.encode() + b"\0" + data).digest()[:16], version=4))
        if path.endswith(".mlmodel"):
            root, title, description = identifier, "model.mlmodel", "CoreML Model Specification"
        else:
            title, description = "weights", "CoreML Model Weights"
        entries[identifier] = {
            "author": "com.apple.CoreML",
            "description": description,
            "name": title,
            "path": item,
        }
    manifest = {"fileFormatVersion": "1.0.0", "itemInfoEntries": entries, "rootModelIdentifier": root}
    return json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()


@dataclass
class _Blobs:
    """The contents of ``weight.bin``; equal data are stored once."""

    records: bytearray = field(default_factory=bytearray)
    offsets: dict[tuple[int, bytes], int] = field(default_factory=dict)

    def add(self, code: int, data: bytes) -> int:
        """Store ``data`` of an element type; returns where its description begins."""
        if (code, data) in self.offsets:
            return self.offsets[code, data]
        self.records += b"\0" * (-len(self.records) % RECORD)
        offset = RECORD + len(self.records)
        self.records += struct.pack("<IIQQ40x", SENTINEL, code, len(data), offset + RECORD) + data
        self.offsets[code, data] = offset
        return offset

    def to_bytes(self) -> bytes:
        return struct.pack("<II56x", len(self.offsets), 2) + bytes(self.records)


class _Writer:
    """Writes one MIL function into a ``MILSpec.Program``."""

    def __init__(self, program: Any, blobs: _Blobs, ports: Ports) -> None:
        self.program = program
        self.blobs = blobs
        self.ports = ports
        self.names: dict[Any, str] = {}  # MIL variable -> its name in the program
        self.shared: dict[bytes, str] = {}  # constant -> the name of its const operation
        self.fresh = _short_names({name for name, _ in (*ports.inputs, *ports.outputs, *ports.states)})

    def write(self, function: Any, opset: str) -> None:
        self.program.version = 1
        main = self.program.functions["main"]
        main.opset = opset
        block = main.block_specializations[opset]
        for name, shape in self.ports.inputs:
            self.names[function.inputs[name]] = name
            self.named(main.inputs.add(), name, "float32", shape)
        for name, shape in self.ports.states:
            self.names[function.inputs[name]] = name
            state = main.inputs.add(name=name)
            _set_type(state.type.stateType.wrappedType.tensorType, "float16", shape)
        for variable, (name, _) in zip(function.outputs, self.ports.outputs, strict=True):
            self.names[variable] = name
            block.outputs.append(name)
        operations = [op for op in function.operations if op.op_type != "const"]
        uses: dict[bytes, int] = {}
        for op in operations:
            for _, variable in _constants(op):
                key = self.value(variable.val, "").SerializeToString(deterministic=True)
                uses[key] = uses.get(key, 0) + 1
        for op in operations:
            self.operation(block, op, uses)

    def operation(self, block: Any, op: Any, uses: Mapping[bytes, int]) -> None:
        writes = _WRITES.get(op.op_type)
        kind, parameters = writes or (op.op_type, {})
        written: Any = type(block)().operations.add(type=kind)
        for title, given in op.inputs.items():
            parameter = parameters.get(title, title)
            for variable in given if isinstance(given, list | tuple) else (given,):
                if variable is None:
                    continue
                if op.op_type.startswith("constexpr_"):
                    # What a constexpr reads are its attributes until iOS 17, later its inputs.
                    early = int(op.opset_version) <= _IOS17
                    slot = written.attributes[parameter] if early else written.inputs[parameter].arguments.add().value
                    slot.CopyFrom(self.value(variable.val, parameter))
                elif variable.op is not None and variable.op.op_type == "const":
                    self.argument(block, written.inputs[parameter].arguments.add(), variable.val, parameter, uses)
                else:
                    written.inputs[parameter].arguments.add(name=self.names[variable])
        for variable in () if writes else op.outputs:  # what was written is read nowhere
            name = self.names.setdefault(variable, "") or next(self.fresh)
            self.names[variable] = name
            self.named(written.outputs.add(), name, _dtype(variable), variable.shape)
            if op.op_type.startswith("constexpr_"):
                written.attributes["name"].CopyFrom(self.value(name, ""))
        block.operations.append(written)

    def argument(self, block: Any, binding: Any, data: Any, parameter: str, uses: Mapping[bytes, int]) -> None:
        """Bind a constant by value, or to the name of a ``const`` operation written before its first use."""
        key = self.value(data, "").SerializeToString(deterministic=True)
        if key not in self.shared:
            array = _array(data)
            is_operand = parameter in _OPERANDS or _in_file(array)
            name = "" if is_operand else "aa"
            const: Any = type(block)().operations.add(type="const")
            const.attributes["val"].CopyFrom(self.value(data, parameter))
            const.attributes["name"].CopyFrom(self.value(name, ""))
            self.named(const.outputs.add(), name, _dtype_of(data), array.shape)
            if not is_operand and uses[key] * (len(key) - 2) <= const.ByteSize() + 3:
                binding.value.CopyFrom(self.value(data, parameter))
                return
            name = self.shared[key] = next(self.fresh)
            const.attributes["name"].CopyFrom(self.value(name, ""))
            const.outputs[0].name = name
            block.operations.append(const)
        binding.name = self.shared[key]

    def named(self, written: Any, name: str, dtype: str, shape: Any) -> None:
        written.name = name
        _set_type(written.type.tensorType, dtype, shape)

    def value(self, data: Any, parameter: str) -> Any:
        """A ``MILSpec.Value``; large data refer to ``weight.bin``."""
        from coremltools.proto import MIL_pb2

        array, dtype = _array(data), _dtype_of(data)
        written = MIL_pb2.Value()
        _set_type(written.type.tensorType, dtype, array.shape)
        _, title, code = _TYPES[dtype]
        if code is not None and parameter and _in_file(array):
            written.blobFileValue.fileName = _BLOB
            written.blobFileValue.offset = self.blobs.add(code, array.tobytes())
        elif title == "bytes":
            written.immediateValue.tensor.bytes.values = array.tobytes()
        elif title == "strings":
            written.immediateValue.tensor.strings.values.append(str(data))
        else:
            getattr(written.immediateValue.tensor, title).values.extend(array.ravel().tolist())
        return written


def _constants(op: Any) -> Iterator[tuple[str, Any]]:
    """The parameters of an operation that are constants, except a constexpr's, which are attributes."""
    if op.op_type.startswith("constexpr_"):
        return
    for parameter, given in op.inputs.items():
        for variable in given if isinstance(given, list | tuple) else (given,):
            if variable is not None and variable.op is not None and variable.op.op_type == "const":
                yield parameter, variable


def _in_file(array: NDArray[Any]) -> bool:
    return _TYPES[str(array.dtype)][2] is not None and array.size >= _IN_FILE


def _array(data: Any) -> NDArray[Any]:
    if isinstance(data, str):
        return np.asarray(0, np.int8)  # a string is a scalar; only its shape is asked for
    array = np.ascontiguousarray(data).reshape(np.shape(data))
    return array.astype(np.int32) if array.dtype == np.int64 else array


def _dtype_of(data: Any) -> str:
    return "str" if isinstance(data, str) else str(_array(data).dtype)


def _dtype(variable: Any) -> str:
    from coremltools.converters.mil.mil import types

    return str(np.dtype(types.nptype_from_builtin(variable.dtype)))


def _set_type(written: Any, dtype: str, shape: Any) -> None:
    written.dataType = _TYPES[dtype][0]
    written.rank = len(shape)
    for size in shape:
        written.dimensions.add().constant.size = int(size)


def _short_names(taken: set[str]) -> Iterator[str]:
    """``a``, ``b``, …, ``Z``, ``aa``, …, without those taken."""
    letters = string.ascii_letters
    length = 1
    while True:
        for index in range(len(letters) ** length):
            digits = [letters[index // len(letters) ** place % len(letters)] for place in reversed(range(length))]
            if (name := "".join(digits)) not in taken:
                yield name
        length += 1
