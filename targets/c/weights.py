"""Weights in a file of their own, ``NAME.bin``, which a program maps or loads instead of compiling them in.

Everything is little-endian. 64 bytes come first: ``MAGIC``, the SHA-256 of all that follows them, and how many bytes
the file has, in 8. Behind them the tables lie in the order in which the network needs them, each at a multiple of
``ALIGNMENT``, with zeros in between. The source knows these 64 bytes and the CRC-32 of the whole file.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING

from compile.errors import UserError
from targets.sections import pieces

if TYPE_CHECKING:  # the auditor reads sources without numpy
    from targets.c.emitter import Table
    from targets.c.parts import Parts

ALIGNMENT = 16
MAGIC = b"phiz weights LE\n"
HEAD = 64
_SAYS = 56  # bytes of the head that say something
_FIX = "keep the files of one build together"
GUARD = """\
#if defined(__BYTE_ORDER__) && defined(__ORDER_LITTLE_ENDIAN__)
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the weights are a little-endian file: take --target c, whose weights the compiler writes"
#endif
#endif
"""
_OWN = re.compile(r"^    static const unsigned char own\[56\] = \{\n((?: +(?:\d{1,3}, ?)+\n)+)    \};$", re.M)
_SUM = re.compile(r"^    return \(sum \^ 0xffffffffu\) == 0x([0-9a-f]{8})u;$", re.M)

_CHECK = Template("""\
int ${word}_weights_ok(const void *weights, size_t size) {
    /* How the file begins: its kind, the SHA-256 of what is behind the first 64 bytes, its size. */
    static const unsigned char own[$says] = {
$own
    };
    static const uint32_t table[16] = {
$table
    };
    const unsigned char *const bytes = (const unsigned char *)weights;
    const uint32_t one = 1;
    uint32_t sum = 0xffffffffu; /* CRC-32 */
    if (!weights || size != $size || (uintptr_t)weights % $alignment) return 0;
    if (*(const unsigned char *)&one != 1) return 0; /* a big-endian machine */
    for (size_t i = 0; i < sizeof own; ++i)
        if (bytes[i] != own[i]) return 0;
    for (size_t i = 0; i < size; ++i) {
        sum ^= bytes[i];
        sum = sum >> 4 ^ table[sum & 15u];
        sum = sum >> 4 ^ table[sum & 15u];
    }
    return (sum ^ 0xffffffffu) == $sum;
}""")


@dataclass(frozen=True)
class Weights:
    """A file of tables.

    Attributes:
        offsets: of the tables by name, in bytes.
        data: the whole file.
    """

    offsets: Mapping[str, int]
    data: bytes


def companion(name: str) -> str:
    """The file of weights of a source."""
    return f"{name.removesuffix('.c')}.bin"


def filed(tables: Iterable[Table]) -> Weights:
    """Tables, in their order, as a file."""
    offsets, body = {}, bytearray()
    for table in tables:
        body += bytes(-len(body) % ALIGNMENT)
        offsets[table.name] = HEAD + len(body)
        body += table.data.astype(table.data.dtype.newbyteorder("<")).tobytes()
    return Weights(offsets, _head(hashlib.sha256(body).digest(), HEAD + len(body)) + bytes(body))


def require_own(name: str, text: str, data: bytes) -> None:
    """Make sure that a file of weights is whole, and that of the source in ``text``.

    Raises:
        UserError: it is not.
    """
    own, expected = _OWN.search(text), _SUM.search(text)
    if own is None or expected is None:
        raise UserError("it does not say which weights it needs", where=name, fix="compile it again")
    head = bytes(data[:HEAD])
    if head[:_SAYS] != bytes(int(number) % 256 for number in re.findall(r"\d+", own[1])):
        raise UserError("these weights are not those of the source", where=companion(name), fix=_FIX)
    digest, total = hashlib.sha256(), zlib.crc32(head)
    for piece in pieces(data, HEAD, len(data)):
        digest.update(piece)
        total = zlib.crc32(piece, total)
    if head != _head(digest.digest(), len(data)) or total != int(expected[1], 16):
        raise UserError("these weights are damaged", where=companion(name), fix=_FIX)


def declaration(parts: Parts) -> Iterator[str]:
    """What the header says of the file."""
    if parts.weights is None:
        return
    yield ""
    yield f"/* {parts.name}.bin in memory, mapped or loaded, little-endian; it is only read, and may be shared. */"
    yield f"#define {parts.word.upper()}_WEIGHTS_BYTES {len(parts.weights.data)}"
    yield f"#define {parts.word.upper()}_WEIGHTS_ALIGNMENT {ALIGNMENT} /* of the address; a mapped file has more */"
    yield ""
    yield "/* 1: these are all bytes of that file, of this build, undamaged, aligned, and in this machine's byte order."
    yield f" * 0: they are not. It reads them all: ask once, for {parts.function} does not ask again. */"
    yield f"int {parts.word}_weights_ok(const void *weights, size_t size);"


def pointers(parts: Parts) -> Iterator[str]:
    """The tables' names, within the function that computes."""
    if parts.weights is None:
        return
    if not parts.weights.offsets:
        yield "    (void)weights;"
        return
    yield "    const unsigned char *const from = (const unsigned char *)weights;"
    for name, offset in parts.weights.offsets.items():
        table = parts.tables[name]
        given = f"(const {table.ctype} *)(const void *)(from + {offset})"
        yield f"    const {table.ctype} *const {name} = {given}; /* {table.data.size} elements */"


def check(parts: Parts) -> Iterator[str]:
    """The function that says whether weights are a source's own: CRC-32 as zlib and Ethernet have it."""
    if parts.weights is None:
        return
    data, nibbles = parts.weights.data, [_nibble(index) for index in range(16)]
    yield ""
    yield _CHECK.substitute(
        word=parts.word,
        says=_SAYS,
        own="\n".join(
            f"        {' '.join(f'{byte},' for byte in data[start : min(start + 16, _SAYS)])}"
            for start in range(0, _SAYS, 16)
        ),
        table="\n".join(
            f"        {' '.join(f'0x{number:08x}u,' for number in nibbles[start : start + 8])}" for start in (0, 8)
        ),
        size=len(data),
        alignment=ALIGNMENT,
        sum=f"0x{zlib.crc32(data):08x}u",
    )


def _head(digest: bytes, size: int) -> bytes:
    """How a file begins."""
    return (MAGIC + digest + size.to_bytes(8, "little")).ljust(HEAD, b"\0")


def _nibble(index: int) -> int:
    """What CRC-32 makes of four bits."""
    for _ in range(4):
        index = index >> 1 ^ (0xEDB88320 if index & 1 else 0)
    return index
