"""What the bytes of a ``.safetensors`` file are for.

Eight bytes of length, a JSON header that says where each tensor lies, then the tensors without a gap. It is no target:
weights without a graph, which phiz only audits. Source: the format's description in the README of safetensors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from compile.errors import UserError
from targets.base import Constant, Dissection, Files, Kind, Section
from targets.sections import cover

# dtype in the header -> element type and its bits.
DTYPES: Mapping[str, tuple[str, int]] = {
    "BOOL": ("bool", 8),
    "F4": ("float4e2m1", 4),
    "F6_E2M3": ("float6e2m3", 6),
    "F6_E3M2": ("float6e3m2", 6),
    "U8": ("uint8", 8),
    "I8": ("int8", 8),
    "F8_E5M2": ("float8e5m2", 8),
    "F8_E4M3": ("float8e4m3fn", 8),
    "F8_E5M2FNUZ": ("float8e5m2fnuz", 8),
    "F8_E4M3FNUZ": ("float8e4m3fnuz", 8),
    "F8_E8M0": ("float8e8m0", 8),
    "I16": ("int16", 16),
    "U16": ("uint16", 16),
    "F16": ("float16", 16),
    "BF16": ("bfloat16", 16),
    "I32": ("int32", 32),
    "U32": ("uint32", 32),
    "F32": ("float32", 32),
    "C64": ("complex64", 64),
    "F64": ("float64", 64),
    "I64": ("int64", 64),
    "U64": ("uint64", 64),
}
MAX_HEADER = 16_000_000  # bytes; the library takes 100 MB, which as JSON can be gigabytes in memory
MAX_SIZE = 1 << 48  # of an axis; more is in no file
_RANK = 64
UNKNOWN = "its activations, for a .safetensors file holds weights and no graph"
_LENGTH = 8
_METADATA = "__metadata__"
_BLANKS = " \t\n\r"
_BLANK = re.compile(f"[{_BLANKS}]*")


def dissect(files: Files) -> Dissection:
    """Label every byte of the ``.safetensors`` file in ``files``.

    Raises:
        UserError: the header is not what the format asks for, or its tensors do not fill the file exactly.
    """
    name = next((name for name in files if name.endswith(".safetensors")), None) or next(iter(files))
    data = files[name]
    size = int.from_bytes(data[:_LENGTH], "little")
    if len(data) < _LENGTH or size > min(MAX_HEADER, len(data) - _LENGTH):
        raise _malformed(name, f"its header of {size:,} bytes does not fit")
    start = _LENGTH + size
    try:
        entries = tuple(_entries(data[_LENGTH:start].decode()))
    except (ValueError, RecursionError) as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise _malformed(name, "its header is not the JSON that it should be") from error
    tensors = [_tensor(entry, name, start) for entry in entries if entry.key != _METADATA]
    _check_contiguous(name, tensors, start, len(data))
    return Dissection(
        sizes={name: len(data)},
        sections=cover(name, data, (*_header(name, entries, start), *_elements(tensors))),
        lifetimes=(),
        metadata=_metadata(name, entries),
        unknown=(UNKNOWN,),
        constants=tuple(tensors),
    )


@dataclass(frozen=True)
class _Entry:
    """One member of the header, and its place in the file from its key on."""

    key: str
    value: Any
    start: int
    end: int


def _entries(text: str) -> Iterator[_Entry]:
    """The members of the header, an object on which only blanks follow.

    Raises:
        ValueError: it is something else.
    """
    decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse)
    if not text.startswith("{"):
        raise ValueError("no object")
    keys: set[str] = set()
    position, place = _skip(text, 1), 0
    offset = _LENGTH  # of ``place`` in the file, in bytes, where positions count characters
    while text[position : position + 1] != "}" or keys:  # no comma before the end
        if text[position : position + 1] != '"':
            raise ValueError("no key")
        key, colon = decoder.raw_decode(text, position)
        colon = _skip(text, colon)
        if text[colon : colon + 1] != ":" or key in keys:
            raise ValueError("no value, or the second of a key")
        keys.add(key)
        value, stop = decoder.raw_decode(text, _skip(text, colon + 1))
        start = offset + len(text[place:position].encode())
        offset, place = start + len(text[position:stop].encode()), stop
        yield _Entry(key, value, start, offset)
        position = _skip(text, stop)
        if text[position : position + 1] == "}":
            break
        if text[position : position + 1] != ",":
            raise ValueError("no comma")
        position = _skip(text, position + 1)
    if text[position + 1 :].strip(_BLANKS):
        raise ValueError("more than an object")


def _skip(text: str, position: int) -> int:
    found = _BLANK.match(text, position)
    return found.end() if found else position


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice")
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _tensor(entry: _Entry, name: str, start: int) -> Constant:
    """A tensor as the header describes it, its dtype, shape and size in agreement."""
    where, value = f"{name}: tensor '{entry.key}'", entry.value
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise _malformed(where, "it is not described by dtype, shape and data_offsets")
    known = DTYPES.get(str(value["dtype"]))
    if known is None:
        raise UserError(f"its dtype {str(value['dtype'])[:20]!r} is not known", where=where, fix="write it as another")
    shape, offsets = _sizes(value["shape"]), _sizes(value["data_offsets"])
    if shape is None or offsets is None or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise _malformed(where, "its shape or its place is impossible")
    dtype, bits = known
    size, rest = divmod(prod(shape) * bits, 8)
    if rest or size != offsets[1] - offsets[0]:
        raise _malformed(where, f"it has {offsets[1] - offsets[0]:,} bytes, where its shape takes {size:,}")
    return Constant(entry.key, Kind.WEIGHTS, dtype, shape, ((name, start + offsets[0], start + offsets[1]),))


def _sizes(value: Any) -> tuple[int, ...] | None:
    """A list of sizes; None for anything else, and for what no file could hold."""
    if not isinstance(value, list) or len(value) > _RANK:
        return None
    return tuple(value) if all(type(size) is int and 0 <= size <= MAX_SIZE for size in value) else None


def _check_contiguous(name: str, tensors: list[Constant], start: int, end: int) -> None:
    for tensor in sorted(tensors, key=lambda tensor: tensor.places[0][1:]):
        _, first, last = tensor.places[0]
        if first != start:
            raise _malformed(f"{name}: tensor '{tensor.name}'", f"it begins at byte {first:,}, not at {start:,}")
        start = last
    if start != end:
        raise _malformed(name, f"its tensors end at byte {start:,}, the file at {end:,}")


def _header(name: str, entries: tuple[_Entry, ...], end: int) -> Iterator[Section]:
    position = 0
    for entry in entries:
        yield Section(name, position, entry.start, Kind.GRAPH)
        noted = entry.key == _METADATA
        kind = Kind.METADATA if noted else Kind.GRAPH
        yield Section(name, entry.start, entry.end, kind, "" if noted else entry.key)
        position = entry.end
    yield Section(name, position, end, Kind.GRAPH)


def _elements(tensors: list[Constant]) -> Iterator[Section]:
    for tensor in tensors:
        file, start, end = tensor.places[0]
        yield Section(file, start, end, tensor.kind, tensor.name, tensor.dtype)


def _metadata(name: str, entries: tuple[_Entry, ...]) -> dict[str, str]:
    value: Any = next((entry.value for entry in entries if entry.key == _METADATA), {})
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise _malformed(name, "its metadata is not strings by name")
    return dict(sorted(value.items()))


def _malformed(where: str, what: str) -> UserError:
    return UserError(what, where=where, fix="the file is truncated or not of this format")
