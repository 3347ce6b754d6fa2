"""What files are by their content: labels are cached by it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from compile.errors import UserError

_BLOCK = 1 << 20


def digest(paths: Iterable[Path]) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of files' names and contents, in the order given.

    Raises:
        UserError: a file is missing or cannot be read.
    """
    whole = hashlib.sha256()
    for path in paths:
        content = hashlib.sha256()
        if not path.is_file():
            raise UserError("there is no such file", where=str(path))
        try:
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    content.update(block)
        except OSError as error:
            raise UserError(f"cannot be read: {error.strerror}", where=str(path)) from error
        whole.update(f"{path.name}\n{content.hexdigest()}\n".encode())
    return whole.hexdigest()[:16]
