"""C text: identifiers, numbers, tables and comments that hold whatever a model calls its parts."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the auditor reads sources without numpy
    from numpy.typing import NDArray

CTYPES = {
    "float32": "float",
    "float16": "uint16_t",
    "int8": "int8_t",
    "uint8": "uint8_t",
    "bool": "uint8_t",
    "uint16": "uint16_t",
    "int32": "int32_t",
}
WIDTHS = {"float": 4, "int8_t": 1, "uint8_t": 1, "uint16_t": 2, "int32_t": 4}
_KEYWORDS = """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl concept const
    const_cast constexpr continue decltype default delete do double dynamic_cast else enum explicit export
    extern false float for friend goto if inline int long mutable namespace new noexcept not not_eq nullptr
    operator or or_eq private protected public register reinterpret_cast requires restrict return short signed
    sizeof static static_assert static_cast struct switch template this thread_local throw true try typedef
    typeid typename union unsigned using virtual void volatile wchar_t while xor xor_eq linux unix errno scratch
    state main at few weights from
"""
_RESERVED = frozenset(_KEYWORDS.split())
_WIDTH = 116


def identifier(name: str) -> str:
    """``name`` as a C identifier: other letters become underscores, and what would be taken gets one behind it."""
    word = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_") or "value"
    word = word if word[0].isalpha() else f"n{word}"
    taken = (
        word in _RESERVED
        or re.fullmatch(r"phiz_\w*|PHIZ_\w*|v\d+|[a-z]|[A-Z0-9_]+", word) is not None
        or word.endswith("_t")
    )
    return (f"{word}_" if taken else word)[:80]


def unique(name: str, taken: Iterable[str]) -> str:
    """``name``, or with a number behind it when it is taken; macros are capitals, so that case makes no difference."""
    known, word, count = {other.upper() for other in taken}, name, 1
    while word.upper() in known:
        count += 1
        word = f"{name}_{count}"
    return word


def quoted(text: str) -> str:
    """``text`` in double quotes and ASCII, as a C string and harmless within a comment."""
    return json.dumps(text, ensure_ascii=True).replace("*/", "*\\/").replace("/*", "\\/*").replace("?", "\\?")


def string(text: str) -> str:
    """``text`` as a C string literal of its UTF-8 bytes; octal escapes, for those end by themselves."""
    plain = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}" for byte in text.encode()
    )
    pieces = re.findall(r"(?:\\\d{3}|[^\\]){1,96}", plain) or [""]
    return "\n        ".join(f'"{piece}"' for piece in pieces)


def real(value: float) -> str:
    """A float literal of this number, which if it is numpy's float32 has as many digits as that needs."""
    if math.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    if math.isnan(value):
        return "NAN"
    text = str(value)
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def table(name: str, ctype: str, array: NDArray[Any]) -> str:
    """A constant table."""
    flat = array.reshape(-1)
    words = [real(value) for value in flat] if ctype == "float" else list(map(str, flat.tolist()))
    lines, line = [], ""
    for word in words:
        if len(line) + len(word) + 1 > _WIDTH:
            lines.append(line)
            line = ""
        line += f"{word},"
    body = "\n    ".join([*lines, line])
    return f"static const {ctype} {name}[{flat.size}] = {{\n    {body}\n}};\n"
