"""The same speech by another speaker, offline: pitch, intonation, formants and breath are changed, times are not.

This is the WORLD vocoder (Morise, Yokomori and Ozawa, "WORLD: A Vocoder-Based High-Quality Speech Synthesis System for
Real-Time Applications", 2016) by the Python package `pyworld`: a fundamental frequency, an envelope and a share of
noise for every 5 ms are taken from the speech, changed apart from each other, and spoken again.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from compile.errors import MissingExtra
from distill.audio import SAMPLE_RATE
from distill.augment.spectrum import Samples

PERIOD = 5.0  # ms
LOWEST, HIGHEST = 60.0, 600.0  # Hz of the fundamental frequency, before and after
REACH = 80  # samples by which the synthesis may be early or late: half a period of the lowest voice
SMOOTH = 400  # samples over which loudness is taken to find that out: more than a period
SILENT = 1e-4  # of full scale: there is nothing to speak again


@dataclass(frozen=True)
class Timbre:
    """How another speaker differs.

    Attributes:
        pitch: factor of the mean fundamental frequency.
        melody: factor of its excursions, in logarithms: below 1 more monotonous, above more lively.
        formants: factor of their frequencies.
        bend: natural logarithm of how much more the highest formants move than the middle ones, and the lowest less.
        tilt: dB an octave above 500 Hz.
        breath: share of what is voiced above some 2 kHz that becomes noise; below, less.
    """

    pitch: float
    melody: float
    formants: float
    bend: float
    tilt: float
    breath: float


def require() -> None:
    """Make sure that the vocoder is there.

    Raises:
        MissingExtra: it is not.
    """
    if find_spec("pyworld") is None:
        raise MissingExtra("another speaker's voice", "voices", "pyworld")


def timbre(draw: np.random.Generator) -> Timbre:
    """A random speaker. High voices mostly have high formants, so the two are drawn with a part in common."""
    common = draw.uniform(-1, 1)
    return Timbre(
        pitch=float(np.exp(0.28 * common + draw.uniform(-0.22, 0.22))),
        melody=float(np.exp(draw.uniform(-0.5, 0.4))),
        formants=float(np.exp(0.12 * common + draw.uniform(-0.08, 0.08))),
        bend=draw.uniform(-0.08, 0.08),
        tilt=draw.uniform(-3, 2),
        breath=draw.uniform(0, 0.7) ** 2,
    )


def respoken(samples: Samples, how: Timbre) -> Samples:
    """``samples`` [time] at 16 kHz, spoken by another speaker at the same times and as loud as before.

    Raises:
        MissingExtra: pyworld is not installed.
    """
    require()
    import pyworld

    loudness = float(np.sqrt(np.mean(np.square(samples), dtype=np.float64)))
    if loudness < SILENT:
        return samples
    sound = samples.astype(np.float64)
    coarse, times = pyworld.dio(sound, SAMPLE_RATE, LOWEST, HIGHEST, frame_period=PERIOD)
    pitch = pyworld.stonemask(sound, coarse, times, SAMPLE_RATE)
    envelope = pyworld.cheaptrick(sound, pitch, times, SAMPLE_RATE)
    noisy = pyworld.d4c(sound, pitch, times, SAMPLE_RATE)
    pitch, envelope, noisy = _sung(pitch, how), _shaped(envelope, how), _breathed(noisy, how)
    spoken = pyworld.synthesize(pitch, envelope, noisy, SAMPLE_RATE, PERIOD)[: len(sound)]
    spoken = _aligned(np.pad(spoken, (0, len(sound) - len(spoken))), sound)
    spoken *= loudness / max(float(np.sqrt(np.mean(np.square(spoken)))), SILENT)
    return spoken.astype(np.float32)


def _sung(pitch: NDArray[np.float64], how: Timbre) -> NDArray[np.float64]:
    """The fundamental frequency ``[frames]``; 0 where nothing is voiced."""
    voiced = pitch > 0
    if not voiced.any():
        return pitch
    found = np.zeros_like(pitch)
    heights = np.log(pitch[voiced])
    middle = float(np.median(heights))
    found[voiced] = np.clip(how.pitch * np.exp(middle + how.melody * (heights - middle)), LOWEST, HIGHEST)
    return found


def _shaped(envelope: NDArray[np.float64], how: Timbre) -> NDArray[np.float64]:
    """Powers ``[frames, bins]`` whose formants lie elsewhere, and that fall otherwise with frequency."""
    own = np.linspace(0, 1, envelope.shape[1])
    places = np.clip(own / (how.formants * np.exp(how.bend * (2 * own - 1))), 0, 1) * (len(own) - 1)
    floor = np.minimum(places.astype(np.intp), len(own) - 2)
    share = places - floor
    logarithms = np.log(envelope)
    warped = (1 - share) * logarithms[:, floor] + share * logarithms[:, floor + 1]
    octaves = np.log2(np.maximum(own * SAMPLE_RATE / 2, 500) / 500)
    return np.ascontiguousarray(np.exp(warped + how.tilt * octaves * np.log(10) / 10))


def _breathed(noisy: NDArray[np.float64], how: Timbre) -> NDArray[np.float64]:
    """Shares of noise ``[frames, bins]``, as amplitudes, with more of it at high frequencies."""
    rising = np.clip(np.linspace(0, SAMPLE_RATE / 2, noisy.shape[1]) / 2000, 0.1, 1)
    return np.ascontiguousarray(1 - (1 - noisy) * (1 - how.breath * rising))


def _aligned(spoken: NDArray[np.float64], sound: NDArray[np.float64]) -> NDArray[np.float64]:
    """``spoken`` moved by what its loudness is early or late: WORLD's pulses begin where those of speech peak."""
    theirs, ours = (np.convolve(np.abs(part), np.ones(SMOOTH) / SMOOTH, "same") for part in (sound, spoken))
    length = 1 << (len(sound) + 2 * REACH).bit_length()
    likeness = np.fft.irfft(np.fft.rfft(theirs, length) * np.conj(np.fft.rfft(ours, length)), length)
    late = int(np.argmax(np.concatenate((likeness[-REACH:], likeness[: REACH + 1])))) - REACH
    moved = np.zeros_like(spoken)
    moved[max(late, 0) : len(moved) + min(late, 0)] = spoken[max(-late, 0) : len(spoken) - max(late, 0)]
    return moved
