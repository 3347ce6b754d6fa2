"""The types and shapes that a graph declares, and those that onnx infers."""

from __future__ import annotations

from collections.abc import Iterator

from targets.onnx.constants import STORES
from targets.onnx.proto import Item, Message, parse, possible
from targets.onnx.shapes.apart import inferred
from targets.onnx.shapes.view import FLOAT, INT64, Value

_LITERALS = {"value_float": FLOAT, "value_int": INT64}
_LARGE = 1 << 10  # bytes of a constant that no shape depends on


def declared(graph: Message) -> dict[str, Value]:
    """Values, and constants, whose shape is written down and fixed."""
    found = {**dict(_constants(graph)), **dict(_typed(graph))}
    return {name: value for name, value in found.items() if possible(value[1])}


def by_onnx(model: Message, graph: Message) -> dict[str, Value]:
    """What onnx infers; it runs only for files of which our own inference leaves something open."""
    message = parse(inferred(_without_weights(model, graph)), model.where)
    told = next(message.messages("graph"), None)
    return {name: value for name, value in _typed(told) if possible(value[1])} if told else {}


def _typed(graph: Message) -> Iterator[tuple[str, Value]]:
    for field in ("value_info", "output", "input"):
        for value in graph.messages(field):
            tensor = next((t for kind in value.messages("type") for t in kind.messages("tensor_type")), None)
            shape = next(tensor.messages("shape"), None) if tensor else None
            if tensor is None or shape is None:
                continue
            sizes = [dimension.integers("dim_value")[-1:] for dimension in shape.messages("dim")]
            if all(sizes):
                yield value.text("name"), (tensor.integer("elem_type"), tuple(size[0] for size in sizes))


def _constants(graph: Message) -> Iterator[tuple[str, Value]]:
    for tensor in graph.messages("initializer"):
        yield tensor.text("name"), (tensor.integer("data_type"), tensor.integers("dims"))
    for node in graph.messages("node"):
        if node.text("op_type") == "Constant":
            for attribute in node.messages("attribute"):
                for tensor in attribute.messages("t"):
                    yield node.text("output"), (tensor.integer("data_type"), tensor.integers("dims"))
                if attribute.text("name") in _LITERALS:
                    yield node.text("output"), (_LITERALS[attribute.text("name")], ())
                elif attribute.text("name") == "value_ints":
                    yield node.text("output"), (INT64, (len(attribute.integers("ints")),))


def _without_weights(model: Message, graph: Message) -> bytes:
    """The file without the elements of its large initializers, which onnx would only copy."""
    data = model.data
    main = next(item.field for item in model.items if item.message is graph)
    inside = b"".join(_lean(item, data) for item in graph.items)
    return data[: main.start] + _field(main.number, inside) + data[main.end :]


def _lean(item: Item, data: bytes) -> bytes:
    field, tensor = item.field, item.message
    if item.name != "initializer" or tensor is None or field.integer < _LARGE:
        return data[field.start : field.end]
    kept = (part.field for part in tensor.items if part.name not in STORES)
    return _field(field.number, b"".join(data[part.start : part.end] for part in kept))


def _field(number: int, content: bytes) -> bytes:
    """A field of the wire type BYTES; ``number`` below 16."""
    length, encoded = len(content), bytearray((number << 3 | 2,))
    while length > 0x7F:
        encoded.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes((*encoded, length)) + content
