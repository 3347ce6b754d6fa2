"""Sounds whose pitch, formants and times are known, and measures of them that share nothing with what is tested."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

RATE = 16_000


def vowel(pitch: float, formants: tuple[float, ...] = (500, 1500, 2500), seconds: float = 1.0) -> np.ndarray:
    """Pulses through resonators 90 to 150 Hz wide, in the frequency domain; float32, peak 0.5."""
    samples = int(seconds * RATE)
    pulses = np.zeros(samples)
    pulses[np.arange(0, samples - 1, RATE / pitch).astype(int)] = 1
    turns = np.exp(-2j * np.pi * np.fft.rfftfreq(2 * samples))
    response = np.ones(len(turns), complex)
    for formant, width in zip(formants, (90, 110, 150), strict=False):
        radius, angle = np.exp(-np.pi * width / RATE), 2 * np.pi * formant / RATE
        response /= 1 - 2 * radius * np.cos(angle) * turns + radius**2 * turns**2
    sound = np.fft.irfft(np.fft.rfft(pulses, 2 * samples) * response)[:samples]
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


def syllables(seconds: float = 2.0, seed: int = 0) -> np.ndarray:
    """Vowels and hisses that begin and end, at a random pace."""
    draw = np.random.default_rng(seed)
    sound = np.zeros(int(seconds * RATE), np.float32)
    at = 800
    while at + 4000 < len(sound):
        length = int(draw.uniform(0.08, 0.2) * RATE)
        hiss = draw.normal(0, 0.1, length) if draw.random() < 0.3 else 0
        places = tuple(np.array([500, 1500, 2500]) * draw.uniform(0.7, 1.4))
        voiced = vowel(draw.uniform(90, 260), places, 0.25)[:length]
        sound[at : at + length] = (voiced * (np.ndim(hiss) == 0) + hiss) * np.hanning(length) ** 0.3
        at += length + int(draw.uniform(0.02, 0.1) * RATE)
    return sound


def correlation(sound: np.ndarray) -> np.ndarray:
    """Autocorrelation, 1 at 0."""
    power = np.abs(np.fft.rfft(sound - sound.mean(), 2 * len(sound))) ** 2
    found = np.fft.irfft(power)
    return found[: len(sound)] / found[0]


def pitch(sound: np.ndarray) -> float:
    """Of the first peak of the autocorrelation that is nearly the highest, in Hz."""
    found = correlation(sound)[: RATE // 60]
    low = RATE // 450
    peaks = [k for k in range(low, len(found) - 1) if found[k - 1] < found[k] >= found[k + 1]]
    highest = max(found[k] for k in peaks)
    first = next(k for k in peaks if found[k] > 0.9 * highest)
    return RATE / first


def formants(sound: np.ndarray, order: int = 14) -> list[float]:
    """Peaks of the spectrum of linear prediction (autocorrelation method), in Hz."""
    sharp = np.diff(sound.astype(float)) * np.hanning(len(sound) - 1)
    lags = np.fft.irfft(np.abs(np.fft.rfft(sharp, 2 * len(sharp))) ** 2)[: order + 1]
    matrix = np.array([[lags[abs(i - j)] for j in range(order)] for i in range(order)])
    weights = np.linalg.solve(matrix + 1e-9 * lags[0] * np.eye(order), lags[1:])
    sizes = 1 / np.abs(np.fft.rfft(np.concatenate(([1], -weights)), 8192))
    peaks = np.flatnonzero((sizes[1:-1] > sizes[:-2]) & (sizes[1:-1] > sizes[2:])) + 1
    return [float(peak * RATE / 8192) for peak in peaks]


def lag(before: np.ndarray, after: np.ndarray, reach: int = 400) -> int:
    """Samples by which the loudness (5 ms) of ``after`` is late."""
    window = np.hanning(80)
    return delay(*(np.convolve(np.abs(sound), window, "same") for sound in (before, after)), reach)


def delay(before: np.ndarray, after: np.ndarray, reach: int = 400) -> int:
    """Samples by which ``after`` is late, by cross-correlation."""
    ours, theirs = after - after.mean(), before - before.mean()
    spectrum = np.fft.rfft(ours, 2 * len(ours)) * np.conj(np.fft.rfft(theirs, 2 * len(ours)))
    likeness = np.fft.irfft(spectrum)
    return int(np.argmax(np.concatenate((likeness[-reach:], likeness[: reach + 1])))) - reach


def level_db(sound: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(sound, dtype=np.float64))))


def band_db(sound: np.ndarray, low: float, high: float) -> float:
    """Power between two frequencies."""
    power = np.abs(np.fft.rfft(sound)) ** 2
    frequencies = np.fft.rfftfreq(len(sound), 1 / RATE)
    return float(10 * np.log10(power[(frequencies >= low) & (frequencies < high)].mean() + 1e-20))


@pytest.fixture
def sounds() -> SimpleNamespace:
    """The functions above."""
    return SimpleNamespace(
        vowel=vowel,
        syllables=syllables,
        correlation=correlation,
        pitch=pitch,
        formants=formants,
        lag=lag,
        delay=delay,
        level_db=level_db,
        band_db=band_db,
    )


@pytest.fixture
def draw() -> np.random.Generator:
    return np.random.default_rng(7)
