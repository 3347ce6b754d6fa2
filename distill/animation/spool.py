"""Frames that wait on disk: an hour of a face is 37 MB, and each format goes over all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

import numpy as np
from numpy.typing import NDArray

AT_ONCE = 512  # frames that are in memory


class Spool:
    """Frames ``[controls]`` in the order in which they came.

    Args:
        file: empty, to be written and read.
        controls: of a frame.
    """

    def __init__(self, file: IO[bytes], controls: int) -> None:
        self._file, self._controls = file, controls
        self.frames = 0

    def append(self, block: NDArray[np.float32]) -> None:
        """Keep ``[n, controls]``."""
        self._file.write(np.ascontiguousarray(block, np.float32).tobytes())
        self.frames += len(block)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """All that is kept, from the first frame on: ``[n, controls]`` float32; once at a time."""
        self._file.seek(0)
        while data := self._file.read(4 * self._controls * AT_ONCE):
            yield np.frombuffer(data, np.float32).reshape(-1, self._controls)
