"""The size of a runtime's library, as the user gives it: phiz does not know which build of it an app ships."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compile.audit.folder import names_of, resolve
from compile.errors import UserError
from compile.units import UNITS, parse_size


@dataclass(frozen=True)
class Library:
    """A library, or what it is said to take: its bytes on disk; ``name`` is empty where only a size was given."""

    name: str
    size: int


def library(text: str) -> Library:
    """The library at a path, a file or everything in a folder such as a ``.framework``; or a size such as ``3.1 MB``.

    Raises:
        UserError: it is neither.
    """
    path = Path(text)
    place = resolve(path)
    if text and place.exists():
        return Library(
            path.name, sum((place.parent / name).stat().st_size for name in names_of(place.parent, place.name))
        )
    if text.rstrip().endswith(tuple(UNITS)) and text.lstrip()[:1].isdigit():
        return Library("", parse_size(text, "--runtime-library"))
    raise UserError(
        f"'{text}' is neither a file or folder nor a size", where="--runtime-library", fix="give one, such as 3.1MB"
    )
