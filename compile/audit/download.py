"""What is downloaded: files compressed as servers compress them, by a thread of its own while others read them.

Compressing takes as long as all the rest of an audit, and both compressors let Python go on meanwhile.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

from compile.errors import UserError
from targets.base import Files
from targets.sections import pieces

DEFLATE, BROTLI = 6, 6  # levels, as servers compress; the same always, or sizes could not be compared


class Download:
    """Compresses an artefact's own files within its context, and others when they are asked for."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._own: dict[str, bytes] = {}
        with suppress(UserError):  # who reads them next says so
            self._own = {name: files[name] for name in files}
        self._sizes: dict[str, tuple[int, int | None]] = {}
        self._thread = Thread(target=self._compress, daemon=True)
        self._wanted = True

    def __enter__(self) -> Download:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wanted = False  # of an artefact that is malformed
        self._thread.join()

    def of(self, name: str) -> tuple[int, int | None]:
        """Bytes of a file compressed with deflate and with brotli; None where there is no brotli."""
        self._thread.join()
        if name not in self._sizes:  # it is beside the artefact, as external data are
            self._sizes[name] = self._both(self._files[name])
        return self._sizes[name]

    def _compress(self) -> None:
        with suppress(Exception):  # who asks for the size meets it again, where it can be told
            for name, data in self._own.items():
                self._sizes[name] = self._both(data)

    def _both(self, data: bytes) -> tuple[int, int | None]:
        deflate = zlib.compressobj(DEFLATE)
        return self._compressed(data, deflate.compress, deflate.flush), self._brotli(data)

    def _brotli(self, data: bytes) -> int | None:
        try:
            import brotli
        except ImportError:  # where an interpreter has no wheel of it, the other sizes are known all the same
            return None
        stream = brotli.Compressor(quality=BROTLI)
        return self._compressed(data, stream.process, stream.finish)

    def _compressed(self, data: bytes, compress: Callable[[bytes], bytes], finish: Callable[[], bytes]) -> int:
        """Bytes of what a compressor gives for ``data``, of which nothing is kept."""
        size = 0
        for piece in pieces(data, 0, len(data)):
            if not self._wanted:
                raise InterruptedError("nobody wants to know any more")
            size += len(compress(piece))
        return size + len(finish())
