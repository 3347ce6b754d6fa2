"""Read a Core ML ``neuralNetwork``, the form before ML programs: layers with their weights among them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from targets.base import Constant, Kind, Section
from targets.coreml.layers import INSIDE, LAYER_FIELDS, LAYERS, NETWORK_FIELDS
from targets.coreml.message import Message
from targets.coreml.storage import MAX_NAME, MAX_STEPS, require
from targets.sections import around
from targets.wire import BYTES, FIXED32, Field

_MAX_DEPTH = 16  # of networks in branches and loops, and of messages in layers
# Fields of WeightParams and of what lies in it.
_FLOATS, _FLOAT16, _RAW, _INT8, _QUANTIZATION = 1, 2, 30, 31, 40
_BITS, _LINEAR, _TABLE = 1, 101, 102
_SCALE, _BIAS = 1, 2


@dataclass(frozen=True)
class Network:
    """A network: its bytes but for those without a layer, and its constants."""

    sections: tuple[Section, ...]
    constants: tuple[Constant, ...]


def network(body: Message) -> Network:
    """Label the bytes of a NeuralNetwork message, or of one that begins like it.

    Raises:
        UserError: it is not well-formed.
    """
    reader = _Reader(body)
    sections = tuple(reader.network(body, 0))
    return Network(sections, tuple(reader.constants))


class _Reader:
    """Labels layers, and collects their constants."""

    def __init__(self, body: Message) -> None:
        self.file, self.data = body.where, body.data
        self.constants: list[Constant] = []
        self.layers = 0

    def network(self, body: Message, depth: int) -> Iterator[Section]:
        require(depth <= _MAX_DEPTH, self.file, "networks are nested too deeply")
        yield from body.unknown(NETWORK_FIELDS)
        for preprocessing in body.messages(2):
            for image in preprocessing.messages(11):
                yield from _Weights(self, "preprocessing", "meanImage").numbers(image, 1, "meanImage", Kind.WEIGHTS)
        for field in body.all(1):
            self.layers += 1
            require(self.layers <= MAX_STEPS, self.file, f"it has more than {MAX_STEPS:,} layers")
            layer = Message(self.data, field.value, field.end, self.file)
            kind = next((number for number in layer.fields if number in LAYERS), 0)
            inner = list(layer.unknown((*LAYER_FIELDS, kind)))
            name, operator = layer.text(1), LAYERS.get(kind, "")
            require(len(name) <= MAX_NAME, self.file, "the name of a layer is too long")
            for parameters in layer.messages(kind):
                inner += self.inside(operator, parameters, _Weights(self, name, operator), "", depth + 1)
            yield from around(inner, Section(self.file, field.start, field.end, Kind.GRAPH, name, operator=operator))

    def inside(self, kind: str, message: Message, weights: _Weights, path: str, depth: int) -> Iterator[Section]:
        """The weights and networks in a message."""
        for number, entry in INSIDE.get(kind, {}).items():
            name, _, inner = entry.partition(":")
            several = len(message.fields.get(number, ())) > 1
            for index, found in enumerate(message.messages(number)):
                own = f"{path}{name}{index if several else ''}"
                if not inner:
                    yield from weights.read(found, own)
                elif inner == "NeuralNetwork":
                    yield from self.network(found, depth)
                else:
                    yield from self.inside(inner, found, weights, f"{own}.", depth)


@dataclass(frozen=True)
class _Weights:
    """Labels the weights of one layer."""

    reader: _Reader
    layer: str
    operator: str

    def read(self, message: Message, name: str) -> Iterator[Section]:
        """A WeightParams message: elements in one of four forms, and how to read them if they are quantised."""
        quantization = message.message(_QUANTIZATION)
        bits = quantization.integer(_BITS) if quantization else 8
        require(1 <= bits <= 8, message.where, f"weights of layer '{self.layer}' are said to have {bits} bits")
        for number, dtype, size in (
            (_FLOATS, "float32", 32),
            (_FLOAT16, "float16", 16),
            (_RAW, f"uint{bits}", bits),
            (_INT8, "int8", 8),
        ):
            yield from self.numbers(message, number, name, Kind.WEIGHTS, dtype, size)
        for linear in quantization.messages(_LINEAR) if quantization else ():
            yield from self.numbers(linear, _SCALE, f"{name}.scale", Kind.QUANTIZATION)
            yield from self.numbers(linear, _BIAS, f"{name}.bias", Kind.QUANTIZATION)
        for table in quantization.messages(_TABLE) if quantization else ():
            yield from self.numbers(table, 1, f"{name}.table", Kind.QUANTIZATION)

    def numbers(
        self, message: Message, number: int, name: str, kind: Kind, dtype: str = "float32", bits: int = 32
    ) -> Iterator[Section]:
        """The elements in a field: bytes or packed floats, or floats one by one, with a tag before each."""
        fields = message.fields.get(number, [])
        allowed = (BYTES, FIXED32) if dtype == "float32" else (BYTES,)
        require(
            all(field.wire in allowed for field in fields), message.where, f"'{name}' of '{self.layer}' is no array"
        )
        size = sum(field.end - field.value for field in fields)
        if not size:
            return
        require(size * 8 % bits < 8, message.where, f"'{name}' of layer '{self.layer}' ends within a number")
        places = tuple((message.where, field.value, field.end) for field in fields)
        shape = (size * 8 // bits,)
        self.reader.constants.append(Constant(f"{self.layer}.{name}", kind, dtype, shape, places, (self.layer,)))
        for run in _runs(fields):
            start, end = run[0].value, run[-1].end
            stored = sum(field.end - field.value for field in run)
            resident = stored if stored != end - start else None
            yield Section(message.where, start, end, kind, self.layer, dtype, resident, self.operator)


def _runs(fields: list[Field]) -> Iterator[list[Field]]:
    """Fields that follow upon each other."""
    run: list[Field] = []
    for field in fields:
        if run and run[-1].end != field.start:
            yield run
            run = []
        run.append(field)
    yield run
