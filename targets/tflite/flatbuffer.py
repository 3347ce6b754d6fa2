"""FlatBuffers as positions: a walker that checks every offset and needs no generated code.

A reader of values may trust its file; an auditor may not, and it needs to know where everything lies. This is the
binary format alone (source: the FlatBuffers internals guide); what the slots mean comes from ``tables.py``.

References point forward only, so nothing is cyclic; the schema bounds the depth; and each reference takes four
bytes of its own, which bounds the work: a file that makes more of them than it has bytes is corrupt. So is one whose
vtables together are longer than it, or whose strings are, each as often as it is read, many times longer.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, repeat

from targets.tflite.tables import TABLES, UNIONS, WIDTHS
from targets.wire import malformed

_REPEATED, _LEAST = 16, 1 << 16  # how often strings are read, of a file of as many bytes at least
_FORMATS = {"u8": "B", "i8": "b", "u16": "H", "i32": "i", "u32": "I", "f32": "f", "i64": "q", "u64": "Q"}


@dataclass(frozen=True, eq=False)
class Vector:
    """A string or a vector of scalars: ``[start, end)`` with its length in front and a string's zero behind.

    Attributes:
        element: the scalar type of its elements; ``u8`` for a string.
        data: where the first element lies.
        count: number of elements.
    """

    element: str
    start: int
    data: int
    count: int
    end: int

    @property
    def data_end(self) -> int:
        """One past the last element."""
        return self.data + self.count * WIDTHS[self.element]


@dataclass(frozen=True, eq=False)
class References:
    """A vector of tables: ``[start, end)`` holds the references, ``records`` are what they point to."""

    start: int
    end: int
    records: tuple[Record, ...]


@dataclass(frozen=True, eq=False)
class Record:
    """A table: its inline part, its vtable, and the fields that are present.

    Attributes:
        table: its type.
        start: where it begins.
        end: one past the last byte that a field is known to take.
        stated: one past its last byte as the vtable says. Some writers share a vtable among tables of other lengths, so
            that this may be too far, or too near.
        vtable: ``(start, end)`` of it.
        fields: by name.
    """

    table: str
    start: int
    end: int
    stated: int
    vtable: tuple[int, int]
    fields: Mapping[str, Value]

    def integer(self, name: str) -> int:
        """A scalar field; 0 when absent."""
        value = self.fields.get(name, 0)
        return int(value) if isinstance(value, int | float) else 0

    def vector(self, name: str) -> Vector | None:
        """A string or a vector of scalars."""
        value = self.fields.get(name)
        return value if isinstance(value, Vector) else None

    def records(self, name: str) -> tuple[Record, ...]:
        """The tables of a vector; empty when absent."""
        value = self.fields.get(name)
        return value.records if isinstance(value, References) else ()


Value = int | float | Vector | References | Record


class FlatBuffer:
    """One file; :meth:`root` parses it, :meth:`values` and :meth:`text` read what a vector holds."""

    def __init__(self, data: bytes, where: str) -> None:
        self.data, self.where = data, where
        self.references = self.vtables = self.texts = 0  # how many; bytes of them; bytes of what was read
        self.fields: dict[tuple[str, int], tuple[int, tuple[int, ...]]] = {}  # by type and vtable: see _layout
        self.known: dict[tuple[str, int], Value] = {}  # tables and vectors may be shared

    def root(self, table: str) -> Record:
        """The root table.

        Raises:
            UserError: an offset leads outside the file or backwards, or a length does not fit.
        """
        return self.table(table, self.follow(0))

    def values(self, vector: Vector | None) -> tuple[int, ...]:
        """The elements of a vector of integers; none when absent."""
        if vector is None:
            return ()
        return struct.unpack_from(f"<{vector.count}{_FORMATS[vector.element]}", self.data, vector.data)

    def text(self, vector: Vector | None) -> str:
        """A string, with a replacement character where it is not UTF-8; empty when absent."""
        if vector is None:
            return ""
        self.texts += vector.count
        if self.texts > _REPEATED * (len(self.data) + _LEAST):
            raise malformed(self.where, vector.start)
        return self.data[vector.data : vector.data_end].decode("utf-8", "replace")

    def table(self, table: str, start: int) -> Record:
        """The table of type ``table`` at ``start``."""
        found = self.known.get((table, start))
        if isinstance(found, Record):
            return found
        vtable = start - self.scalar("i32", start)
        length, size = self.scalar("u16", vtable), self.scalar("u16", vtable + 2)
        if length < 4 or length % 2 or size < 4:
            raise malformed(self.where, vtable if vtable >= 0 else start)
        self.within(vtable, vtable + length)
        extent, entries = self._layout(table, vtable, length)
        end = start + extent
        self.within(start, end)
        stated = min(start + size, len(self.data))
        record = Record(table, start, end, stated, (vtable, vtable + length), dict(self.slots(table, start, entries)))
        self.known[table, start] = record
        return record

    def _layout(self, table: str, vtable: int, length: int) -> tuple[int, tuple[int, ...]]:
        """How many bytes a table with this vtable takes at least, and where the fields that we know lie in it."""
        if (table, vtable) not in self.fields:
            self.vtables += length
            if self.vtables > len(TABLES) * len(self.data):  # tables of several types may share one, no more
                raise malformed(self.where, vtable)
            entries = self.values(Vector("u16", vtable, vtable + 4, (length - 4) // 2, vtable + length))
            slots = _slots(table)
            widths = chain((WIDTHS.get(kind, 4) for _, kind in slots), repeat(1))  # of what is unknown: at least 1
            extent = max(4, 0, *(offset + width for offset, width in zip(entries, widths, strict=False) if offset))
            self.fields[table, vtable] = extent, entries[: len(slots)]
        return self.fields[table, vtable]

    def slots(self, table: str, start: int, entries: Sequence[int]) -> Iterator[tuple[str, Value]]:
        """The fields that a table holds, by name."""
        variant = 0  # of the union whose value comes next
        for offset, (name, kind) in zip(entries, _slots(table), strict=False):
            if offset == 0:
                variant = 0
                continue
            value = self.value(kind, start + offset, variant)
            variant = value if isinstance(value, int) else 0
            yield name, value

    def value(self, kind: str, position: int, variant: int) -> Value:
        """What lies at ``position``: a scalar itself, anything else by reference."""
        if kind in WIDTHS:
            return self.scalar(kind, position)
        target = self.follow(position)
        if kind == "string":
            return self.scalars("u8", target, terminator=1)
        if kind.startswith("<"):
            union = UNIONS[kind[1:-1]]
            return self.table(union.get(variant, ""), target)
        element = kind[1:-1]
        if not kind.startswith("["):
            return self.table(kind, target)
        return self.scalars(element, target) if element in WIDTHS else self.tables(element, target)

    def scalars(self, element: str, start: int, terminator: int = 0) -> Vector:
        """The vector of scalars at ``start``."""
        count = self.scalar("u32", start)
        end = start + 4 + count * WIDTHS[element] + terminator
        self.within(start, end)
        return Vector(element, start, start + 4, count, end)

    def tables(self, table: str, start: int) -> References:
        """The vector of references at ``start``, each followed."""
        found = self.known.get((f"[{table}]", start))
        if isinstance(found, References):
            return found
        vector = self.scalars("u32", start)
        places = range(vector.data, vector.data_end, 4)
        result = References(start, vector.end, tuple(self.table(table, self.follow(place)) for place in places))
        self.known[f"[{table}]", start] = result
        return result

    def follow(self, position: int) -> int:
        """Where the reference at ``position`` points: always ahead."""
        self.references += 1
        offset = self.scalar("u32", position)
        if offset < 4 or self.references > len(self.data) // 4:
            raise malformed(self.where, position)
        return position + offset

    def scalar(self, kind: str, position: int) -> int:
        """The number at ``position`` (a float's are not needed, and come truncated)."""
        self.within(position, position + WIDTHS[kind])
        value = struct.unpack_from(f"<{_FORMATS[kind]}", self.data, position)[0]
        return value if isinstance(value, int) else 0

    def within(self, start: int, end: int) -> None:
        """Raise when ``[start, end)`` is not inside the file."""
        if start < 0 or end > len(self.data):
            raise malformed(self.where, max(start, 0))


@cache
def _slots(table: str) -> tuple[tuple[str, str], ...]:
    """The slots of a table as (name, type); none for a table of scalars."""
    return tuple((name, kind) for name, _, kind in (slot.partition(":") for slot in TABLES.get(table, ())))
