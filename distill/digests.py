"""What files and facts are by their content: labels are cached by it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from compile.errors import UserError

_BLOCK = 1 << 20


def content(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal digits.

    Raises:
        UserError: it is missing or cannot be read.
    """
    if not path.is_file():
        raise UserError("there is no such file", where=str(path), fix="check the path")
    found = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                found.update(block)
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path)) from error
    return found.hexdigest()


def digest(paths: Iterable[Path]) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of files' names and contents, in the order given.

    Raises:
        UserError: a file is missing or cannot be read.
    """
    whole = hashlib.sha256()
    for path in paths:
        whole.update(f"{path.name}\n{content(path)}\n".encode())
    return whole.hexdigest()[:16]


def key(*facts: object) -> str:
    """32 hexadecimal digits that are others for other facts, which are JSON-able."""
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]
