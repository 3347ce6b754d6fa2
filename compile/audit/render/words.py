"""Names and sizes as every renderer prints them.

Names come from model files and are hostile until shown otherwise: a layer may be called after a terminal's escape
sequence, a command of a CI service, or a hundred thousand letters.
"""

from __future__ import annotations

import re

from compile.units import counted, short_size

UNKNOWN = "–"  # noqa: RUF001  (the sign for "not known" is an en dash)


def harmless(text: str) -> str:
    r"""``text`` on one line, without what a terminal, a log or a parser obeys.

    Control and format characters, line and paragraph separators, lone surrogates and code points that are no
    characters are written as Python escapes (``\x1b``, ``\u202e``). So is the first sign of ``##``, and of ``::`` where
    a word begins and a line may: by these the logs of CI services recognise commands.
    """
    if not text.isprintable():
        text = "".join(sign if sign.isprintable() else _escaped(sign) for sign in text)
    if "##" in text:
        text = re.sub("#(?=#)", r"\\x23", text)
    return re.sub(r"(?<!\S)::", r"\\x3a:", text) if "::" in text else text


def brief(text: str, most: int = 240) -> str:
    """``harmless``, and cut in the middle to ``most`` characters: a layer's name begins and ends with what tells it."""
    if len(text) > 8 * most:  # so that escaping takes no time for a name of megabytes
        text = text[: 4 * most] + text[-4 * most :]
    text = harmless(text)
    if len(text) <= most:
        return text
    head, tail = most // 2, (most - 1) // 2
    return f"{text[:head]}…{text[len(text) - tail :]}"


def share(part: int, whole: int) -> str:
    """``98.2 %``; what is not quite nothing, or not quite all, never looks like it."""
    if not whole:
        return UNKNOWN
    shown = f"{100 * part / whole:.1f} %"
    if shown == "0.0 %" and part:
        return "< 0.1 %"
    if shown == "100.0 %" and part != whole:
        return "> 99.9 %" if part < whole else "> 100.0 %"
    return shown


def rise(old: int, new: int) -> str:
    """``+0.5 %`` of an ``old`` above 0, in as many digits as show a change."""
    share = 100 * (new - old) / old
    return f"{share:+.1f} %" if abs(share) >= 0.1 else f"{share:+.1g} %"


def sizes(*values: int) -> tuple[str, ...]:
    """Each for people; all in exact bytes where two that differ would look alike."""
    if len({short_size(value) for value in values}) < len(set(values)):
        return tuple(counted(value, "byte") for value in values)
    return tuple(short_size(value) for value in values)


def signed(value: int) -> str:
    """``+1,234 bytes``."""
    return f"{'+' if value > 0 else ''}{counted(value, 'byte')}"


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")
