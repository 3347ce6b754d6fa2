"""Sound as it happens: a microphone, or a file at the speed of its own clock."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compile.errors import MissingExtra, UserError
from distill.audio import blocks

Array = NDArray[np.float32]
CHUNK = 0.01  # seconds that are heard at once
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


def microphone(device: str = "") -> Iterator[tuple[int, float, Array]]:
    """What a microphone hears: (its sample rate, when it was heard by ``time.monotonic``, mono samples).

    Args:
        device: as FFmpeg names it; empty for the usual one.

    Raises:
        MissingExtra: PyAV is not installed.
        UserError: there is no such device, or it vanished.
    """
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
