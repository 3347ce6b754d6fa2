"""What a generated source offers: its inputs, outputs and states, as its first comment says them.

One line each, which :func:`render` writes and :func:`parse` reads:

    input "window" float [1, 7936] window
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from math import prod

from compile.errors import UserError
from targets.c.source import WIDTHS, quoted

_LINE = re.compile(
    r'^ \* (input|output|state) ("(?:[^"\\\n]|\\.)*") (float|int8_t) \[([\d, ]*)\] (\w+)'
    r'(?: -> ("(?:[^"\\\n]|\\.)*"))?$',
    re.M,
)
_MOST, _RANK = 2**31 - 1, 16


@dataclass(frozen=True)
class Port:
    """An input, an output, or a state, which is both.

    Attributes:
        kind: ``input``, ``output`` or ``state``.
        name: of the model's input or output.
        ctype: C type of its elements.
        shape: in ONNX's axis order; a state's in the order of its memory.
        identifier: of the parameter, or of the state's field.
        after: name of the output that a state leaves as; else empty.
    """

    kind: str
    name: str
    ctype: str
    shape: tuple[int, ...]
    identifier: str
    after: str = ""

    @property
    def elements(self) -> int:
        """How many it has."""
        return prod(self.shape)

    @property
    def size(self) -> int:
        """In bytes."""
        return self.elements * WIDTHS[self.ctype]


def render(ports: tuple[Port, ...]) -> list[str]:
    """The lines of a comment."""
    return [
        f" * {port.kind} {quoted(port.name)} {port.ctype} {list(port.shape)} {port.identifier}"
        + (f" -> {quoted(port.after)}" if port.after else "")
        for port in ports
    ]


def parse(comment: str, where: str) -> tuple[Port, ...]:
    """Read back :func:`render`.

    Raises:
        UserError: a name or a size is none.
    """
    ports = []
    for kind, name, ctype, shape, identifier, after in _LINE.findall(comment):
        try:
            sizes = tuple(int(size) for size in shape.split(",", _RANK) if size.strip())
            port = Port(kind, _text(name), ctype, sizes, identifier, _text(after) if after else "")
        except (ValueError, RecursionError) as error:
            raise UserError(f"its interface is garbled: {error}", where=where, fix="compile it again") from error
        if port.size > _MOST:
            raise UserError(f"'{port.name}' is declared to take more than 2 GB", where=where)
        ports.append(port)
    if not {port.kind for port in ports} >= {"input", "output"}:
        raise UserError("not a C source that phiz wrote: it names no inputs and outputs", where=where)
    return tuple(ports)


def _text(literal: str) -> str:
    return str(json.loads(literal.replace("\\?", "?")))
