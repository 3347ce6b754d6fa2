"""Protocol-buffer bytes as labelled ranges.

The auditor has to say what every byte of an ``.onnx`` or ``.mlmodel`` file is for, so it needs positions,
which a parsed message no longer has. This is the wire format and nothing else; source: the protobuf encoding guide.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from compile.errors import UserError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_FIXED = {FIXED64: 8, FIXED32: 4}


class Field(NamedTuple):  # a file has hundreds of thousands, and dataclasses take five times as long to make
    """One field of a message.

    Attributes:
        number: the field number.
        wire: the wire type.
        start: where its tag begins.
        value: where its value begins, after tag and length.
        end: one past its last byte.
        integer: the value of a varint or fixed field (little endian, unsigned); the length of a BYTES field.
    """

    number: int
    wire: int
    start: int
    value: int
    end: int
    integer: int


def fields(data: bytes, start: int, end: int, where: str) -> Iterator[Field]:
    """The fields of the message in ``data[start:end]``, in order.

    Raises:
        UserError: the bytes are not a well-formed message; ``where`` names the file.
    """
    position = start
    while position < end:
        tag, value = varint(data, position, end, where)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise malformed(where, position)
        if wire == VARINT:
            integer, stop = varint(data, value, end, where)
        elif wire == BYTES:
            integer, value = varint(data, value, end, where)
            stop = value + integer
        elif wire in _FIXED:
            stop = value + _FIXED[wire]
            integer = int.from_bytes(data[value:stop], "little")
        else:
            raise malformed(where, position)
        if stop > end:
            raise malformed(where, position)
        yield Field(number, wire, position, value, stop, integer)
        position = stop


def varint(data: bytes, position: int, end: int, where: str) -> tuple[int, int]:
    """The base-128 integer at ``position`` and the position after it."""
    result = 0
    for shift in range(0, 70, 7):
        if position >= end:
            break
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & 0xFFFF_FFFF_FFFF_FFFF, position
    raise malformed(where, position)


def signed(integer: int) -> int:
    """A varint read as ``int64``."""
    return integer - (1 << 64) if integer >> 63 else integer


def malformed(where: str, position: int) -> UserError:
    """The error for bytes that are not what they claim to be."""
    fix = "the file is truncated or not of this format"
    return UserError(f"malformed at byte {position}", where=where, fix=fix)
