"""What the characters of a generated C source are for, read without a compiler and without trust.

The grammar is what ``writer.py`` writes, and nothing else: constants are tables of numbers, each counted, or parts of a
file of weights, whose bytes must be those that the source was written for; buffers lie
where the function's first lines say, and live from the first block that names them to the last. The plan of memory is
proved again. What a source does beyond that grammar is code, and phiz audits no code: it neither compiles nor runs it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from compile.errors import Bug, UserError
from compile.memory import Plan, check
from targets.base import Constant, Dissection, Files, Kind, Lifetime, Section
from targets.c import weights
from targets.c.interface import Port, parse
from targets.c.source import CTYPES, WIDTHS, identifier
from targets.sections import cover

ALIGNMENT = 16  # of buffers in the scratch memory; SIMD kernels load from anywhere
_MOST = 2**31 - 1
_FIRST = 200  # characters in which a source says who wrote it
_TABLE = re.compile(rb"^static const (\w+) (\w+)\[(\d{1,10})\] = \{\n([-+0-9a-zA-Z.,\s]*)\};$", re.M)
_BUFFER = re.compile(
    r"^    (\w+) \*const (v\d+) = \(\1 \*\)\(void \*\)\(at \+ (\d{1,10})\); /\* (\d{1,10}) bytes \*/$", re.M
)
_FILED = re.compile(
    r"^    const (\w+) \*const (\w+) = \(const \1 \*\)\(const void \*\)\(from \+ (\d{1,10})\); "
    r"/\* (\d{1,10}) elements \*/$",
    re.M,
)
_BLOCK = re.compile(r"^    /\* (\d+)\. (.*) \*/$", re.M)
_NAMED = re.compile(r"\bv\d+\b")
_WORD = re.compile(r"\w+")
_METADATA = re.compile(
    r"^const char \*const \w+_metadata\[\] = \{\n((?: {4,8}\"(?:[^\"\\\n]|\\[0-7]{3})*\",?\n)*)    0\n\};$", re.M
)
_STRING = re.compile(r"\"((?:[^\"\\\n]|\\[0-7]{3})*)\"(,?)")
_CONSTANTS, _NETWORK = "/* ---- constants ---- */", "/* ---- the network ---- */"
_UNCOUNTED = "'{}' is not counted: only a self-test compiles it"
_NOTE = "machine code depends on the compiler, and is no part of the sizes; --measure compiles the source and runs it"
_NUMPY = {ctype: name for name, ctype in reversed(CTYPES.items())} | {"uint16_t": "float16", "uint8_t": "uint8"}
_PARAMETERS = ("_multiplier", "_shift", "_scale", "_sum")


@dataclass(frozen=True)
class Source:
    """What a source says of itself.

    Attributes:
        ports: inputs, outputs and states.
        metadata: ``phiz.*``.
        streams: whether it computes hop by hop.
        scratch: bytes of memory that it computes in.
        weights: bytes of the file that its weights are; 0 where they are in the source.
    """

    ports: tuple[Port, ...]
    metadata: dict[str, str]
    streams: bool
    scratch: int
    weights: int = 0


def dissect(files: Files) -> Dissection:
    """Label every character of a source and its header.

    Inputs and outputs are the caller's memory, and count like everything that lives; a state lives throughout.

    Raises:
        UserError: it is not what phiz writes, its header is missing, or its plan of memory is wrong.
    """
    name, text, beside, head = _texts(files)
    data = files[name]
    found = understood(name, text, head)
    code = text[text.find(_NETWORK) :]
    buffers = {match[2]: (int(match[3]), int(match[4])) for match in _BUFFER.finditer(code)}
    blocks = _blocks(code)
    lifetimes = [*_placed(name, buffers, blocks, found.scratch), *_lasting(found.ports, len(blocks))]
    readers = _readers(blocks)
    tables = tuple(_tables(name, data, readers))
    spans = [table.section for table in tables]
    spans += [Section(name, match.start(), match.end(), Kind.METADATA) for match in _METADATA.finditer(text)]
    sizes = {name: len(data), beside: len(files[beside])}
    sections = (*_labelled(name, data, spans), Section(beside, 0, len(files[beside]), Kind.GRAPH))
    if found.weights:
        stored, filed = weights_of(name, text, files, found), tuple(_filed(name, code, readers))
        sections += _stored(weights.companion(name), stored, filed)
        sizes[weights.companion(name)] = len(stored)
        tables += filed
    return Dissection(
        sizes=sizes,
        sections=sections,
        lifetimes=tuple(lifetimes),
        metadata=found.metadata,
        constants=tuple(table.constant for table in tables),
        steps=tuple(title for title, _ in blocks),
        alignment=ALIGNMENT,
        notes=(_NOTE, *([_UNCOUNTED.format(golden(name))] if golden(name) in files else [])),
    )


def understood(name: str, text: str, head: str) -> Source:
    """What a source and its header say of themselves.

    Raises:
        UserError: they are not what phiz writes.
    """
    ports = parse(text[: text.find("*/")], name)
    upper = identifier(name.removesuffix(".c")).upper()
    size = re.search(rf"^#define {upper}_SCRATCH_BYTES (\d{{1,10}})$", head, re.M)
    if size is None or int(size[1]) > _MOST:
        raise UserError("its header does not say how much memory it computes in", where=name, fix="compile it again")
    states = {
        match[2]: (match[1], int(match[3])) for match in re.finditer(r"^    (\w+) (\w+)\[(\d{1,10})\];$", head, re.M)
    }
    for port in ports:
        if port.kind == "state" and states.get(port.identifier) != (port.ctype, port.elements):
            raise UserError(
                f"its header has no state '{port.identifier}' of that size", where=name, fix="compile it again"
            )
    mapped = re.search(rf"^#define {upper}_WEIGHTS_BYTES (\d{{1,10}})\b", head, re.M)
    stored = int(mapped[1]) if mapped else 0
    if ("_weights_ok(" in text) != (stored > 0):
        raise UserError("its header does not say how large its weights are", where=name, fix="compile it again")
    return Source(ports, _metadata(text), "_push_hop(" in head, int(size[1]), stored)


def weights_of(name: str, text: str, files: Files, found: Source) -> bytes:
    """The file of a source's weights.

    Raises:
        UserError: it is missing, or it is another's.
    """
    beside = weights.companion(name)
    try:
        data = files[beside]
    except KeyError as error:
        raise UserError(f"its weights '{beside}' are missing", where=name, fix="keep its files together") from error
    weights.require_own(name, text, data)
    if len(data) != found.weights:
        raise UserError(
            f"its header says of '{beside}' that it is larger or smaller", where=name, fix="compile it again"
        )
    return data


def companion(name: str) -> str:
    """The header of a source."""
    return f"{name.removesuffix('.c')}.h"


def golden(name: str) -> str:
    """The examples of a source's self-test, where it has any."""
    return f"{name.removesuffix('.c')}.golden.h"


def _texts(files: Files) -> tuple[str, str, str, str]:
    name = next((name for name in files if name.endswith(".c")), None) or next(iter(files))
    beside = companion(name)
    if b": written by phiz" not in files[name][:_FIRST]:
        raise UserError("not a C source that phiz wrote", where=name, fix="give one of phiz compile --target c")
    try:
        header = files[beside]
    except KeyError as error:
        raise UserError(f"its header '{beside}' is missing", where=name, fix="keep both files together") from error
    if len(files[name]) > _MOST or len(header) > _MOST:
        raise UserError("more than 2 GB are no source", where=name)
    try:
        text, head = str(files[name], "ascii"), str(header, "ascii")  # large files are memory maps
    except UnicodeDecodeError as error:
        raise UserError("not a C source that phiz wrote: it is not ASCII", where=name) from error
    _require_whole(name, text, head)
    return name, text, beside, head


def _require_whole(name: str, text: str, head: str) -> None:
    """Nothing is cut off, and between the marks of the constants there is no table that nobody counts."""
    if "\r" in text or "\r" in head:
        fix = "keep them as they were, such as by '*.[ch] -text' in .gitattributes"
        raise UserError("its lines end with CR", where=name, fix=fix)
    _, _, behind = text.partition(_CONSTANTS)
    constants, network, rest = behind.partition(_NETWORK)
    if not network or not _BLOCK.search(rest) or not _METADATA.search(rest) or not head.endswith("\n#endif\n"):
        raise UserError("it is not whole", where=name, fix="compile it again")
    if strange := _TABLE.sub(b"", constants.encode()).strip():
        line = strange.splitlines()[0][:80].decode()
        raise UserError(f"among its constants stands what is no table: {line}", where=name, fix="compile it again")


def _blocks(code: str) -> list[tuple[str, str]]:
    """The function's blocks: the title, and the lines."""
    marks = list(_BLOCK.finditer(code))
    ends = [*(mark.start() for mark in marks[1:]), code.find("\n}\n", marks[-1].start())]
    return [(mark[2], code[mark.end() : end]) for mark, end in zip(marks, ends, strict=True)]


def _placed(
    name: str, buffers: dict[str, tuple[int, int]], blocks: list[tuple[str, str]], scratch: int
) -> list[Lifetime]:
    """How long each buffer, an offset and a size, lives; two that live together lie apart, in the scratch memory."""
    spans: dict[str, tuple[int, int]] = {}
    for at, (_, lines) in enumerate(blocks):
        for word in _NAMED.findall(lines):
            spans[word] = (spans.get(word, (at, at))[0], at)
    if strangers := spans.keys() - buffers.keys():
        raise UserError(f"buffer '{min(strangers)}' is not placed", where=name, fix="compile it again")
    lifetimes = [Lifetime(word, buffers[word][1], *span) for word, span in spans.items()]
    offsets = tuple(buffers[word][0] for word in spans)
    try:
        check(Plan(offsets, scratch, 0, ALIGNMENT), lifetimes)
    except Bug as error:
        raise UserError(f"its plan of memory is wrong: {error}", where=name, fix="compile it again") from error
    return lifetimes


def _lasting(ports: tuple[Port, ...], steps: int) -> Iterator[Lifetime]:
    for port in ports:
        yield Lifetime(port.name, port.size, 0, max(steps - 1, 0))


@dataclass(frozen=True)
class _Table:
    section: Section
    constant: Constant


def _readers(blocks: list[tuple[str, str]]) -> dict[str, list[str]]:
    """The titles of the blocks that name a word."""
    readers: dict[str, list[str]] = {}
    for title, lines in blocks:
        for word in dict.fromkeys(_WORD.findall(lines)):
            readers.setdefault(word, []).append(title)
    return readers


def _tables(name: str, data: bytes, readers: Mapping[str, list[str]]) -> Iterator[_Table]:
    """Those in the source."""
    for match in _TABLE.finditer(data):
        ctype, label, count = match[1].decode(), match[2].decode(), int(match[3])
        if ctype not in WIDTHS or match[4].count(b",") != count:
            raise UserError(f"table '{label}' does not hold the {count} numbers that it should", where=name)
        place = (name, match.start(4), match.end(4))
        yield _table(place, ctype, label, count, readers, "decimal")


def _filed(name: str, code: str, readers: Mapping[str, list[str]]) -> Iterator[_Table]:
    """Those in the file of weights."""
    for match in _FILED.finditer(code):
        ctype, label, start, count = match[1], match[2], int(match[3]), int(match[4])
        if ctype not in WIDTHS:
            raise UserError(f"table '{label}' is of no known type", where=name, fix="compile it again")
        place = (weights.companion(name), start, start + count * WIDTHS[ctype])
        yield _table(place, ctype, label, count, readers, "")


def _stored(beside: str, data: bytes, tables: tuple[_Table, ...]) -> tuple[Section, ...]:
    """All bytes of a file of weights; between tables there is only what aligns the next one."""
    head = Section(beside, 0, weights.HEAD, Kind.METADATA)
    sections = cover(beside, data, [head, *(table.section for table in tables)])
    for section in sections:
        room = weights.ALIGNMENT if section.kind == Kind.PADDING else 1
        if section.kind in (Kind.PADDING, Kind.UNMAPPED) and section.end - section.start >= room:
            what = f"its bytes from {section.start} to {section.end} are of no table"
            raise UserError(what, where=beside, fix="compile it again")
    return sections


def _table(
    place: tuple[str, int, int], ctype: str, label: str, count: int, readers: Mapping[str, list[str]], packed: str
) -> _Table:
    kind = Kind.QUANTIZATION if label.rstrip("_0123456789").endswith(_PARAMETERS) else Kind.WEIGHTS
    own, dtype = tuple(readers.get(label, ())), _NUMPY[ctype]
    operator = next(iter(own), "").partition(" ")[2].partition(",")[0]
    section = Section(*place, kind, label, dtype, count * WIDTHS[ctype], operator)
    return _Table(section, Constant(label, kind, dtype, (count,), (place,), own, packed))


def _labelled(name: str, data: bytes, spans: list[Section]) -> tuple[Section, ...]:
    """All characters between tables and metadata are the program."""
    whole, position = [], 0
    for span in sorted(spans, key=lambda span: span.start):
        whole += [Section(name, position, span.start, Kind.GRAPH), span]
        position = span.end
    return cover(name, data, [*whole, Section(name, position, len(data), Kind.GRAPH)])


def _metadata(text: str) -> dict[str, str]:
    match = _METADATA.search(text)
    strings, current = [], ""
    for piece, comma in _STRING.findall(match[1] if match else ""):
        current += re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), piece)
        if comma:
            strings.append(current.encode("latin-1", "replace").decode("utf-8", "replace"))
            current = ""
    return dict(zip(strings[::2], strings[1::2], strict=False))
