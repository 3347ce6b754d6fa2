"""What every byte of an ONNX model is for, and which constants it stores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from targets.base import Constant, Files, Kind, Section
from targets.onnx.constants import LISTS, LITERALS, STORES, VARINTS, Place, amount, complete, described
from targets.onnx.proto import MODEL_NOTES, NOTES, Item, Message
from targets.onnx.readers import Readers, layer_in

_LEARNED = "ai.onnx.ml"  # the domain whose operators keep what they learned in attributes


@dataclass(frozen=True)
class _Owner:
    """What the bytes of a message belong to.

    Attributes:
        layer: a node, a value or a constant by name.
        operator: of the node, or that the constant is for.
        graph: that holds it.
        kind: of the constants within.
        readers: of them.
        literals: fields of attributes that are constants.
        resident: bytes that the constant takes once loaded; None: as many as its elements.
    """

    layer: str
    operator: str
    graph: Message
    kind: Kind = Kind.WEIGHTS
    readers: tuple[str, ...] = ()
    literals: frozenset[str] = frozenset()
    resident: int | None = None


class Labels:
    """Labelled spans of everything in a model, and its constants.

    Attributes:
        sections: in the order of the file; those in other files among them.
        constants: in the same order, each by a name of its own.
        absent: names of the constants that the model describes and does not hold.
    """

    def __init__(self, model: Message, files: Files, resident: Mapping[str, int]) -> None:
        self.files, self.readers, self.resident = files, Readers(model), resident
        self.main = next(model.messages("graph"))
        self.constants: list[Constant] = []
        self.absent: list[str] = []
        self._names: dict[str, int] = {}
        self._owners: dict[tuple[int, str], _Owner] = {}  # what a name gives a second time, nobody reads
        self.sections = tuple(self._message(model, _Owner("", "", model)))

    def _message(self, message: Message, owner: _Owner) -> Iterator[Section]:
        """A message's fields; a message inside gives its tag and length, then its own fields."""
        if message.kind == "TensorProto":
            yield from self._tensor(message, owner)
            return
        if message.kind == "AttributeProto" and owner.literals:
            yield from self._attribute(message, owner)
            return
        if message.kind in ("GraphProto", "FunctionProto"):
            owner = replace(owner, graph=message)
        nodes = 0
        for item in message.items:
            yield from self._item(message, item, self._owner(item, nodes, owner))
            nodes += item.name == "node"

    def _item(self, message: Message, item: Item, owner: _Owner) -> Iterator[Section]:
        place = item.field
        if item.name in NOTES or (message.kind == "ModelProto" and item.name in MODEL_NOTES):
            yield _section(message, place.start, place.end, Kind.METADATA, owner)
        elif item.message is not None:
            yield _section(message, place.start, place.value, Kind.GRAPH, owner)
            yield from self._message(item.message, owner)
        else:
            yield _section(message, place.start, place.end, Kind.GRAPH if item.name else Kind.UNMAPPED, owner)

    def _owner(self, item: Item, number: int, owner: _Owner) -> _Owner:
        """Whom a field belongs to: the node, value or constant that it describes, or whoever owns the message."""
        inner = item.message
        if inner is None:
            return owner
        if item.name == "initializer":
            return self._constant(owner, inner.text("name"))
        if item.name == "sparse_initializer":
            return self._constant(owner, next((values.text("name") for values in inner.messages("values")), ""))
        layer, operator = layer_in(item, number), inner.text("op_type")
        if operator == "Constant":
            return replace(self._constant(owner, layer), literals=frozenset(LITERALS))
        if not layer:
            return owner
        literals = LISTS if inner.text("domain") == _LEARNED else frozenset()
        return _Owner(layer, operator, owner.graph, readers=(layer,), literals=literals)

    def _constant(self, owner: _Owner, name: str) -> _Owner:
        key = (id(owner.graph), name)
        if key in self._owners:
            return replace(self._owners[key], readers=())
        self._owners[key] = self._new(owner, name)
        return self._owners[key]

    def _new(self, owner: _Owner, name: str) -> _Owner:
        readers = self.readers.of(owner.graph, name)
        kind = Kind.QUANTIZATION if any(reader.parameter for reader in readers) else Kind.WEIGHTS
        purpose = self.readers.purpose(owner.graph, name)
        resident = self.resident.get(name) if owner.graph is self.main else None
        names = tuple(dict.fromkeys(reader.layer for reader in readers))
        return _Owner(name, purpose, owner.graph, kind, names, resident=resident)

    def _tensor(self, tensor: Message, owner: _Owner) -> Iterator[Section]:
        """A constant: its elements, wherever they are, and its description."""
        told = described(tensor, owner.layer, self.files)
        held: list[Item] = []
        for item in tensor.items:
            if item.name in STORES and told.outside is None:
                held.append(item)
                yield from self._elements(tensor, item, owner, told.dtype)
                owner = _rest(owner)
            else:
                yield from self._item(tensor, item, owner)
        for file, start, end in (*((told.outside,) if told.outside else ()), *told.prepacked):
            yield Section(file, start, end, owner.kind, owner.layer, told.dtype, owner.resident, owner.operator)
            owner = _rest(owner)
        if not complete(tensor, told, held, owner.layer):
            self.absent.append(owner.layer)
            return
        places = [(tensor.where, item.field.value, item.field.end) for item in held]
        packed = "varint" if any(item.name in VARINTS for item in held) else ""
        name = tensor.text("name") or owner.layer
        self._add(name, owner, told.dtype, told.shape, [told.outside] if told.outside else places, packed)

    def _attribute(self, attribute: Message, owner: _Owner) -> Iterator[Section]:
        """Constants in fields of an attribute: a Constant node's number, string or list."""
        held: dict[str, list[Item]] = {}
        for item in attribute.items:
            if item.name in owner.literals:
                held.setdefault(item.name, []).append(item)
                yield from self._elements(attribute, item, owner, LITERALS[item.name])
            else:
                yield from self._item(attribute, item, owner)
        for name, items in held.items():
            count = sum(amount(item, attribute.data, LITERALS[name])[0] for item in items)
            places = [(attribute.where, item.field.value, item.field.end) for item in items]
            packed = "varint" if name in VARINTS else ""
            self._add(owner.layer, owner, LITERALS[name], (count,) if name in LISTS else (), places, packed)

    def _elements(self, message: Message, item: Item, owner: _Owner, dtype: str) -> Iterator[Section]:
        start, value, end = item.field.start, item.field.value, item.field.end
        packed = item.name in VARINTS and owner.resident is None
        size = amount(item, message.data, dtype)[1] if packed else owner.resident
        yield _section(message, start, value, Kind.GRAPH, owner)
        yield replace(_section(message, value, end, owner.kind, owner), dtype=dtype, resident=size)

    def _add(
        self,
        name: str,
        owner: _Owner,
        dtype: str,
        shape: tuple[int, ...],
        places: Sequence[Place],
        packed: str,
    ) -> None:
        repeats = self._names.get(name, 0)
        self._names[name] = repeats + 1
        unique = f"{name} ({repeats + 1})" if repeats else name
        self.constants.append(Constant(unique, owner.kind, dtype, shape, tuple(places), owner.readers, packed))


def _rest(owner: _Owner) -> _Owner:
    """For the parts of a constant after the first, with which all that it takes was counted."""
    return owner if owner.resident is None else replace(owner, resident=0)


def _section(message: Message, start: int, end: int, kind: Kind, owner: _Owner) -> Section:
    return Section(message.where, start, end, kind, owner.layer, operator=owner.operator)
