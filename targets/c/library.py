"""The kernels' C text: only what a network uses is copied out of ``kernels/``.

A file is a sequence of pieces, each behind a comment that begins with two stars and the piece's name. Files in
``kernels/sets`` hold the same pieces for one instruction set each; their first line says when the preprocessor takes
them, and the portable ones are for all others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_BEFORE, _BEHIND = ("functions", "quantise", "elementwise"), ("products",)
_SETS = ("sets/portable",)
_PIECE = re.compile(r"^/\*\* (\w+):", re.M)
_WORD = re.compile(r"\b(?:phiz|PHIZ)_\w+")
_WHEN = re.compile(r"/\* when: (.+) \*/\n")
_INCLUDES = {"memcpy": "string.h", "memset": "string.h", "sqrtf": "math.h", "INFINITY": "math.h"}


@dataclass(frozen=True)
class Piece:
    """One definition: its name, its text, and what it calls."""

    name: str
    text: str

    @property
    def needs(self) -> frozenset[str]:
        """Names of other pieces, and perhaps of what is no piece."""
        return frozenset(_WORD.findall(self.text)) - {self.name}


def text_of(calls: Iterable[str]) -> str:
    """C definitions of what is called and of all that those need, in the order of their files."""
    known = [piece for name in (*_BEFORE, *_SETS, *_BEHIND) for piece in _pieces(name)]
    wanted = _closure(calls, known)
    before, behind = (
        [piece.text for name in names for piece in _pieces(name) if piece.name in wanted]
        for names in (_BEFORE, _BEHIND)
    )
    return "\n".join([*before, *_of_sets(wanted), *behind])


def includes(text: str) -> list[str]:
    """The standard headers that a text needs."""
    return sorted({header for word, header in _INCLUDES.items() if re.search(rf"\b{word}\b", text)})


def _of_sets(wanted: frozenset[str]) -> list[str]:
    """The pieces that instruction sets do each in its way, as one choice of the preprocessor."""
    branches = []
    for name in _SETS:
        texts = [piece.text for piece in _pieces(name) if piece.name in wanted]
        if texts:
            branches.append((name.removeprefix("sets/"), _condition(name), "\n".join(texts)))
    if not branches:
        return []
    if len(branches) == 1:
        return [branches[0][2]]
    lines = []
    for at, (name, condition, text) in enumerate(branches):
        word = "#if" if at == 0 else "#elif"
        lines.append(f"#else /* {name} */" if name == "portable" else f"{word} {condition} /* {name} */")
        lines.append(text)
    return ["\n".join([*lines, "#endif\n"])]


def _closure(calls: Iterable[str], pieces: Iterable[Piece]) -> frozenset[str]:
    needs: dict[str, set[str]] = {}
    for piece in pieces:
        needs.setdefault(piece.name, set()).update(piece.needs)
    found: set[str] = set()
    waiting = [name for name in calls if name in needs]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [need for need in needs[name] if need in needs]
    return frozenset(found)


@cache
def _source(name: str) -> str:
    return (files("targets.c") / "kernels" / f"{name}.h").read_text(encoding="utf-8")


@cache
def _pieces(name: str) -> tuple[Piece, ...]:
    text = _source(name)
    starts = [*_PIECE.finditer(text)]
    ends = [*(match.start() for match in starts[1:]), len(text)]
    return tuple(
        Piece(match[1], text[match.start() : end].strip().replace(f"/** {match[1]}: ", "/* ", 1) + "\n")
        for match, end in zip(starts, ends, strict=True)
    )


def _condition(name: str) -> str:
    match = _WHEN.match(_source(name))
    return match[1] if match else "1"
