"""Files beneath a folder that is not trusted: nothing outside it is read, and nothing enormous."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from compile.errors import UserError

MAX_BYTES = 4 * 2**30
MAX_FILES = 10_000


class Folder(Mapping[str, bytes]):
    """Files of an artefact by their paths relative to ``root``, read when asked for.

    Iterates over the artefact's own files, ``names``; others beneath ``root`` can be asked for by name, as an ONNX
    model does for its external data.
    """

    def __init__(self, root: Path, names: tuple[str, ...]) -> None:
        self.root, self.names = resolve(root), names
        self._read: dict[str, bytes] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, name: str) -> bytes:
        if name not in self._read:
            self._read[name] = self._bytes(name)
        return self._read[name]

    def _bytes(self, name: str) -> bytes:
        path = inside(self.root, name)
        try:
            if not path.is_file():
                if name in self.names:
                    raise UserError("it is not a regular file", where=name, fix="put the file itself in its place")
                raise KeyError(name)
            size = path.stat().st_size
            if size > MAX_BYTES:
                raise UserError(
                    f"{size:,} bytes are more than an artefact may have", where=name, fix="audit models up to 4 GiB"
                )
            with path.open("rb") as file:
                return file.read(size + 1)  # read() makes room for what it is asked for, at once
        except OSError as error:
            raise UserError(f"cannot read: {error.strerror}", where=str(path)) from error


def resolve(path: Path) -> Path:
    """``path`` without links.

    Raises:
        UserError: links go in circles, or the name is impossible.
    """
    try:
        resolved = path.resolve()
        with suppress(FileNotFoundError, NotADirectoryError):
            resolved.stat()  # complains of names that are too long and, since Python 3.13, of circles
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError("no such path can be read", where=str(path)) from error
    return resolved


def inside(root: Path, name: str) -> Path:
    """The path of ``name`` beneath ``root``.

    Raises:
        UserError: it leads out of ``root``, by its name or by a symbolic link.
    """
    pure = PurePosixPath(name)
    path = resolve(root / pure)
    if not name or ".." in pure.parts or not path.is_relative_to(resolve(root)):
        raise UserError(f"the path '{name}' leads out of the folder", where=str(root), fix="audit only what it holds")
    return root / pure


def names_of(root: Path, path: str) -> tuple[str, ...]:
    """The files of the artefact at ``path`` beneath ``root``: itself, or all in it when it is a package; sorted.

    Empty when there is nothing.
    """
    start = inside(root, path)
    if start.is_file():
        return (path,)
    found: list[str] = []
    for folder, _, files in os.walk(start, onerror=_complain):
        found += ((Path(folder) / file).relative_to(root).as_posix() for file in files)
        if len(found) > MAX_FILES:
            raise UserError(f"it holds more than {MAX_FILES:,} files", where=str(start), fix="name an artefact")
    return tuple(sorted(found))


def _complain(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):  # nothing there is an answer
        raise UserError(f"cannot read: {error.strerror}", where=str(error.filename)) from error
