"""Arrays from an ``.npz`` that nobody vouches for: no pickle, and no byte is allocated before its size is known.

numpy allocates what an array's header claims; here a header must agree with the archive's directory first, and an
array is read only when it is asked for.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError

LIMIT = 2 * 10**9  # bytes of one array
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_BROKEN = (OSError, ValueError, EOFError, RuntimeError, SyntaxError, zipfile.BadZipFile, zlib.error)
_FIX = "write it with numpy.savez, without objects"


@dataclass(frozen=True)
class Header:
    """What an array claims to be; ``begin`` is where its values begin within its member of the archive."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    begin: int


@dataclass(frozen=True)
class Archive:
    """An ``.npz`` whose headers are read and true; ``headers`` by name."""

    path: Path
    headers: Mapping[str, Header]

    def read(self, name: str, *, limit: int = LIMIT) -> NDArray[Any]:
        """One array.

        Raises:
            UserError: it is absent, larger than ``limit`` bytes, or damaged.
        """
        if name not in self.headers:
            raise UserError(f"it has no array '{name}'", where=str(self.path))
        header = self.headers[name]
        size = math.prod(header.shape) * header.dtype.itemsize
        if size > limit:
            raise UserError(f"the array '{name}' is {size:,} bytes, more than {limit:,}", where=str(self.path))
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(f"{name}.npy") as member:
                member.read(header.begin)
                values = np.frombuffer(member.read(size), header.dtype)
                return values.reshape(header.shape, order="F" if header.fortran else "C")
        except _BROKEN as error:
            raise UserError(f"the array '{name}' is damaged: {error}", where=str(self.path), fix=_FIX) from error


def open_npz(path: Path) -> Archive:
    """Read the directory and the headers of an ``.npz``.

    Raises:
        UserError: it is missing, no ``.npz`` of plain arrays, or an array's header contradicts its size.
    """
    if not path.is_file():
        raise UserError("there is no such file", where=str(path))
    headers: dict[str, Header] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if info.filename.endswith(".npy"):
                    with archive.open(info) as member:
                        headers[info.filename.removesuffix(".npy")] = _header(member, info.file_size)
    except Exception as error:  # numpy reads a header with Python's own parser, which raises many types
        raise UserError(f"not an .npz of plain arrays: {error}", where=str(path), fix=_FIX) from error
    return Archive(path, headers)


def _header(member: IO[bytes], size: int) -> Header:
    version = np.lib.format.read_magic(member)
    if version not in _HEADERS:
        raise ValueError(f"array format {version}")
    shape, fortran, dtype = _HEADERS[version](member)
    begin = member.tell()
    if dtype.hasobject:
        raise ValueError("an array of Python objects")
    if any(length < 0 for length in shape) or math.prod(shape) * dtype.itemsize != size - begin:
        raise ValueError(f"an array of {size - begin} bytes claims to be {dtype} {list(shape)}")
    return Header(shape, dtype, fortran, begin)
