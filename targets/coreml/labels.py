"""Whose the constants of an ML program are, and what the bytes of its file are for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from targets.base import Constant, Kind, Section
from targets.coreml import mil
from targets.sections import around

_PARAMETERS_OF_QUANTIZATION = ("scale", "zero_point", "offset", "lut", "palette_lut")
_SETTINGS = ("alpha", "beta", "epsilon", "constant_val", "name")  # where they are one number
# fmt: off
_NUMBERS = frozenset({
    "float16", "float32", "float64", "bfloat16", "float8e4m3fn", "float8e5m2", "int8", "uint8", "int4", "uint4",
    "uint1", "uint2", "uint3", "uint6",
})
# fmt: on
_READERS = 16  # that are named of each constant; a hostile file can make all pairs of them


@dataclass(frozen=True)
class Label:
    """A weight or quantisation parameter, what stores it, and the layers that read it, through constexpr operations."""

    name: str
    stored: mil.Constant
    kind: Kind
    layer: str
    operator: str
    readers: tuple[str, ...]

    @property
    def section(self) -> Section:
        """Its bytes; they count as stored, but for the varints of a program."""
        stored = self.stored
        resident = stored.type.size if stored.varints else None
        return Section(
            stored.file, stored.start, stored.end, self.kind, self.layer, stored.type.dtype, resident, self.operator
        )

    @property
    def constant(self) -> Constant:
        """The same without the reader's classes."""
        stored = self.stored
        places = stored.scattered or ((stored.start, stored.end),)
        return Constant(
            self.name,
            self.kind,
            stored.type.dtype,
            stored.type.shape or (),
            tuple((stored.file, start, end) for start, end in places),
            self.readers,
            "varint" if stored.varints else "",
        )


class Labels:
    """The labels of one function: ``labels`` by the operation that holds them, in the order of the program."""

    def __init__(self, function: mil.Function) -> None:
        self.function = function
        self.operations = list(_nested(function.operations))
        self.uses: dict[str, tuple[int, ...]] = {}  # value -> operations that read it, from the first
        self.parameters: dict[str, str] = {}  # value -> what its first reader takes it for
        for index in reversed(range(len(self.operations))):
            operation = self.operations[index]
            own = self.used(operation) if operation.type.startswith("constexpr_") else (index,)
            for parameter, given in _bindings(operation):
                if isinstance(given, str):
                    self.uses[given] = tuple(sorted({*own, *self.uses.get(given, ())})[:_READERS])
                    self.parameters[given] = parameter
        self.labels = {id(operation): tuple(self.constants(operation)) for operation in self.operations}

    def __iter__(self) -> Iterator[Label]:
        return (label for operation in self.operations for label in self.labels[id(operation)])

    def constants(self, operation: mil.Operation) -> Iterator[Label]:
        """Those that an operation holds."""
        if operation.type == "const":
            value = operation.attributes.get("val")
            if value is not None:
                yield from self.label(operation, value, operation.name, self.parameters.get(operation.name, ""))
            return
        for parameter, given in (*operation.attributes.items(), *_bindings(operation)):
            if isinstance(given, mil.Constant):  # a constexpr's, or one that stands in place
                yield from self.label(operation, given, f"{operation.name}.{parameter}", parameter)

    def label(self, operation: mil.Operation, stored: mil.Constant, name: str, parameter: str) -> Iterator[Label]:
        """Unless it is a setting of the graph."""
        if parameter in _PARAMETERS_OF_QUANTIZATION:
            kind = Kind.QUANTIZATION
        elif stored.record is not None or (
            stored.type.dtype in _NUMBERS and (parameter not in _SETTINGS or stored.type.shape)
        ):
            kind = Kind.WEIGHTS
        else:
            return
        layer, operator = self.owner(operation)
        readers = tuple(dict.fromkeys(reader.name for reader in self.readers(operation)))
        yield Label(name, stored, kind, layer, operator, readers)

    def used(self, operation: mil.Operation) -> tuple[int, ...]:
        """Which operations read what ``operation`` gives, constexpr ones passed through."""
        uses = {index for value in operation.outputs for index in self.uses.get(value.name, ())}
        return tuple(sorted(uses)[:_READERS])

    def readers(self, operation: mil.Operation) -> list[mil.Operation]:
        """The operations that read what ``operation`` gives, if that is a constant; else itself."""
        if operation.type.startswith(("const", "constexpr_")):
            return [self.operations[index] for index in self.used(operation)]
        return [operation]

    def owner(self, operation: mil.Operation) -> tuple[str, str]:
        """The layer that an operation's bytes belong to, and its type."""
        first = next(iter(self.readers(operation)), operation)
        return first.name, first.type

    def sections(self, file: str, operations: tuple[mil.Operation, ...] | None = None) -> Iterator[Section]:
        """The bytes of ``file`` that describe ``operations`` (all of them by default), with the constants in them."""
        for operation in self.function.operations if operations is None else operations:
            inner = [label.section for label in self.labels.get(id(operation), ()) if label.stored.record is None]
            for block in operation.blocks:
                inner += self.sections(file, block)
            layer, operator = self.owner(operation)
            outer = Section(file, operation.start, operation.end, Kind.GRAPH, layer, operator=operator)
            yield from around(inner, outer)


def _nested(operations: tuple[mil.Operation, ...]) -> Iterator[mil.Operation]:
    for operation in operations:
        yield operation
        for block in operation.blocks:
            yield from _nested(block)


def _bindings(operation: mil.Operation) -> Iterator[tuple[str, str | mil.Constant]]:
    for parameter, given in operation.inputs.items():
        for argument in given:
            yield parameter, argument
