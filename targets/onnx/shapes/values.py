"""The small integers that shapes depend on, read from a graph's constants."""

from __future__ import annotations

import struct
from math import prod

from targets.onnx.proto import Message

_STORED = {6: ("i", "int32_data"), 7: ("q", "int64_data")}  # TensorProto.DataType -> its raw form, its own field
_OVERRIDABLE = 4  # the IR version since which an initializer that is also an input is only a default
_MOST = 1 << 10  # elements of a constant that may be a shape


class Values:
    """Constants of a graph by name: initializers and ``Constant`` nodes."""

    def __init__(self, model: Message, graph: Message) -> None:
        defaults = {value.text("name") for value in graph.messages("input")}
        if model.integer("ir_version") < _OVERRIDABLE:
            defaults = set()
        named = ((tensor.text("name"), tensor) for tensor in graph.messages("initializer"))
        self.tensors = {name: tensor for name, tensor in named if name not in defaults}
        self.lists: dict[str, tuple[int, ...]] = {}
        for node in graph.messages("node"):
            if node.text("op_type") == "Constant":
                for attribute in node.messages("attribute"):
                    self._literal(node.text("output"), attribute)

    def _literal(self, name: str, attribute: Message) -> None:
        self.tensors.update((name, tensor) for tensor in attribute.messages("t"))
        if attribute.text("name") == "value_int":
            self.lists[name] = (attribute.integer("i"),)
        elif attribute.text("name") == "value_ints":
            self.lists[name] = attribute.integers("ints")

    def integers(self, name: str) -> tuple[int, ...] | None:
        """The elements of a constant of a few int32 or int64; None for anything else."""
        if name in self.lists:
            return self.lists[name]
        tensor = self.tensors.get(name)
        if tensor is None or tensor.integer("data_type") not in _STORED:
            return None
        letter, field = _STORED[tensor.integer("data_type")]
        count = prod(tensor.integers("dims"))
        raw = next((item.field for item in tensor.items if item.name == "raw_data"), None)
        if raw is None:
            elements = tensor.integers(field) if 0 <= count <= _MOST else ()
        elif 0 <= count <= _MOST and raw.end - raw.value == count * struct.calcsize(f"<{letter}"):
            elements = struct.unpack_from(f"<{count}{letter}", tensor.data, raw.value)
        else:
            return None
        return elements if len(elements) == count else None
