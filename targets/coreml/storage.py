"""Element types of ML programs, and the weight file that holds their large constants.

A weight file is a header of 64 bytes (record count and version, 32-bit) and records, each at a multiple of 64: a
64-byte description (sentinel, element type, size and position of the data) and the data.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from compile.errors import UserError

# MIL.proto DataType -> (numpy-like name, bits an element)
# fmt: off
TYPES: Mapping[int, tuple[str, int]] = {
    1: ("bool", 8), 2: ("str", 0), 10: ("float16", 16), 11: ("float32", 32), 12: ("float64", 64),
    13: ("bfloat16", 16), 21: ("int8", 8), 22: ("int16", 16), 23: ("int32", 32), 24: ("int64", 64),
    25: ("int4", 4), 31: ("uint8", 8), 32: ("uint16", 16), 33: ("uint32", 32), 34: ("uint64", 64),
    35: ("uint4", 4), 36: ("uint2", 2), 37: ("uint1", 1), 38: ("uint6", 6), 39: ("uint3", 3),
    40: ("float8e4m3fn", 8), 41: ("float8e5m2", 8),
}
BITS: Mapping[str, int] = dict(TYPES.values())
# Element type in a weight file's record -> name.
BLOB_TYPES: Mapping[int, str] = {
    1: "float16", 2: "float32", 3: "uint8", 4: "int8", 5: "bfloat16", 6: "int16", 7: "uint16", 8: "int4",
    9: "uint1", 10: "uint2", 11: "uint4", 12: "uint3", 13: "uint6", 14: "int32", 15: "uint32",
    16: "float8e4m3fn", 17: "float8e5m2",
}
# fmt: on
RECORD = 64  # bytes of a weight file's header, and of the description in front of each blob
SENTINEL = 0xDEADBEEF
MAX_STEPS = 100_000  # operations or layers of a model; a hostile one has room for half a million in a megabyte
MAX_NAME = 2_000  # bytes of a name that stands before those of everything within


def record(data: bytes, offset: int, where: str) -> tuple[str, int, int]:
    """The element type and byte range of the blob whose description begins at ``offset``.

    Raises:
        UserError: there is no such description, or what it describes lies outside the file.
    """
    require(0 < offset <= len(data) - RECORD, where, f"no record fits at byte {offset}")
    sentinel, code, size, start = struct.unpack_from("<IIQQ", data, offset)
    require(sentinel == SENTINEL and code in BLOB_TYPES, where, f"there is no record at byte {offset}")
    require(offset + RECORD <= start <= len(data) and size <= len(data) - start, where,
             f"the record at byte {offset} points outside the file")  # fmt: skip
    return BLOB_TYPES[code], start, start + size


def require(condition: bool, where: str, what: str) -> None:
    """Raise UserError, saying ``what`` is wrong with the file ``where``, unless ``condition`` holds."""
    if not condition:
        raise UserError(what, where=where, fix="the package is corrupt: write it anew")
