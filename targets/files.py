"""The files of an artefact on disk, for those who run it."""

from __future__ import annotations

from pathlib import Path

from compile.errors import UserError
from targets.base import Files


def read_files(path: Path, beside: tuple[str, ...] = ()) -> Files:
    """Every file of an artefact, by its path from the artefact's parent folder: itself, or what a package holds.

    Args:
        path: of the artefact.
        beside: suffixes of further files that belong to it.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    if not path.exists():
        raise UserError("there is no such artefact", where=str(path))
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    files += [other for suffix in beside if (other := path.with_suffix(suffix)).is_file()]
    found = {}
    for file in files:
        if not file.is_symlink() or file == path:
            try:
                found[file.relative_to(path.parent).as_posix()] = file.read_bytes()
            except OSError as error:
                raise UserError(f"cannot read: {error.strerror}", where=str(file)) from error
    if not found:
        raise UserError("it is empty", where=str(path))
    return found
