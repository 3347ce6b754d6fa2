"""Read an ML program from its bytes alone, with its constants, and where each of them lies.

Field numbers are those of ``MIL.proto``, which coremltools publishes. Only what an ML program needs is read, every
position and size is checked before it is used, and numpy is not needed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import PurePosixPath

from compile.errors import UserError
from targets.base import Files
from targets.coreml.message import Message
from targets.coreml.storage import BITS, MAX_NAME, MAX_STEPS, TYPES, record, require
from targets.wire import BYTES, VARINT, Field, malformed, signed, varint

_MAX_RANK = 16
_MAX_ELEMENTS = 1 << 48
_MAX_DEPTH = 16
# Field of TensorValue -> bytes an element, for those stored as raw little-endian bytes.
_RAW = {1: 4, 6: 8, 7: 1}


@dataclass(frozen=True)
class Type:
    """A tensor type; ``shape`` is None where a size is not fixed, ``dtype`` empty where it is no tensor."""

    dtype: str
    shape: tuple[int, ...] | None

    @property
    def size(self) -> int | None:
        """Bytes of a tensor of this type, or None where they are not fixed."""
        if self.shape is None or not self.dtype:
            return None
        return (prod(self.shape) * BITS[self.dtype] + 7) // 8


@dataclass(frozen=True)
class Value:
    """A named value of the program; of a state, the type is that of what it keeps."""

    name: str
    type: Type
    state: bool = False


@dataclass(frozen=True)
class Constant:
    """A constant: its elements as little-endian bytes, and the byte range of its file that holds them.

    Integers and booleans in the program itself are varints there, so that ``data`` is not what lies there.
    ``text`` holds a string instead. ``record`` is where a blob's 64-byte description begins, or None; ``scattered``
    are the ranges of the elements where other bytes lie between them.
    """

    type: Type
    data: memoryview
    text: str
    file: str
    start: int
    end: int
    record: int | None = None
    scattered: tuple[tuple[int, int], ...] = ()
    varints: bool = False


@dataclass(frozen=True)
class Operation:
    """One operation; an argument is the name of an earlier value or a constant. ``blocks`` are nested programs.

    ``start`` and ``end`` are the byte range of its file that describes it.
    """

    type: str
    inputs: Mapping[str, tuple[str | Constant, ...]]
    outputs: tuple[Value, ...]
    attributes: Mapping[str, Constant | None]
    blocks: tuple[tuple[Operation, ...], ...] = ()
    start: int = 0
    end: int = 0

    @property
    def name(self) -> str:
        """Of its first result, for messages and labels."""
        return self.outputs[0].name if self.outputs else self.type


@dataclass(frozen=True)
class Function:
    """Inputs, states among them, operations in order and the names of the outputs."""

    inputs: tuple[Value, ...]
    outputs: tuple[str, ...]
    operations: tuple[Operation, ...]


def functions(files: Files, where: str, program: Message) -> Mapping[str, Function]:
    """The functions of an ML program by name; its large constants are in others of ``files``.

    Args:
        files: of the package.
        where: the file that holds the program.
        program: the message.

    Raises:
        UserError: it is not well-formed.
    """
    reader = _Reader(files, where)
    found = {name: reader.function(body) for name, body in program.mapping(2)}
    require(bool(found), where, "its ML program has no functions")
    require(max(map(len, found)) <= MAX_NAME, where, "the name of a function is too long")
    return found


class _Reader:
    """Reads the program's file; ``where`` names it in messages."""

    def __init__(self, files: Files, where: str) -> None:
        self.files, self.where, self.data = files, where, files[where]
        self.steps = 0

    def function(self, message: Message) -> Function:
        blocks = dict(message.mapping(3))
        block = blocks.get(message.text(2))
        if block is None:
            raise malformed(self.where, message.start)
        inputs = tuple(self.named(value) for value in message.messages(1))
        operations = self.operations(block, 0)
        known = {value.name for value in inputs}
        for operation in operations:
            used = {name for given in operation.inputs.values() for name in given if isinstance(name, str)}
            require(used <= known, self.where, f"'{operation.type}' uses '{min(used - known, default='')}' too early")
            known |= {value.name for value in operation.outputs}
        outputs = block.texts(2)
        require(set(outputs) <= known, self.where, "a function's output is never computed")
        return Function(inputs, outputs, operations)

    def operations(self, block: Message, depth: int) -> tuple[Operation, ...]:
        require(depth <= _MAX_DEPTH, self.where, "blocks are nested too deeply")
        return tuple(self.operation(field, depth) for field in block.all(3))

    def operation(self, field: Field, depth: int) -> Operation:
        self.steps += 1
        require(self.steps <= MAX_STEPS, self.where, f"it has more than {MAX_STEPS:,} operations")
        message = Message(self.data, field.value, field.end, self.where)
        inputs: dict[str, tuple[str | Constant, ...]] = {}
        for parameter, argument in message.mapping(2):
            bindings: list[str | Constant] = []
            for binding in argument.messages(1):
                value = binding.message(2)
                constant = self.constant(value) if value else None
                if constant is not None:
                    bindings.append(constant)
                elif value is None:  # a list or a dictionary is passed over
                    bindings.append(binding.text(1))
            inputs[parameter] = tuple(bindings)
        return Operation(
            type=message.text(1),
            inputs=inputs,
            outputs=tuple(self.named(value) for value in message.messages(3)),
            attributes={key: self.constant(value) for key, value in message.mapping(5)},
            blocks=tuple(self.operations(block, depth + 1) for block in message.messages(4)),
            start=field.start,
            end=field.end,
        )

    def named(self, message: Message) -> Value:
        kind = message.message(2)
        return Value(message.text(1), self.type(kind), kind is not None and kind.message(5) is not None)

    def type(self, message: Message | None) -> Type:
        state = message.message(5) if message else None
        if state is not None:
            message = state.message(1)  # of the tensor that it keeps
        tensor = message.message(1) if message else None
        if tensor is None:
            return Type("", None)
        dtype, _ = TYPES.get(tensor.integer(1), ("", 0))
        shape: list[int] = []
        fixed = True
        for dimension in tensor.messages(3):
            constant = dimension.message(1)
            fixed = fixed and constant is not None
            shape.append(constant.integer(1) if constant else 0)
        require(len(shape) <= _MAX_RANK and len(shape) == tensor.integer(2), self.where, "a tensor's rank is wrong")
        require(max(shape, default=0) <= _MAX_ELEMENTS >= prod(shape), self.where, "a tensor is absurdly large")
        return Type(dtype, tuple(shape) if fixed else None)

    def constant(self, message: Message) -> Constant | None:
        """A tensor constant; None for lists, tuples and dictionaries."""
        kind = self.type(message.message(2))
        blob = message.message(5)
        if blob is not None:
            return self.blob(kind, blob)
        immediate = message.message(3)
        tensor = immediate.message(1) if immediate else None
        if tensor is None:
            return None
        for number in (1, 2, 3, 4, 5, 6, 7):
            repeated = tensor.message(number)
            if repeated is not None:
                return self.immediate(kind, number, repeated)
        require(kind.size == 0, self.where, "a constant has no elements")
        return Constant(kind, memoryview(b""), "", self.where, tensor.start, tensor.start)

    def immediate(self, kind: Type, number: int, repeated: Message) -> Constant:
        found = repeated.fields.get(1, [])
        start, end = (found[0].value, found[-1].end) if found else (repeated.start, repeated.start)
        if number == 4:
            require(kind.dtype == "str", self.where, f"a constant of type '{kind.dtype}' holds text")
            return Constant(kind, memoryview(b""), "".join(repeated.texts(1)), self.where, start, end)
        if number in _RAW:
            pieces = [memoryview(self.data)[field.value : field.end] for field in found]
            data = pieces[0] if len(pieces) == 1 else memoryview(b"".join(pieces))
        else:
            numbers = [number for field in found for number in self.varints(field)]
            data = memoryview(_pack(kind.dtype, numbers, self.where))
        require(kind.size == len(data), self.where, f"a constant has {len(data)} bytes, its type {kind.size}")
        scattered = tuple((field.value, field.end) for field in found) if len(found) > 1 else ()
        return Constant(kind, data, "", self.where, start, end, None, scattered, number not in _RAW)

    def varints(self, field: Field) -> Iterator[int]:
        if field.wire == VARINT:
            yield signed(field.integer)
            return
        require(field.wire == BYTES, self.where, "an integer constant is not made of integers")
        position = field.value
        while position < field.end:
            number, position = varint(self.data, position, field.end, self.where)
            yield signed(number)

    def blob(self, kind: Type, blob: Message) -> Constant:
        """A constant in a weight file, of which ``offset`` names the description."""
        path = str(PurePosixPath(self.where).parent / blob.text(1).removeprefix("@model_path/"))
        require(path != self.where, path, "it uses itself as a weight file")
        if path not in self.files:
            fix = "copy the whole folder"
            raise UserError(f"it uses '{blob.text(1)}', which is not in the package", where=self.where, fix=fix)
        offset = blob.integer(2)
        dtype, start, end = record(self.files[path], offset, path)
        require(dtype == kind.dtype, path, f"the record at byte {offset} holds {dtype}, the program says {kind.dtype}")
        require(kind.size == end - start, path, f"the record at byte {offset} has not the size of its tensor")
        return Constant(kind, memoryview(self.files[path])[start:end], "", path, start, end, offset)


def _pack(dtype: str, numbers: list[int], where: str) -> bytes:
    formats = {"bool": "?", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q"}
    try:
        return struct.pack(f"<{len(numbers)}{formats[dtype]}", *numbers)
    except (struct.error, KeyError) as error:
        raise UserError(f"integers do not fit their type '{dtype}'", where=where, fix="the file is corrupt") from error
