"""Curves as NumPy's archive: ``curves`` float32 ``[frames, controls]``, ``frame_rate`` in Hz, and ``controls``, names.

``numpy.load`` reads it, and so does whatever here reads ready-made curves. Nothing is compressed, and equal curves give
equal bytes.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray


def encode(
    blocks: Iterable[NDArray[np.float32]], frames: int, controls: Sequence[str], frame_rate: float, title: str
) -> Iterator[bytes]:
    """The file, piece by piece; arguments as of :data:`distill.animation.formats.Encode`."""
    del title  # there is no place for it
    outlet = _Outlet()
    with zipfile.ZipFile(outlet, "w") as archive:
        for name, array in (("frame_rate", np.float64(frame_rate)), ("controls", np.array(list(controls), np.str_))):
            with archive.open(_member(name, array.nbytes), "w") as member:
                np.lib.format.write_array(member, np.asarray(array), (1, 0), allow_pickle=False)
        with archive.open(_member("curves", 4 * frames * len(controls)), "w") as member:
            facts = {"descr": "<f4", "fortran_order": False, "shape": (frames, len(controls))}
            np.lib.format.write_array_header_1_0(member, facts)
            for block in blocks:
                member.write(block.astype("<f4").tobytes())
                yield outlet.taken()
    yield outlet.taken()


def _member(name: str, size: int) -> zipfile.ZipInfo:
    """An entry of about ``size`` bytes without a date; beyond 2 GB its sizes take 64 bits."""
    info = zipfile.ZipInfo(f"{name}.npy")
    info.create_system, info.file_size = 3, size  # as on Unix, everywhere
    return info


class _Outlet:
    """What the archive writes, until it is taken; it cannot go back, so sizes and digests follow what they are of."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing waits elsewhere."""

    def close(self) -> None:
        """Nothing is open."""

    def taken(self) -> bytes:
        """All that was written since."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
