"""From labelled spans to sections that cover a file, each byte once.

A dissector claims the spans that it understood; what lies between them is padding where it is zero, and otherwise
bytes that nobody could explain.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from dataclasses import replace

from compile.errors import UserError
from targets.base import Kind, Section

_PIECE = 1 << 20  # bytes


def cover(file: str, data: bytes, spans: Iterable[Section]) -> tuple[Section, ...]:
    """Sections of ``file`` from 0 to ``len(data)``, without gap or overlap, neighbours of one label merged.

    Spans that cover the same bytes (constants stored once and used twice) count once, under the first label.

    Raises:
        UserError: a span lies outside the file, or two spans overlap in part.
    """
    sections: list[Section] = []
    position = 0
    previous = (0, 0)
    for span in sorted(spans, key=lambda span: (span.start, span.end)):  # stable: the first claim comes first
        if not 0 <= span.start <= span.end <= len(data):
            raise UserError(
                f"bytes {span.start} to {span.end} of '{span.layer}' lie outside its {len(data)} bytes",
                where=file,
                fix="the file is truncated or corrupt",
            )
        if span.start == span.end or (span.start, span.end) == previous:
            continue
        if span.start < position:
            raise UserError(
                f"two parts of it overlap at byte {span.start}", where=file, fix="the file is corrupt: write it anew"
            )
        if position < span.start:
            _append(sections, _gap(file, data, position, span.start))
        _append(sections, span)
        position, previous = span.end, (span.start, span.end)
    _append(sections, _gap(file, data, position, len(data)))
    return tuple(sections)


def around(inner: Iterable[Section], outer: Section) -> Iterator[Section]:
    """``inner``, which lie within ``outer``, and the label of ``outer`` on what they leave of it."""
    position = outer.start
    for section in sorted(inner, key=lambda section: (section.start, section.end)):
        if section.start > position:
            yield replace(outer, start=position, end=section.start)
        yield section
        position = max(position, section.end)
    if outer.end > position:
        yield replace(outer, start=position)


def pieces(data: bytes, start: int, end: int) -> Iterator[bytes]:
    """``data[start:end]`` piece by piece; what was seen of a memory map is let go, so that memory stays flat."""
    forget = getattr(data, "madvise", None)  # of a memory map
    for at in range(start, end, _PIECE):
        yield data[at : min(at + _PIECE, end)]
        if forget is not None:
            forget(mmap.MADV_DONTNEED, at // mmap.PAGESIZE * mmap.PAGESIZE, _PIECE)


def _gap(file: str, data: bytes, start: int, end: int) -> Section:
    empty = all(piece.count(0) == len(piece) for piece in pieces(data, start, end))
    return Section(file, start, end, Kind.PADDING if empty else Kind.UNMAPPED)


def _append(sections: list[Section], section: Section) -> None:
    """Add ``section``, growing the last one instead where all but the extent is equal."""
    if section.start == section.end:
        return
    last = sections[-1] if sections else None
    label = (section.kind, section.layer, section.dtype, section.operator)
    if (
        last
        and last.resident is None
        and section.resident is None
        and (last.kind, last.layer, last.dtype, last.operator) == label
    ):
        sections[-1] = Section(last.file, last.start, section.end, *label[:3], operator=last.operator)
    else:
        sections.append(section)
