"""Another speaker: formants moved apart from the pitch, and breath in place of voice; times stay.

Pitch alone moves by the combination: playback speed moves pitch and formants (and tempo, with the curves), and the
formants are moved back. A frame's envelope is its cepstrum up to three milliseconds (Oppenheim and Schafer, Homomorphic
Analysis of Speech, 1968), and the frame is multiplied by the warped envelope over its own, phases untouched, in an
overlap-add of 32 ms windows. All of it is two small matrix products: the envelope itself is never computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from distill.augment.spectrum import Samples, backward, forward

WINDOW = 512  # samples; windows overlap by half
BINS = WINDOW // 2 + 1
KEPT, TAPER = 34, 20  # cepstral coefficients: kept whole, then faded out
LOUDEST = 2.3  # largest gain of a bin, natural logarithm: 20 dB
BREATH_FROM, BREATH_OVER = (0.0, 4000.0), 600.0  # Hz: where breath begins, and over how much it sets in


@dataclass(frozen=True)
class Voice:
    """What becomes of a speaker.

    Attributes:
        formants: factor of their frequencies.
        bend: natural logarithm of how much more the highest ones move than the middle ones, and the lowest ones less.
        contrast: factor of their heights and of the valleys between them, in dB: other bandwidths.
        breath: share of the power above some frequency that is breath in place of voice.
    """

    formants: float = 1.0
    bend: float = 0.0
    contrast: float = 1.0
    breath: float = 0.0


def revoiced(samples: Samples, voice: Voice, draw: np.random.Generator) -> Samples:
    """``samples`` spoken by that voice."""
    if voice == Voice():
        return samples
    count = -(-len(samples) // (WINDOW // 2)) + 1
    padded = np.zeros((count + 1) * (WINDOW // 2), np.float32)
    padded[WINDOW // 2 : WINDOW // 2 + len(samples)] = samples
    frames = forward(np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[:: WINDOW // 2] * _window())
    power = frames.real**2 + frames.imag**2
    cepstrum = np.log(power + 1e-6 * power.mean() + 1e-14) @ _analysis()
    wanted = _synthesis(_warped(voice.formants, voice.bend))
    wanted[1:] *= np.float32(voice.contrast)
    frames *= np.exp(np.clip(cepstrum @ (wanted - _own()), -LOUDEST, LOUDEST))
    if voice.breath:
        frames = _breathed(frames, cepstrum @ wanted, voice.breath, draw)
    pieces = backward(frames, WINDOW) * _window()
    padded[:] = 0
    halves = padded.reshape(-1, WINDOW // 2)
    halves[:-1] += pieces[:, : WINDOW // 2]
    halves[1:] += pieces[:, WINDOW // 2 :]
    return padded[WINDOW // 2 : WINDOW // 2 + len(samples)]


def _breathed(
    frames: NDArray[np.complex64], envelope: NDArray[np.float32], share: float, draw: np.random.Generator
) -> NDArray[np.complex64]:
    """Noise under the same envelope (logarithms of amplitudes) takes the place of a share of the power."""
    start = draw.uniform(*BREATH_FROM)
    rising = 1 / (1 + np.exp((start - np.linspace(0, 8000, BINS, dtype=np.float32)) / (BREATH_OVER / 4)))
    noise = draw.standard_normal((len(frames), 2 * BINS), np.float32).view(np.complex64)
    noise *= np.exp(envelope) * np.sqrt(0.5 * share * rising)
    return np.asarray(frames * np.sqrt(1 - share * rising) + noise, np.complex64)


@lru_cache(maxsize=1)
def _window() -> NDArray[np.float32]:
    """Square root of a periodic Hann window: its square sums to one."""
    return np.sin(np.pi * np.arange(WINDOW) / WINDOW).astype(np.float32)


@lru_cache(maxsize=1)
def _analysis() -> NDArray[np.float32]:
    """``[BINS, coefficients]``: logarithms of powers to the faded cepstrum of amplitudes."""
    order = np.arange(KEPT + TAPER)
    fade = np.where(order < KEPT, 1, 0.5 + 0.5 * np.cos(np.pi * (order - KEPT) / TAPER))
    weights = np.where(order == 0, 1, 2) * fade / 2 / (BINS - 1)
    ends = np.ones(BINS)
    ends[[0, -1]] = 0.5
    return (ends[:, None] * np.cos(np.pi * np.outer(np.linspace(0, 1, BINS), order)) * weights).astype(np.float32)


def _synthesis(places: NDArray[np.float64]) -> NDArray[np.float32]:
    """``[coefficients, BINS]``: the cepstrum to logarithms of amplitudes at ``places`` in [0, 1]."""
    return np.cos(np.outer(np.pi * np.arange(KEPT + TAPER), places).astype(np.float32))


@lru_cache(maxsize=1)
def _own() -> NDArray[np.float32]:
    return _synthesis(np.linspace(0, 1, BINS))


def _warped(formants: float, bend: float) -> NDArray[np.float64]:
    """Where each bin's envelope comes from, in [0, 1]."""
    own = np.linspace(0, 1, BINS)
    return np.clip(own / (formants * np.exp(bend * (2 * own - 1))), 0, 1)
