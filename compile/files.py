"""Files appear whole or not at all.

Everything phiz writes goes first into a temporary sibling and is then renamed onto its final name, so that a
killed run, a full disk or a failed gate never leaves half a file. May be imported from everywhere.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from compile.errors import UserError

TRIES = 4  # to make a folder that no other process sweeps away at once


def write_atomically(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Write ``data``, in one part or in many, to ``path`` by atomic rename, creating the parent folders.

    Raises:
        UserError: the folder cannot be created or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.writelines([data] if isinstance(data, bytes) else data)
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UserError(f"cannot write: {error.strerror}", where=str(path)) from error


def contents(path: Path) -> bytes:
    """All bytes of a file.

    Raises:
        OSError: it cannot be read, or is a pipe or a device, which would be waited for without end.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "it is no file", str(path))
    return path.read_bytes()


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

    An existing ``path`` is replaced as a whole, and only then; ask :func:`require_replaceable` first. What a killed
    run left behind is swept away.

    Raises:
        UserError: the folder cannot be created, written (a full disk) or replaced.
    """
    with workbench(path) as temporary:
        landing = Landing(temporary, path)
        try:
            yield landing
            temporary.chmod(0o777 & ~_umask())
            replace_folder(temporary, landing.final)
        except OSError as error:
            raise UserError(f"cannot write: {error.strerror or error}", where=str(path)) from error


@contextmanager
def workbench(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``path`` for what is not whole yet; it goes when the block ends.

    What a killed run left behind is swept away, what other processes work on is not.

    Raises:
        UserError: the folder cannot be created.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        temporary, handle = _locked_folder(path)
    except OSError as error:
        raise UserError(f"cannot create the folder: {error.strerror}", where=str(path)) from error
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def plain_folder(path: Path) -> Path:
    """``path`` by a name that can be replaced: ``.``, ``..`` and links become the folder that they mean.

    Raises:
        UserError: it has no such name.
    """
    folder = path.resolve() if path.name in ("", "..") or path.is_symlink() else path
    if not folder.name:
        raise UserError("it is the root of the file system", where=str(path), fix="choose another with -o")
    return folder


def require_replaceable(path: Path, ours: Callable[[str], bool], what: str) -> None:
    """Make sure that replacing the folder ``path`` destroys nobody's work.

    Args:
        path: may be absent, or empty.
        ours: whether phiz writes a file or folder of this name there.
        what: the folder is when it is ours, for the message.

    Raises:
        UserError: it is a file, holds something that phiz did not write, or cannot be read.
    """
    try:
        strangers = sorted(entry.name for entry in path.iterdir() if not ours(entry.name) and entry.name != ".DS_Store")
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        raise UserError("it exists and is no folder", where=str(path), fix="choose another with -o") from error
    except OSError as error:
        raise UserError(f"cannot read: {error.strerror}", where=str(path)) from error
    if strangers:
        raise UserError(
            f"it exists and is not {what}: it holds '{strangers[0]}'", where=str(path), fix="choose another with -o"
        )


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


def _prefix(path: Path) -> str:
    return f".{path.name}.new."


def _locked_folder(path: Path) -> tuple[Path, int | None]:
    """A new folder beside ``path`` and the handle that holds it, or None where nobody can, nor sweep."""
    for _ in range(TRIES):  # another process may sweep it away before it is held
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=_prefix(path)))
        handle = _lock(temporary)
        if handle is not None and temporary.is_dir():
            return temporary, handle
        if handle is not None:
            os.close(handle)
        shutil.rmtree(temporary, ignore_errors=True)
    return Path(tempfile.mkdtemp(dir=path.parent, prefix=_prefix(path))), None


def _lock(folder: Path) -> int | None:
    """A handle that holds ``folder`` as long as this process lives; None when another holds it, or nobody can."""
    try:
        import fcntl
    except ImportError:  # not on this system; then nothing is swept either
        return None
    try:
        handle = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:  # another has swept it away
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _sweep(path: Path) -> None:
    """Remove the folders under construction that a killed run left beside ``path``."""
    for left in [entry for entry in path.parent.iterdir() if entry.name.startswith(_prefix(path))]:
        if left.is_dir() and (handle := _lock(left)) is not None:
            shutil.rmtree(left, ignore_errors=True)
            os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
