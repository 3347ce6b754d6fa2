"""Values out of a TOML table, each of the kind that it should have, or an error that names table and key."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from compile.errors import UserError
from compile.files import contents

TEXT, LIST, SWITCH, TABLE = (str,), (list,), (bool,), (dict,)
_WORDS = {
    str: "text in quotes",
    list: "a list in []",
    dict: "a table",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


def parse(path: Path) -> Mapping[str, Any]:
    """The TOML file ``path``.

    Raises:
        UserError: unreadable, not UTF-8, or not TOML.
    """
    if sys.version_info >= (3, 11):  # imported here: `phiz audit` without a configuration starts without it
        import tomllib
    else:
        import tomli as tomllib
    try:
        text = contents(path).decode("utf-8")
    except OSError as error:
        raise UserError(f"cannot read: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise UserError("is not UTF-8 text", where=str(path)) from error
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UserError(f"is not TOML: {error}", where=str(path)) from error


def table(data: object, known: Mapping[str, tuple[type, ...]], where: str) -> dict[str, Any]:
    """``data`` if it is a table of known keys with values of their kinds.

    Raises:
        UserError: it is not; names the key, and the known ones.
    """
    if not isinstance(data, dict):
        raise UserError("is not a table", where=where)
    for key, value in data.items():
        if key not in known:
            raise UserError(f"unknown key {key!r}", where=where, fix=choose(key, known))
        if not isinstance(value, known[key]) or isinstance(value, bool) != (bool in known[key]):
            wanted = " or ".join(_WORDS[kind] for kind in known[key])
            raise UserError(f"'{key}' is {type(value).__name__} {value!r}", where=where, fix=f"write {wanted}")
    return data


def tables(data: object, where: str) -> Mapping[str, object]:
    """``data`` if it is a table of whatever names.

    Raises:
        UserError: it is not.
    """
    if not isinstance(data, dict):
        name = where.rpartition("[")[2].rstrip("]")
        raise UserError(f"holds tables: [{name}.NAME]", where=where)
    return data


def strings(values: object, where: str) -> tuple[str, ...]:
    """``values`` if they are a list of text.

    Raises:
        UserError: they are not.
    """
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise UserError("is not a list of strings", where=where)
    return tuple(values)


def choose(word: str, known: Iterable[str]) -> str:
    """What to write in place of ``word``: the one that looks like it, and all."""
    from difflib import get_close_matches

    names = list(known)
    close = get_close_matches(word, names, n=1)
    meant = f"did you mean '{close[0]}'? " if close else ""
    return f"{meant}known are: {', '.join(names)}"
