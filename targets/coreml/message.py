"""One protocol-buffer message by field number, every access checked."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from targets.base import Kind, Section
from targets.wire import BYTES, VARINT, Field, fields, malformed


class Message:
    """The fields of one message, by number."""

    def __init__(self, data: bytes, start: int, end: int, where: str) -> None:
        self.data, self.where, self.start, self.end = data, where, start, end
        self.fields: dict[int, list[Field]] = {}
        for field in fields(data, start, end, where):
            self.fields.setdefault(field.number, []).append(field)

    def unknown(self, known: Collection[int]) -> Iterator[Section]:
        """The bytes of fields of other numbers than ``known``."""
        for number in sorted(self.fields.keys() - set(known)):
            for field in self.fields[number]:
                yield Section(self.where, field.start, field.end, Kind.UNMAPPED)

    def all(self, number: int) -> Iterator[Field]:
        """Every length-delimited field of this number."""
        for field in self.fields.get(number, ()):
            if field.wire != BYTES:
                raise malformed(self.where, field.start)
            yield field

    def messages(self, number: int) -> Iterator[Message]:
        """Every message of this number."""
        for field in self.all(number):
            yield Message(self.data, field.value, field.end, self.where)

    def message(self, number: int) -> Message | None:
        """The last one, as protocol buffers do for a field that should come once."""
        found = list(self.all(number))
        return Message(self.data, found[-1].value, found[-1].end, self.where) if found else None

    def integer(self, number: int) -> int:
        """A varint, as unsigned; 0 where it is absent."""
        if number not in self.fields:
            return 0
        field = self.fields[number][-1]
        if field.wire != VARINT:
            raise malformed(self.where, field.start)
        return field.integer

    def text(self, number: int) -> str:
        """The last string of this number; empty where it is absent."""
        return (self.texts(number) or ("",))[-1]

    def texts(self, number: int) -> tuple[str, ...]:
        """Every string of this number."""
        try:
            return tuple(self.data[field.value : field.end].decode() for field in self.all(number))
        except UnicodeDecodeError as error:
            raise malformed(self.where, self.start) from error

    def mapping(self, number: int) -> Iterator[tuple[str, Message]]:
        """The entries of a map from strings to messages."""
        for entry in self.messages(number):
            yield entry.text(1), entry.message(2) or Message(self.data, 0, 0, self.where)
