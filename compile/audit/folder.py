"""Files beneath a folder that is not trusted: nothing outside it is read, and nothing enormous is held in memory."""

from __future__ import annotations

import mmap
import os
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import cast

from compile.errors import UserError

MAX_BYTES = 4 * 2**30  # of an artefact, all its files together
MAX_FILES = 10_000
POINTER = b"version https://git-lfs.github.com/spec/v1\n"  # how a file begins that git-LFS keeps elsewhere
POINTER_BYTES = 1024
MAPPED = 64 * 2**20  # files of this size on are mapped, not read


class Folder(Mapping[str, bytes]):
    """Files of an artefact by their paths relative to ``root``, read when asked for.

    Iterates over the artefact's own files, ``names``; others beneath ``root`` can be asked for by name, as an ONNX
    model does for its external data. A large file is a memory map: it takes no more memory than is looked at, and it
    must not be cut short meanwhile.
    """

    def __init__(self, root: Path, names: tuple[str, ...]) -> None:
        self.root, self.names = resolve(root), names
        self._read: dict[str, bytes] = {}
        self._size = 0

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
                    raise _odd(name)
                raise KeyError(name)
            with open(path, "rb", opener=_at_once) as file:
                about = os.fstat(file.fileno())
                if not stat.S_ISREG(about.st_mode):
                    raise _odd(name)
                self._size += about.st_size
                if self._size > MAX_BYTES:
                    raise UserError(
                        f"{self._size:,} bytes are more than an artefact may have", where=name, fix="audit up to 4 GiB"
                    )
                if about.st_size >= MAPPED:
                    return cast(bytes, mmap.mmap(file.fileno(), about.st_size, access=mmap.ACCESS_READ))
                data = file.read(about.st_size + 1)  # read() makes room for what it is asked for, at once
        except OSError as error:
            raise _unreadable(error, name) from error
        if len(data) != about.st_size:
            raise UserError("it changed while it was read", where=name, fix="audit it when it is complete")
        if len(data) < POINTER_BYTES and data.startswith(POINTER):
            raise UserError("its bytes are not here, for git-LFS keeps them", where=name, fix="run: git lfs pull")
        return data


def resolve(path: Path) -> Path:
    """``path`` without links.

    Raises:
        UserError: links go in circles, or the name is impossible.
    """
    return _resolved(path, str(path))


def _resolved(path: Path, where: str) -> Path:
    try:
        resolved = path.resolve()
        with suppress(FileNotFoundError, NotADirectoryError):
            resolved.stat()  # complains of names that are too long and, since Python 3.13, of circles
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError("no such path can be read", where=where) from error
    return resolved


def inside(root: Path, name: str) -> Path:
    """The path of ``name`` beneath ``root``.

    Raises:
        UserError: it leads out of ``root``, by its name or by a symbolic link, or it cannot be printed.
    """
    _check(name)
    pure = PurePosixPath(name)
    path = _resolved(root / pure, name)
    outside = pure.is_absolute() or ".." in pure.parts or not path.is_relative_to(resolve(root))
    if not name or outside:
        raise UserError(f"the path '{name}' leads out of the folder", fix="audit only what it holds")
    return root / pure


def names_of(root: Path, path: str) -> tuple[str, ...]:
    """The files of the artefact at ``path`` beneath ``root``: itself, or all in it when it is a package; sorted.

    Empty when there is nothing.

    Raises:
        UserError: it cannot be read, holds too many files or a link to a folder, or leads out of ``root``.
    """
    start = inside(root, path)
    if start.is_file():
        return (path,)
    folders, found, seen = [path], [], 0
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    seen += 1
                    if seen > MAX_FILES:
                        raise UserError(f"it holds more than {MAX_FILES:,} files", where=path, fix="name an artefact")
                    name = f"{PurePosixPath(folder) / entry.name}"
                    _check(name)
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(name)
                    elif entry.is_dir():
                        raise UserError(
                            "it is a link to a folder", where=name, fix="put the folder itself in its place"
                        )
                    else:
                        found.append(name)
        except (FileNotFoundError, NotADirectoryError):
            continue  # nothing there is an answer
        except OSError as error:
            raise _unreadable(error, folder) from error
    return tuple(sorted(found))


def _check(name: str) -> None:
    """Names appear in messages of one line."""
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        raise UserError(f"the file name {name!a} holds what is no text", fix="give it another")


def _at_once(path: str, flags: int) -> int:
    """Open without waiting for a writer, should the file have become a pipe since it was looked at."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _odd(name: str) -> UserError:
    return UserError("it is not a regular file", where=name, fix="put the file itself in its place")


def _unreadable(error: OSError, name: str) -> UserError:
    return UserError(f"cannot read: {error.strerror or error}", where=name)
