"""Files appear whole or not at all.

Everything phiz writes goes first into a temporary sibling and is then renamed onto its final name, so that a
killed run, a full disk or a failed gate never leaves half a file. May be imported from everywhere.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from compile.errors import UserError


def write_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` by atomic rename, creating the parent folders.

    Raises:
        UserError: the folder cannot be created or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UserError(f"cannot write: {error.strerror}", where=str(path)) from error


@dataclass
class Landing:
    """A folder under construction, and the name it will get."""

    folder: Path
    final: Path

    def divert(self, path: Path) -> None:
        """Let the folder appear as ``path`` instead."""
        self.final = path


@contextmanager
def folder_atomically(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder that becomes ``path`` when the block ends without an exception."""
    with landing_folder(path) as landing:
        yield landing.folder


@contextmanager
def landing_folder(path: Path) -> Iterator[Landing]:
    """As :func:`folder_atomically`, for those who decide only at the end which name the folder deserves.

    An existing ``path`` is replaced as a whole, and only then.

    Raises:
        UserError: the folder cannot be created or replaced.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    except OSError as error:
        raise UserError(f"cannot create the folder: {error.strerror}", where=str(path)) from error
    landing = Landing(temporary, path)
    try:
        yield landing
        temporary.chmod(0o777 & ~_umask())
        replace_folder(temporary, landing.final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def replace_folder(new: Path, path: Path) -> None:
    """Rename the folder ``new`` onto ``path``; what stood there is removed after the exchange."""
    old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.old."))
    try:
        if path.is_dir() and not path.is_symlink():
            os.replace(path, old / "x")
        os.replace(new, path)
    except OSError as error:
        if (old / "x").exists() and not path.exists():
            os.replace(old / "x", path)
        raise UserError(f"cannot replace the folder: {error.strerror}", where=str(path)) from error
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
