"""Sound as it happens: a microphone, or a file at the speed of its own clock."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from compile.errors import MissingExtra, UserError
from distill.audio import blocks

Array = NDArray[np.float32]
Heard = tuple[int, float, Array]
"""A sample rate, when it was heard by ``time.monotonic``, and mono samples."""
T = TypeVar("T")
CHUNK = 0.01  # seconds that are heard at once
PATIENCE = 3.0  # seconds: microphones give something every few milliseconds, and open within one or two
# FFmpeg's ways to a microphone: platform -> (format, the device where none is named).
MICROPHONES = {
    "linux": ("alsa", "default"),
    "darwin": ("avfoundation", ":default"),
    "win32": ("dshow", ""),
}


def in_real_time(
    path: Path,
    rate: int,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[float, Array]]:
    """A file as somebody would say it now: (when its end was heard, by ``clock``; mono samples at ``rate`` Hz).

    Raises:
        UserError: as ``audio.decode``.
    """
    size, start, heard = round(CHUNK * rate), clock(), 0
    held = np.zeros(0, np.float32)
    for block in blocks(path, rate):
        held = np.concatenate([held, block])
        while len(held) >= size:
            chunk, held = np.split(held, [size])
            heard += size
            due = start + heard / rate
            if (early := due - clock()) > 0:
                sleep(early)
            yield due, chunk
    if len(held):
        yield clock(), held


def microphone(device: str = "") -> Iterator[Heard]:
    """What a microphone hears, whoever reads it how slowly.

    Args:
        device: as FFmpeg names it; empty for the usual one.

    Raises:
        MissingExtra: PyAV is not installed.
        UserError: there is no such device, or it vanished, or hangs.
    """
    silent = UserError("it has given nothing for some time", where="the microphone", fix="plug it in again")
    return within(_recorded(device), PATIENCE, silent)


def within(pieces: Iterable[T], seconds: float, else_: Exception) -> Iterator[T]:
    """``pieces`` as they come, read by a thread of its own; raises ``else_`` when none comes for ``seconds``.

    A driver that hangs cannot be interrupted: its thread is left behind, and ends with the process.
    """
    arrived: queue.SimpleQueue[tuple[T] | BaseException | None] = queue.SimpleQueue()

    def read() -> None:
        try:
            for piece in pieces:
                arrived.put((piece,))
            arrived.put(None)
        except BaseException as error:  # it is raised where the pieces are wanted
            arrived.put(error)

    threading.Thread(target=read, daemon=True, name="listening").start()
    while True:
        try:
            found = arrived.get(timeout=seconds)
        except queue.Empty:
            raise else_ from None
        if found is None:
            return
        if isinstance(found, BaseException):
            raise found
        yield found[0]


def _recorded(device: str) -> Iterator[Heard]:
    """A microphone as FFmpeg reads it; raises as :func:`microphone` does."""
    try:
        import av
    except ModuleNotFoundError as error:
        raise MissingExtra("listening to a microphone", "teacher", "av") from error
    form, usual = MICROPHONES.get(sys.platform, ("", ""))
    name = device or usual
    where = f"microphone '{name}'"
    fix = "name another with --device, as `ffmpeg -sources` lists them"
    if not form or not name:
        raise UserError("this system has no usual microphone", fix=fix)
    try:
        with av.open(name, format=form) as container:
            resampler = av.AudioResampler(format="flt", layout="mono")
            for frame in container.decode(audio=0):
                for piece in resampler.resample(frame):
                    yield piece.sample_rate, time.monotonic(), np.asarray(piece.to_ndarray(), np.float32).reshape(-1)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"it cannot be heard: {reason}", where=where, fix=fix) from error
    raise UserError("it gives nothing any more", where=where, fix="plug it in again")
