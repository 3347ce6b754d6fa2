"""Audio in: any file that PyAV reads, as mono float32 at 16 kHz. Audio out: 16-bit WAV.

Decoding streams: a file of any length passes through in small blocks, and only :func:`decode` holds it whole.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from compile.errors import MissingExtra, UserError
from compile.files import write_atomically
from distill import wav

if TYPE_CHECKING:
    from av import AudioFrame

SAMPLE_RATE = 16_000
HOP = 320  # samples between two frames of curves: 50 a second
RATES = (4_000, 768_000)  # of files: lower holds no speech, higher no recorder writes
# FFmpeg goes by what a file holds, not by its name, and some of its formats list other files to be opened. Speech is
# data: these hold their own samples.
_FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,eac3,flac,flv,g722,gsm,loas,matroska,mov,mp3,mpeg,mpegts,nut,ogg,sln,"
    "tta,w64,wav,wv"
)
_ALONE = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
_FLOATS = ("flt", "dbl")  # FFmpeg's names of sample formats that can hold NaN


def frame_count(samples: int) -> int:
    """How many frames cover ``samples``: frame ``k`` is at ``k * HOP``, the last one before the end."""
    return -(-samples // HOP)


def decode(path: Path, rate: int = SAMPLE_RATE) -> NDArray[np.float32]:
    """The whole file as mono float32 samples ``[time]`` in [-1, 1] at ``rate`` Hz.

    Raises:
        UserError: the file is missing, unreadable, has no audio stream, no samples, or NaN or infinite ones; the
            message names it.
        MissingExtra: PyAV is not installed.
    """
    return np.concatenate(list(blocks(path, rate)))


def blocks(path: Path, rate: int = SAMPLE_RATE) -> Iterator[NDArray[np.float32]]:
    """Stream a file as mono float32 blocks ``[samples]`` at ``rate`` Hz; raises as :func:`decode` does.

    Without PyAV, 16-bit WAV is read all the same, in one block.
    """
    where = str(path)
    if not path.is_file():
        raise UserError("there is no such audio file", where=where, fix="check the path")
    try:
        import av
    except ModuleNotFoundError as error:
        plain = wav.read(path)
        if plain is None:
            raise MissingExtra("reading audio other than 16-bit WAV", "teacher", "av") from error
        if not len(plain[0]):
            raise UserError("it has no samples", where=where) from error
        yield wav.resample(*plain, rate)
        return
    resampler = av.AudioResampler(format="fltp", rate=rate)
    count = 0
    try:
        with av.open(where, options=_ALONE, metadata_errors="replace") as container:  # titles are not always UTF-8
            if not container.streams.audio:
                raise UserError("it has no audio stream", where=where)
            stream = container.streams.audio[0]
            if not RATES[0] <= stream.rate <= RATES[1]:
                raise UserError(f"it claims a sample rate of {stream.rate:,} Hz", where=where, fix="export it again")
            for frame in container.decode(stream):
                if frame.format.name.startswith(_FLOATS) and not np.isfinite(frame.to_ndarray()).all():
                    raise UserError("it holds samples that are NaN or infinite", where=where, fix="export it again")
                for piece in resampler.resample(frame):
                    count += piece.samples
                    yield _samples(piece)
            for piece in resampler.resample(None) if count else ():
                yield _samples(piece)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"it cannot be read as audio: {reason}", where=where, fix="convert it to WAV") from error
    if count == 0:
        raise UserError("it has no samples", where=where)


def as_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """``samples`` [time], which are clipped to [-1, 1], with 1 as 32767."""
    return np.asarray(np.round(np.clip(samples, -1, 1) * 32767), np.int16)


def as_float(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """What :func:`as_int16` was given, up to its rounding."""
    return samples.astype(np.float32) / np.float32(32767)


def write_wav(path: Path, samples: NDArray[np.float32] | NDArray[np.int16], rate: int = SAMPLE_RATE) -> None:
    """Write mono ``samples`` [time] (int16, or float in [-1, 1], clipped) as a 16-bit WAV, atomically."""
    if samples.dtype != np.int16:
        samples = as_int16(np.asarray(samples, np.float32))
    write_atomically(path, wav_of(samples, rate))


def wav_of(samples: NDArray[np.generic], rate: int = SAMPLE_RATE) -> bytes:
    """A WAV of mono int16 ``samples`` [time]."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()


def _samples(frame: AudioFrame) -> NDArray[np.float32]:
    """``[samples]``: the mean of the frame's channels; FFmpeg's own mixing to mono is louder than either channel."""
    channels = np.asarray(frame.to_ndarray(), dtype=np.float32)
    return np.asarray(channels.mean(axis=0))
