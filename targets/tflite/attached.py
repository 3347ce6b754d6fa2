"""Files attached to a ``.tflite`` file: labels, vocabularies and the like, as a zip archive behind the flatbuffer.

The writers of TFLite's model metadata do so, for a zip archive is read from its end, a flatbuffer from its beginning.
Source: APPNOTE.TXT of the ZIP format; only what it takes to say where everything lies.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from targets.base import Kind, Section

_END = struct.Struct("<4s4H2LH")  # signature, disks (2), entries (2), directory's size and offset, length of comment
_ENTRY = struct.Struct("<4s6H3L5H2L")  # of the directory: …, compressed size [8], lengths [10:13], offset [16]
_HEADER = struct.Struct("<4s5H3L2H")  # in front of a file: …, lengths of its name and of the extra field [9:]
_LONGEST_COMMENT = 0xFFFF


def attached(where: str, data: bytes) -> Iterator[Section]:
    """Where an archive's files, their headers and its directory lie; nothing where ``data`` does not end in one."""
    at = data.rfind(b"PK\5\6", max(0, len(data) - _END.size - _LONGEST_COMMENT))
    if at < 0 or at + _END.size > len(data):
        return
    *_, entries, size, offset, comment = _END.unpack_from(data, at)
    directory = at - size
    shift = directory - offset  # of the offsets inside, which some writers count from where the archive begins
    if at + _END.size + comment != len(data) or directory < 0 or shift < 0:
        return
    yield Section(where, directory, len(data), Kind.METADATA, "attached files")
    position = directory
    for _ in range(entries):
        if position + _ENTRY.size > at:
            return
        fields = _ENTRY.unpack_from(data, position)
        named, extra, remark = fields[10:13]
        name = data[position + _ENTRY.size : position + _ENTRY.size + named].decode("utf-8", "replace")
        position += _ENTRY.size + named + extra + remark
        start = fields[16] + shift
        if fields[0] != b"PK\1\2" or data[start : start + 4] != b"PK\3\4" or start + _HEADER.size > directory:
            return
        end = start + _HEADER.size + sum(_HEADER.unpack_from(data, start)[9:]) + fields[8]
        if end > directory:
            return
        yield Section(where, start, end, Kind.METADATA, name)
