"""Sounds that nobody recorded: noise to speak against, and silences in which a face must rest.

Equal names give equal sounds.
"""

from __future__ import annotations

import hashlib
import math
import re

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError
from distill.audio import SAMPLE_RATE

LOWEST = 40.0  # Hz: below it, pink noise does not grow
QUIET_SECONDS = 4.0
ROOM = -60.0  # dB of full scale
HUM = -45.0
MAINS = ((50.0, 1.0), (100.0, 0.6), (150.0, 0.4), (250.0, 0.2))  # Hz, amplitude


def pink(samples: int, name: str) -> NDArray[np.float32]:
    """Pink noise ``[samples]``, root mean square 1: power falls with frequency, as in rooms and streets."""
    seed = int.from_bytes(hashlib.sha256(f"noise {name}".encode()).digest()[:8], "big")
    length = 1 << max(samples - 1, 15).bit_length()  # a power of two, for the speed of the transform
    white = np.random.default_rng(seed).standard_normal(length)
    frequencies = np.fft.rfftfreq(length, 1 / SAMPLE_RATE)
    spectrum = np.fft.rfft(white) / np.sqrt(np.maximum(frequencies, LOWEST))
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, length)[:samples]
    return np.asarray(noise / np.sqrt(np.mean(noise**2)), np.float32)


def with_noise(audio: NDArray[np.float32], decibels: float, name: str) -> NDArray[np.float32]:
    """``audio`` with pink noise of a power ``decibels`` below its own; silence stays silent."""
    level = math.sqrt(float(np.mean(np.square(audio, dtype=np.float64)))) * 10 ** (-decibels / 20)
    return np.asarray(audio + np.float32(level) * pink(len(audio), name), np.float32)


def silences() -> dict[str, NDArray[np.float32]]:
    """Four seconds each of digital silence, a room in which nobody speaks, and the hum of the mains."""
    count = round(QUIET_SECONDS * SAMPLE_RATE)
    time = np.arange(count) / SAMPLE_RATE
    hum = np.sum([size * np.sin(2 * np.pi * rate * time) for rate, size in MAINS], axis=0)
    hum /= np.sqrt(np.mean(hum**2))
    return {
        "digital": np.zeros(count, np.float32),
        "room": np.asarray(10 ** (ROOM / 20) * pink(count, "room"), np.float32),
        "hum": np.asarray(10 ** (HUM / 20) * hum, np.float32),
    }


def parse_noise(text: str) -> float:
    """Decibels of ``20dB``.

    Raises:
        UserError: it is no such level.
    """
    match = re.fullmatch(r"\s*(-?[0-9]{1,3}(?:\.[0-9]{1,3})?)\s*dB\s*", text, re.IGNORECASE)
    if match is None:
        raise UserError(f"'{text}' is no level of noise", where="--noise", fix="write how far it lies below: 20dB")
    return float(match.group(1))
