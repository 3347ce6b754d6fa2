"""Damage to files, drawn from a ``Random``: bytes for any format, and fields, words, entries and members where known.

A file stays what it is for its reader's first checks, so that the damage reaches the later ones.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from pathlib import PurePosixPath
from random import Random
from typing import Any

from bench.fuzz.graphs import damaged_graph
from compile.errors import UserError
from targets.wire import BYTES, VARINT, fields

Files = Mapping[str, bytes]

INTEGERS = (0, 1, 2, 3, 5, 7, 64, 127, 255, 2**16, 2**31 - 1, 2**31, 2**40, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1)
FLOATS = (0.0, -1.0, 1e-45, 1e-30, 3e38, float("nan"), float("inf"), -float("inf"))
VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**63,
    1e308,
    "",
    "..",
    "/etc/passwd",
    "a\0b",
    "x" * 5000,
    [],
    {},
    [[]],
    {"": {}},
)
_DEPTH = 12
_HOLE = "what is replaced in the text"


def mutate(random: Random, files: Files) -> dict[str, bytes]:
    """A copy of ``files`` with one to three mutations; now and then a file is missing or empty."""
    changed = dict(files)
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        name = random.choice(sorted(changed))
        if len(changed) > 1 and random.random() < 0.03:
            del changed[name]
        else:
            changed[name] = damaged(random, PurePosixPath(name).suffix, changed[name])
    return changed


def damaged(random: Random, suffix: str, data: bytes) -> bytes:
    """One mutation, of the kind that the format suggests or of plain bytes."""
    by_format = _BY_SUFFIX.get(suffix)
    if by_format is None or random.random() < 0.2:
        return _bytes(random, data)
    return by_format(random, data)


def _bytes(random: Random, data: bytes) -> bytes:
    if not data:
        return random.randbytes(random.randint(0, 8))
    kind, start = random.randrange(7), random.randrange(len(data))
    stop = min(len(data), start + random.choice([1, 1, 2, 4, 8, 64, len(data)]))
    if kind == 0:
        return data[:start]
    if kind == 1:
        return data[:start] + data[stop:]
    if kind == 2:
        return data[:start] + random.randbytes(stop - start) + data[stop:]
    if kind == 3:
        return data[:stop] + data[start:]
    if kind == 4:
        return data + random.randbytes(random.randint(1, 9))
    if kind == 5:  # what is elsewhere in the file
        other = random.randrange(len(data))
        return data[:start] + data[other : other + stop - start] + data[stop:]
    return data[:start] + bytes([data[start] ^ 1 << random.randrange(8)]) + data[start + 1 :]


def _network(random: Random, data: bytes) -> bytes:
    """An ONNX model: its graph, or its fields."""
    changed = damaged_graph(random, data) if random.random() < 0.6 else None
    return _message(random, data) if changed is None else changed


# Protocol buffers, without a schema: what parses as a message is taken for one.
Field = list[Any]  # number, wire, payload: an integer, bytes or a list of fields


def _message(random: Random, data: bytes) -> bytes:
    tree = _parse(data, 0)
    if not tree:
        return _bytes(random, data)
    places = list(_places(tree))
    siblings, index = random.choice(places)
    kind = random.randrange(9)
    if kind == 0:
        del siblings[index]
    elif kind == 1:
        siblings.insert(random.randrange(len(siblings) + 1), deepcopy(siblings[index]))
    elif kind == 2:
        other = random.randrange(len(siblings))
        siblings[index], siblings[other] = siblings[other], siblings[index]
    elif kind == 3:  # another of the same kind: duplicate names, cycles, wrong shapes, foreign data
        alike = [of[at] for of, at in places if of[at][:2] == siblings[index][:2]]
        siblings[index] = deepcopy(random.choice(alike))  # a copy: it may hold the place that it goes to
    elif kind == 4:
        number, wire, payload = siblings[index]
        inside = _serialise(payload) if isinstance(payload, list) else payload
        if isinstance(inside, bytes):
            siblings[index] = [number, wire, _nested(random, tree, siblings, inside)]
    else:
        leaves = [(of, at) for of, at in places if not isinstance(of[at][2], list)]
        if leaves:
            siblings, index = random.choice(leaves)
            number, wire, payload = siblings[index]
            texts = [of[at][2] for of, at in leaves if isinstance(of[at][2], bytes)]
            siblings[index] = [number, wire, _leaf(random, payload, texts)]
    return _serialise(tree)


def _nested(random: Random, tree: list[Field], siblings: list[Field], inside: bytes) -> bytes:
    """``inside`` within the fields that lead to it, over and over: bodies of loops in bodies of loops."""
    path = _path(tree, siblings) or [1]
    cycle = path[-random.randint(1, len(path)) :]
    for _ in range(random.choice([1, 3, 20, 100, 1000])):
        for number in reversed(cycle):
            inside = _varint(number << 3 | BYTES) + _varint(len(inside)) + inside
        if len(inside) > 1 << 16:
            break
    return inside


def _path(tree: list[Field], siblings: list[Field]) -> list[int] | None:
    """The numbers of the fields around ``siblings``; None where it is not in ``tree``."""
    if tree is siblings:
        return []
    for number, _, payload in tree:
        below = _path(payload, siblings) if isinstance(payload, list) else None
        if below is not None:
            return [number, *below]
    return None


def _leaf(random: Random, payload: int | bytes, texts: list[bytes]) -> int | bytes:
    if isinstance(payload, int):
        near = (payload + random.choice([-1, 1])) % 2**64
        return random.choice([*INTEGERS, near])
    kind = random.randrange(5)
    if kind == 0 and texts:
        return random.choice(texts)
    if kind == 1 and len(payload) >= 4:
        place = random.randrange(len(payload) // 4) * 4
        return payload[:place] + struct.pack("<f", random.choice(FLOATS)) + payload[place + 4 :]
    if kind == 2 and len(payload) >= 8:
        place = random.randrange(len(payload) // 8) * 8
        return payload[:place] + struct.pack("<Q", random.choice(INTEGERS)) + payload[place + 8 :]
    return random.choice([b"", payload * 2, _bytes(random, payload)])


def _parse(data: bytes, depth: int) -> list[Field] | None:
    """The fields of a message, or None where the bytes are none."""
    found: list[Field] = []
    try:
        for field in fields(data, 0, len(data), ""):
            inside: Any = field.integer if field.wire == VARINT else data[field.value : field.end]
            if field.wire == BYTES and depth < _DEPTH and field.integer > 1:
                inside = _parse(inside, depth + 1) or inside
            found.append([field.number, field.wire, inside])
    except UserError:
        return None
    return found


def _places(tree: list[Field]) -> Iterator[tuple[list[Field], int]]:
    for index, field in enumerate(tree):
        yield tree, index
        if isinstance(field[2], list):
            yield from _places(field[2])


def _serialise(tree: list[Field]) -> bytes:
    parts = []
    for number, wire, payload in tree:
        parts.append(_varint(number << 3 | wire))
        if isinstance(payload, int):
            parts.append(_varint(payload))
        else:
            inside = _serialise(payload) if isinstance(payload, list) else payload
            parts += [_varint(len(inside)), inside] if wire == BYTES else [inside]
    return b"".join(parts)


def _varint(number: int) -> bytes:
    low = [number >> shift & 0x7F for shift in range(0, max(number.bit_length(), 1), 7)]
    return bytes([*(byte | 0x80 for byte in low[:-1]), low[-1]])


def _words(random: Random, data: bytes) -> bytes:
    """A flatbuffer: one aligned word becomes a special number, another word of the file, or an offset somewhere."""
    if len(data) < 8:
        return _bytes(random, data)
    if random.random() < 0.2:  # an entry of a vtable
        at = random.randrange(len(data) // 2) * 2
        return data[:at] + struct.pack("<H", random.choice(INTEGERS) % 2**16) + data[at + 2 :]
    at = random.randrange(len(data) // 4) * 4
    elsewhere = random.randrange(len(data) // 4) * 4
    word = random.choice(
        [
            random.choice(INTEGERS) % 2**32,
            int.from_bytes(data[elsewhere : elsewhere + 4], "little"),
            (elsewhere - at) % 2**32,
            (int.from_bytes(data[at : at + 4], "little") + random.choice([-4, -1, 1, 4])) % 2**32,
        ]
    )
    return data[:at] + struct.pack("<I", word) + data[at + 4 :]


def _json(random: Random, data: bytes) -> bytes:
    """One entry gone, special, or where another one was."""
    try:
        return _changed(random, json.loads(data))
    except (ValueError, RecursionError):  # no JSON, or deeper than Python goes
        return _bytes(random, data)


def _changed(random: Random, tree: Any) -> bytes:
    places = list(_entries(tree))
    if not places:
        return json.dumps(random.choice(VALUES)).encode()
    parent, key = random.choice(places)
    kind = random.randrange(4)
    if kind == 0:
        del parent[key]
    elif kind == 3 and random.random() < 0.2:
        parent[key], depth = _HOLE, random.choice([10, 500, 100_000])
        return json.dumps(tree).replace(json.dumps(_HOLE), "[" * depth + "]" * depth).encode()
    elif kind == 1:
        other, name = random.choice(places)
        parent[key] = json.loads(json.dumps(other[name]))
    else:
        parent[key] = random.choice(VALUES)
    return json.dumps(tree).encode()


def _entries(tree: Any) -> Iterator[tuple[Any, Any]]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in list(items):
        yield tree, key
        yield from _entries(value)


def _members(random: Random, data: bytes) -> bytes:
    """A zip archive, one member of which is damaged, gone or under another's name."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError):  # no archive, or none any more
        return _bytes(random, data)
    if members:
        name = random.choice(sorted(members))
        if random.random() < 0.1:
            del members[name]
        elif random.random() < 0.1:
            members[random.choice(sorted(members))] = members[name]
        else:
            members[name] = damaged(random, PurePosixPath(name).suffix, members[name])
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return output.getvalue()


def _safetensors(random: Random, data: bytes) -> bytes:
    """Its header, with the length that fits or one that does not."""
    size = int.from_bytes(data[:8], "little")
    if size > len(data) - 8 or random.random() < 0.2:
        return _bytes(random, data)
    header = _json(random, data[8 : 8 + size])
    claimed = random.choice(INTEGERS) if random.random() < 0.1 else len(header)
    return struct.pack("<Q", claimed) + header + data[8 + size :]


_BY_SUFFIX: Mapping[str, Callable[[Random, bytes], bytes]] = {
    ".onnx": _network,
    ".mlmodel": _message,
    ".bin": _words,
    ".tflite": _words,
    ".json": _json,
    ".pt2": _members,
    ".npz": _members,
    ".safetensors": _safetensors,
}
