"""Small files that say the same thing very often: the work is bounded by the file's size."""

from __future__ import annotations

import struct
from collections import deque

import pytest

from compile.errors import UserError
from targets.tflite.flatbuffer import FlatBuffer, Vector


def test_text_read_over_and_over() -> None:
    """A name of half the file that every tensor of it has would be gigabytes."""
    buffer = FlatBuffer(bytes(1 << 20), "a.tflite")
    name = Vector("u8", 0, 4, 1 << 19, 1 << 19)
    with pytest.raises(UserError, match="malformed"):
        deque((buffer.text(name) for _ in range(1000)), maxlen=0)


def test_vtables_that_overlap() -> None:
    """Each of 60 kB, four bytes after the other: only so many fit a file."""
    length = 60_000
    data = struct.pack("<HH", length, 4) * (1 << 16)
    buffer = FlatBuffer(data + bytes(8), "a.tflite")
    with pytest.raises(UserError, match="malformed"):
        deque((buffer._layout("Tensor", vtable, length) for vtable in range(0, len(data) - length, 4)), maxlen=0)


def test_a_vtable_that_is_shared() -> None:
    """Costs once, however many tables have it."""
    vtable = struct.pack("<HH", 60_000, 4) + bytes(59_996)
    tables = b"".join(struct.pack("<i", 60_000 + 4 * index) for index in range(50_000))
    buffer = FlatBuffer(vtable + tables, "a.tflite")
    for index in range(50_000):
        buffer.table("Buffer", 60_000 + 4 * index)
    assert buffer.vtables == 60_000
