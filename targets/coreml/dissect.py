"""What the bytes of an ``.mlpackage`` are for, read without coremltools and without trust."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from targets.base import Dissection, Files, Kind, Lifetime, Section
from targets.coreml import mil
from targets.coreml.storage import RECORD, record, require
from targets.sections import cover

_PARAMETERS_OF_QUANTIZATION = ("scale", "zero_point", "offset", "lut", "palette_lut")
_SETTINGS = ("alpha", "beta", "epsilon", "constant_val", "name")
_NUMBERS = ("float", "bfloat", "int8", "uint8", "int4", "uint1", "uint2", "uint3", "uint4", "uint6")
_MOVES = ("reshape", "transpose", "slice_by_size", "slice_by_index", "gather", "tile")
_FUSES_RELU = ("conv", "linear", "add")
_RELUS = ("relu", "relu6")


def dissect(files: Files) -> Dissection:
    """Label every byte of a package's files, and read how long its activations live.

    Constants of constexpr operations are weights in their stored form. Activations are counted as an integer runtime
    keeps them: a value that is only dequantised for an operation whose result is quantised again exists as int8
    alone, and so does that result, also with a ``relu`` or ``relu6`` between; what only moves dequantised elements
    moves int8 there. A ``dequantize`` that feeds anything else, and a ``quantize`` of anything else, is a step of its
    own with a float tensor on its other side.

    Raises:
        UserError: the files are not a well-formed package.
    """
    package = mil.read(files)
    labels = _label(package)
    sections: list[Section] = []
    for path, data in sorted(files.items()):
        if path == package.manifest:
            spans = [Section(path, 0, len(data), Kind.METADATA)]
        elif path == package.model:
            spans = _program_spans(package, labels, len(data))
        elif any(constant.file == path for constant in labels) or path.endswith("/weight.bin"):
            spans = list(_weight_spans(path, data, labels))
        else:
            spans = []
        sections.extend(cover(path, data, spans))
    lifetimes, unknown = _Steps(package.functions["main"]).lifetimes()
    others = (f"the activations of function '{name}'" for name in sorted(package.functions) if name != "main")
    return Dissection(
        sizes={path: len(data) for path, data in sorted(files.items())},
        sections=tuple(sections),
        lifetimes=lifetimes,
        metadata=package.metadata,
        unknown=(*unknown, *others),
    )


@dataclass(frozen=True)
class _Located:
    """A constant's place and what it is."""

    file: str
    start: int
    end: int
    record: int | None
    kind: Kind
    layer: str
    dtype: str


def _label(package: mil.Package) -> tuple[_Located, ...]:
    """Every constant that is a weight or a quantisation parameter, named after the operation that uses it."""
    found: dict[tuple[str, int, int], _Located] = {}
    for function in package.functions.values():
        constants: dict[str, mil.Constant] = {}
        owners: dict[str, str] = {}  # a weight's value -> the layer that uses it
        for operation in _nested(function.operations):
            layer = operation.outputs[0].name if operation.outputs else operation.type
            for parameter, argument in _bindings(operation):
                if isinstance(argument, str):
                    owners.setdefault(argument, layer)
                    if argument in constants:
                        _claim(found, constants[argument], parameter, layer)
                elif not operation.type.startswith("constexpr_"):
                    _claim(found, argument, parameter, layer)
            value = operation.attributes.get("val")
            if operation.type == "const" and value is not None:
                constants[layer] = value
        for operation in _nested(function.operations):
            layer = operation.outputs[0].name if operation.outputs else operation.type
            for parameter, constant in (*operation.attributes.items(), *_bindings(operation)):
                if isinstance(constant, mil.Constant):  # a constexpr's, or what stands in place
                    _claim(found, constant, parameter, owners.get(layer, layer))
    return tuple(found.values())


def _bindings(operation: mil.Operation) -> Iterator[tuple[str, str | mil.Constant]]:
    for parameter, given in operation.inputs.items():
        for argument in given:
            yield parameter, argument


def _claim(found: dict[tuple[str, int, int], _Located], constant: mil.Constant, parameter: str, layer: str) -> None:
    """Label ``constant``, unless an earlier use did or it is a setting of the graph."""
    dtype = constant.type.dtype
    if parameter in _PARAMETERS_OF_QUANTIZATION:
        kind = Kind.QUANTIZATION
    elif constant.record is not None or (dtype.startswith(_NUMBERS) and parameter not in _SETTINGS):
        kind = Kind.WEIGHTS
    else:
        return
    key = (constant.file, constant.start, constant.end)
    located = _Located(*key, constant.record, kind, layer, dtype)
    found.setdefault(key, located)


def _nested(operations: tuple[mil.Operation, ...]) -> Iterator[mil.Operation]:
    for operation in operations:
        yield operation
        for block in operation.blocks:
            yield from _nested(block)


def _program_spans(package: mil.Package, labels: tuple[_Located, ...], size: int) -> list[Section]:
    """Constants and metadata, and the graph around them."""
    path = package.model
    marked = [Section(path, *span, Kind.METADATA) for span in package.asides]
    marked += [
        Section(path, item.start, item.end, item.kind, item.layer, item.dtype) for item in labels if item.file == path
    ]
    marked.sort(key=lambda span: (span.start, span.end))
    spans, position = list(marked), 0
    for span in marked:
        if span.start > position:
            spans.append(Section(path, position, span.start, Kind.GRAPH))
        position = max(position, span.end)
    spans.append(Section(path, position, size, Kind.GRAPH))
    return spans


def _weight_spans(path: str, data: bytes, labels: tuple[_Located, ...]) -> Iterator[Section]:
    """Header, descriptions and data of a weight file; records that nothing refers to are weights too."""
    require(len(data) >= RECORD, path, "it is too short for a weight file")
    yield Section(path, 0, RECORD, Kind.GRAPH)
    position = RECORD
    used = {item.record: item for item in labels if item.file == path and item.record is not None}
    for _ in range(int.from_bytes(data[:4], "little")):
        if position not in used and position + RECORD > len(data):
            break
        dtype, start, end = record(data, position, path)
        item = used.pop(position, None)
        yield Section(path, position, position + RECORD, Kind.GRAPH)
        yield Section(path, start, end, item.kind if item else Kind.WEIGHTS, item.layer if item else "unused", dtype)
        position = -(-end // RECORD) * RECORD
    for offset, item in used.items():  # what a miscounting header left out
        yield Section(path, offset, offset + RECORD, Kind.GRAPH)
        yield Section(path, item.start, item.end, item.kind, item.layer, item.dtype)


@dataclass
class _Alive:
    size: int | None
    first: int
    last: int


@dataclass
class _Steps:
    """Counts the kernels of a function as an integer runtime would run them."""

    function: mil.Function
    alive: dict[str, _Alive] = field(default_factory=dict)
    step: int = 0

    def __post_init__(self) -> None:
        self.operations = [o for o in self.function.operations if not o.type.startswith(("const", "constexpr_"))]
        self.types = {value.name: value.type for value in self.function.inputs}
        self.consumers: dict[str, list[mil.Operation]] = {}
        for operation in self.operations:
            self.types.update({value.name: value.type for value in operation.outputs})
            for name in _arguments(operation):
                self.consumers.setdefault(name, []).append(operation)
        self.dequantized: dict[str, str] = {}  # output of a dequantize -> its int8 value
        self.absorbed: set[int] = set()  # operations that run as part of another

    def lifetimes(self) -> tuple[tuple[Lifetime, ...], tuple[str, ...]]:
        """Lifetimes, and the names of activations whose size the program leaves open."""
        for value in self.function.inputs:
            self.touch(value.name)
        for operation in self.operations:
            if id(operation) not in self.absorbed:
                self.visit(operation)
        outputs = [name for name in self.function.outputs if name in self.types]  # the others are constants
        for name in outputs:
            self.as_float(name)
            self.touch(name)
        last = max(self.step - 1, 0)
        for name in (*(value.name for value in self.function.inputs), *outputs):
            self.alive[name].last = last  # nothing overwrites what the caller gave or is to get
        known = [
            Lifetime(name, a.size, a.first, min(a.last, last)) for name, a in self.alive.items() if a.size is not None
        ]
        unknown = [f"the size of activation '{name}'" for name, a in self.alive.items() if a.size is None]
        return tuple(known), tuple(unknown)

    def visit(self, operation: mil.Operation) -> None:
        names = [name for name in _arguments(operation) if name in self.types]
        outputs = [value.name for value in operation.outputs]
        if operation.type == "dequantize" and len(names) == len(outputs) == 1:
            self.dequantized[outputs[0]] = names[0]
            return
        if operation.type in _MOVES and len(names) == len(outputs) == 1 and names[0] in self.dequantized:
            self.move(outputs[0], names[0])
            return
        last = self.leaves(operation)
        quantize = self.only_consumer(last, "quantize") if last else None
        if quantize is not None and names and all(name in self.dequantized for name in names):
            self.absorbed.add(id(quantize))
            names = [self.dequantized[name] for name in names]
            outputs = [value.name for value in quantize.outputs]
        else:
            for name in names:
                self.as_float(name)
            outputs = [last] if last else outputs
        for name in (*names, *outputs):
            self.touch(name)
        self.step += 1

    def move(self, output: str, source: str) -> None:
        """A kernel that moves integers; its result is dequantised where it is used."""
        before, integer = self.dequantized[source], f"{output} (moved)"
        self.types[integer] = mil.Type(self.types[before].dtype, self.types[output].shape)
        self.dequantized[output] = integer
        self.touch(before)
        self.touch(integer)
        self.step += 1

    def leaves(self, operation: mil.Operation) -> str:
        """The value that leaves an operation with one result, past a relu that it can absorb."""
        if len(operation.outputs) != 1:
            return ""
        name = operation.outputs[0].name
        relu = self.only_consumer(name, *_RELUS) if operation.type in _FUSES_RELU else None
        if relu is None or len(relu.outputs) != 1:
            return name
        self.absorbed.add(id(relu))
        return relu.outputs[0].name

    def only_consumer(self, name: str, *kinds: str) -> mil.Operation | None:
        consumers = self.consumers.get(name, [])
        alone = len(consumers) == 1 and name not in self.function.outputs
        return consumers[0] if alone and consumers[0].type in kinds else None

    def as_float(self, name: str) -> None:
        """Dequantise ``name`` in a step of its own, once, if it exists only as integers."""
        if name in self.dequantized and name not in self.alive:
            self.touch(self.dequantized[name])
            self.touch(name)
            self.step += 1

    def touch(self, name: str) -> None:
        alive = self.alive.setdefault(name, _Alive(self.types[name].size, self.step, self.step))
        alive.last = self.step


def _arguments(operation: mil.Operation) -> list[str]:
    """The names of values that an operation reads, nested blocks included."""
    names = [name for given in operation.inputs.values() for name in given if isinstance(name, str)]
    return names + [name for block in operation.blocks for inner in block for name in _arguments(inner)]
