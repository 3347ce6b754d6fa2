"""Where the elements of a tensor lie: in fields of its message, or in another file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import PurePosixPath

from compile.errors import UserError
from targets.base import Files
from targets.onnx.proto import TYPES, Item, Message, possible
from targets.wire import BYTES

# Fields of a TensorProto that hold elements.
STORES = frozenset(("raw_data", "float_data", "double_data", "string_data", "int32_data", "int64_data", "uint64_data"))
# Fields of an attribute -> type of their elements.
LITERALS: Mapping[str, str] = {
    "f": "float32",
    "floats": "float32",
    "i": "int64",
    "ints": "int64",
    "s": "string",
    "strings": "string",
}
LISTS = frozenset(("floats", "ints", "strings"))
VARINTS = frozenset(("int32_data", "int64_data", "uint64_data", "i", "ints"))

Place = tuple[str, int, int]  # file, first byte, one past the last

_BITS = dict(TYPES.values())
_EXTERNAL = 1  # TensorProto.data_location
_FIX = "the file is corrupt: write it anew"
_FIX_LOCATION = "keep a model's data files beside it, under relative names"
_CONTINUED = bytes(range(128, 256))  # bytes of a varint that are not its last


@dataclass(frozen=True)
class Description:
    """What a tensor's message says of its elements.

    Attributes:
        dtype: as in :class:`targets.base.Section`; empty for a type that we do not know.
        shape: in elements.
        size: bytes that they take in memory; None for strings and unknown types.
        outside: (file, start, end) where they lie in another file.
        prepacked: the same of copies in the order that onnxruntime's kernels read.
    """

    dtype: str
    shape: tuple[int, ...]
    size: int | None
    outside: Place | None = None
    prepacked: tuple[Place, ...] = ()


def described(tensor: Message, layer: str, files: Files) -> Description:
    """Read a TensorProto.

    Raises:
        UserError: its shape is impossible, or its external data is missing, outside the model's folder or too short.
    """
    where = f"{tensor.where}: tensor '{layer}'"
    dtype, bits = TYPES.get(tensor.integer("data_type"), ("", 0))
    shape = tensor.integers("dims")
    if not possible(shape):
        raise UserError(f"its shape {str(list(shape[:8]))[:60]} is impossible", where=where, fix=_FIX)
    size = (prod(shape) * bits + 7) // 8 if bits else None
    if tensor.integer("data_location") != _EXTERNAL:
        return Description(dtype, shape, size)
    entries = {entry.text("key"): entry.text("value") for entry in tensor.messages("external_data")}
    outside = _outside(tensor, entries, size, files, where)
    return Description(dtype, shape, size, outside, tuple(_prepacked(entries, outside[0], where)))


def complete(tensor: Message, told: Description, held: Sequence[Item], layer: str) -> bool:
    """Whether the elements that a tensor needs are there; False for one that only describes them.

    Raises:
        UserError: there are others than its shape says.
    """
    stored = sum(amount(item, tensor.data, told.dtype)[1] for item in held)
    if told.size is None or told.outside is not None or stored == told.size:
        return True
    if not stored:
        return False
    what = f"it stores {stored:,} bytes of elements, where its shape {list(told.shape)} takes {told.size:,}"
    raise UserError(what, where=f"{tensor.where}: tensor '{layer}'", fix=_FIX)


def amount(item: Item, data: bytes, dtype: str) -> tuple[int, int]:
    """How many elements a field of a tensor or an attribute holds, and their bytes in memory.

    Elements of less than a byte count as one byte together, as ``int32_data`` packs them.
    """
    field = item.field
    if dtype not in _BITS:
        return 1, field.end - field.value
    width = max(_BITS[dtype], 8) // 8
    if item.name not in VARINTS:
        return (field.end - field.value) // width, field.end - field.value
    count = len(data[field.value : field.end].translate(None, _CONTINUED)) if field.wire == BYTES else 1
    return count, count * width


def _outside(tensor: Message, entries: Mapping[str, str], size: int | None, files: Files, where: str) -> Place:
    file = _inside(entries.get("location", ""), tensor.where, where)
    try:
        end = len(files[file])
    except KeyError:
        raise UserError(
            f"its external data file '{file}' is missing", where=where, fix="keep it in the model's folder"
        ) from None
    offset = _number(entries.get("offset", "0"), where)
    rest = max(end - offset, 0) if size is None else size
    length = _number(entries["length"], where) if "length" in entries else rest
    if size is not None and size != length:
        raise UserError(
            f"it has {length:,} bytes in '{file}', where its shape takes {size:,}",
            where=where,
            fix=_FIX,
        )
    return file, offset, offset + length


def _prepacked(entries: Mapping[str, str], file: str, where: str) -> Iterator[Place]:
    """Onnxruntime writes ``kernel+hash|offset;length;checksum|...`` under the keys ``prepacked_0``, and so on."""
    for key, value in entries.items():
        if key.startswith("prepacked_"):
            for buffer in value.split("|")[1:]:
                offset, length, *_ = (_number(text, where) for text in (*buffer.split(";"), "0"))
                yield file, offset, offset + length


def _inside(location: str, name: str, where: str) -> str:
    """The key into ``files`` of an external data file; it may not leave the model's folder."""
    path = PurePosixPath(location)
    if (
        not location
        or path.is_absolute()
        or ".." in path.parts
        or "\\" in location
        or ":" in location
        or "\0" in location
    ):
        raise UserError(f"its external data '{location}' is outside the model's folder", where=where, fix=_FIX_LOCATION)
    return str(PurePosixPath(name).parent / path)


def _number(text: str, where: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise UserError(f"'{text}' is no place in an external data file", where=where, fix="write the model anew")
    return int(text)
