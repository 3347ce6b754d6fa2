"""What a rule of shape inference sees of a node, and what several rules share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from targets.onnx.proto import Message
from targets.onnx.shapes.values import Values

Shape = tuple[int, ...]
Value = tuple[int, Shape]  # TensorProto.DataType and shape

FLOAT, UINT8, INT32, INT64, BOOL = 1, 2, 6, 7, 9


class Unknown(Exception):
    """A rule cannot tell."""


@dataclass(frozen=True)
class Node:
    """What a rule sees of a node; whatever is not there raises :class:`Unknown`."""

    message: Message
    inputs: tuple[str, ...]
    known: Mapping[str, Value]
    constants: Values
    opset: int

    def has(self, index: int) -> bool:
        """Whether an input is given, known or not."""
        return index < len(self.inputs) and self.inputs[index] != ""

    def value(self, index: int) -> Value:
        """Type and shape of an input."""
        if not self.has(index) or self.inputs[index] not in self.known:
            raise Unknown
        return self.known[self.inputs[index]]

    def type(self, index: int) -> int:
        """TensorProto.DataType of an input."""
        return self.value(index)[0]

    def shape(self, index: int) -> Shape:
        """Shape of an input."""
        return self.value(index)[1]

    def constant(self, index: int) -> Shape:
        """The integers of a constant input."""
        integers = self.constants.integers(self.inputs[index]) if self.has(index) else None
        if integers is None:
            raise Unknown
        return integers

    def attribute(self, name: str) -> Message | None:
        """An attribute; None when it is not given."""
        return next((found for found in self.message.messages("attribute") if found.text("name") == name), None)

    def integer(self, name: str, default: int) -> int:
        """An attribute that is one integer."""
        attribute = self.attribute(name)
        return default if attribute is None else attribute.integer("i")

    def text(self, name: str, default: str) -> str:
        """An attribute that is a string."""
        attribute = self.attribute(name)
        return default if attribute is None else attribute.text("s")

    def listed(self, name: str, index: int | None = None) -> Shape | None:
        """Integers in an attribute, or in an input since some opset; None when absent."""
        attribute = self.attribute(name)
        if attribute is not None:
            return attribute.integers("ints")
        return self.constant(index) if index is not None and self.has(index) else None


Rule = Callable[[Node], tuple[Value, ...]]
"""Types and shapes of a node's outputs, in order; those after the last one told are unknown."""


def broadcast(*shapes: Shape) -> Shape:
    """The shape of an elementwise result: numpy's rule."""
    rank = max(map(len, shapes))
    result = []
    for sizes in zip(*((1,) * (rank - len(shape)) + shape for shape in shapes), strict=True):
        proper = {size for size in sizes if size != 1}
        if len(proper) > 1:
            raise Unknown
        result.append(proper.pop() if proper else 1)
    return tuple(result)


def axis_of(axis: int, rank: int) -> int:
    """An axis counted from the front."""
    if not -rank <= axis < rank:
        raise Unknown
    return axis % rank
