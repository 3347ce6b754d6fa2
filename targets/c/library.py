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
_BASES = {  # set -> the one that it takes from what it does not do itself; the first that fits is taken
    "avx512vnni": "portable",
    "avxvnni": "avx2",
    "avx2": "portable",
    "sse41": "portable",
    "neon_dot": "neon",
    "neon": "portable",
    "vector": "portable",
    "portable": "",
}
_PLAIN = ("vector", "portable")  # without intrinsics
_SETS = tuple(f"sets/{name}" for name in _BASES)
_PIECE = re.compile(r"^/\*\* (\w+):", re.M)
_WORD = re.compile(r"\b(?:phiz|PHIZ)_\w+")
_WHEN = re.compile(r"/\* when: (.+?) \*/\n", re.S)
_INCLUDES = {"memcpy": "string.h", "memset": "string.h", "sqrtf": "math.h", "INFINITY": "math.h", "NAN": "math.h"}


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
    """The pieces that instruction sets do each in its way, as one choice of the preprocessor.

    What only some sets need is not there for others, or a compiler would miss who calls it.
    """
    if not any(piece.name in wanted for piece in _pieces("sets/portable")):
        return []
    lines = []
    for at, name in enumerate(_BASES):
        own = _with_base(name)
        texts = [piece.text for piece in own if piece.name in wanted]
        condition = _condition(name) if name in _PLAIN else f"!defined(PHIZ_PORTABLE) && ({_condition(name)})"
        word = f"#elif {condition}" if at else f"#if {condition}"
        lines.append(f"{'#else' if name == 'portable' else word} /* {name} */")
        lines += [*_header(name), "", "\n".join(texts)]
    return ["\n".join([*lines, "#endif\n"])]


def _with_base(name: str) -> tuple[Piece, ...]:
    """The pieces of a set, and of its base what it lacks."""
    own = _pieces(f"sets/{name}")
    known = {piece.name for piece in own}
    base = _with_base(_BASES[name]) if _BASES[name] else ()
    return (*own, *(piece for piece in base if piece.name not in known))


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
    match = _WHEN.match(_source(f"sets/{name}"))
    return match[1] if match else "1"


def _header(name: str) -> list[str]:
    """The lines that declare a set's instructions: those between its condition and its first piece."""
    text = _source(f"sets/{name}")
    first = _PIECE.search(text)
    return [line for line in text[: first.start() if first else 0].splitlines() if line.startswith("#")]
