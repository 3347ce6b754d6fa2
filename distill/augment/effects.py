"""The order in which effects follow each other; how far each may go is in ``presets``.

A voice is changed first, then it sounds in a room, through a microphone, with noise, at a level, over a line. Nothing
moves in time but by the playback speed, which takes the curves along. A sequence is a pure function of its draw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from distill.augment import colour, level, noise, packets, room, sampling, silence, spectrum, telephone, voice
from distill.augment.presets import OFF, Augmentation
from distill.augment.spectrum import Range, Samples

BREATH = (0.2, 1.0)  # share of the voice's power, where there is breath
RATE_ERROR = (0.99, 1.01)


@dataclass(frozen=True)
class Playback:
    """How a sequence is read, before anything else happens to it.

    Attributes:
        speed: of playback.
        voice: what becomes of the speaker then.
        gain: factor of the level that the recording has, or is brought to.
        absolute: the gain is full scale's, so the recording is to be brought to level 1 before.
    """

    speed: float
    voice: voice.Voice
    gain: float
    absolute: bool


@dataclass(frozen=True)
class Excerpt:
    """A sequence as it is read, before anything else happens to it.

    Attributes:
        audio: ``[samples]``.
        curves: ``[frames, controls]``.
        loudness: root mean square of ``audio`` while somebody speaks.
        playback: how it was read.
    """

    audio: Samples
    curves: NDArray[np.float32]
    loudness: float
    playback: Playback


def playback(augmentation: Augmentation, draw: np.random.Generator) -> Playback:
    """Draw how to read a sequence."""
    pitch = _even(augmentation.pitch, draw)
    speaker = voice.Voice()
    if _happens(augmentation.apart, draw):
        formants, bend = _even(augmentation.formants, draw) / pitch, draw.uniform(-augmentation.bend, augmentation.bend)
        speaker = voice.Voice(formants, bend, draw.uniform(*augmentation.contrast))
    if _happens(augmentation.breath, draw):
        speaker = replace(speaker, breath=draw.uniform(*BREATH))
    speed = pitch * (draw.uniform(*RATE_ERROR) if _happens(augmentation.rate_error, draw) else 1.0)
    loudness = draw.uniform(*augmentation.gain_db)
    if augmentation.level_db:
        loudness += draw.uniform(*augmentation.level_db)
    gain = spectrum.decibels(loudness)
    return Playback(speed, speaker, gain, augmentation.level_db is not None)


def apply(
    excerpt: Excerpt,
    rest: NDArray[np.float32],
    past: int,
    others: Sequence[Callable[[], Samples]],
    augmentation: Augmentation,
    draw: np.random.Generator,
) -> tuple[Samples, NDArray[np.float32]]:
    """Everything that follows the reading: audio ``[samples]`` and curves ``[frames, controls]`` as heard.

    Args:
        excerpt: a sequence; stays as it is.
        rest: ``[controls]``, the face while nobody speaks.
        past: samples before the first face's time.
        others: give other speech of the same length, asked only when it is needed.
        augmentation: the ranges.
        draw: source of all randomness.
    """
    audio, curves = excerpt.audio, excerpt.curves
    cut = silence.cut(len(audio), augmentation.quiet, augmentation.mute, draw)
    if cut is not None:
        audio, curves = silence.silent(audio, cut), silence.resting(curves, rest, cut, past)
    audio = voice.revoiced(audio, excerpt.playback.voice, draw)
    audio = _around(audio, excerpt.loudness, augmentation, draw)
    if _happens(augmentation.babble, draw):
        behind = noise.babble(others, draw)
        if behind is not None:
            audio = audio + np.float32(excerpt.loudness * _below(augmentation.babble_db, draw)) * behind
    return _over(audio, excerpt.playback, cut, augmentation, draw), curves


def _around(audio: Samples, loudness: float, augmentation: Augmentation, draw: np.random.Generator) -> Samples:
    """A room, a microphone and noise: they meet in the spectrum, and cost one transform there and back."""
    roomy, noisy = _happens(augmentation.rooms, draw), _happens(augmentation.noise, draw)
    coloured = augmentation.tilt != OFF or augmentation.equaliser > 0 or augmentation.delay > 0
    if not (roomy or noisy or coloured):
        return audio
    impulse = room.impulse(augmentation.reverberation, augmentation.direct, draw) if roomy else np.ones(1, np.float32)
    length = spectrum.fast_length(len(audio) + len(impulse) - 1)
    heard = spectrum.forward(audio, length)
    if roomy:
        heard *= spectrum.forward(impulse, length)
        heard *= length  # a response is no amplitude
    if coloured:
        microphone = colour.response(augmentation.tilt, augmentation.equaliser, augmentation.delay, draw)
        heard *= spectrum.stretched(microphone, length)
    if noisy:
        size = np.float32(loudness * _below(augmentation.noise_db, draw))
        heard += size * noise.noise(length, _happens(augmentation.hum, draw), draw)
    return spectrum.backward(heard, length)[: len(audio)]


def _over(
    audio: Samples, playback: Playback, cut: silence.Cut | None, augmentation: Augmentation, draw: np.random.Generator
) -> Samples:
    """A line: the level at its input, and what it does to what comes in."""
    if _happens(augmentation.clipping, draw):
        audio = level.clipped(audio, augmentation.clip_at, draw)
    if _happens(augmentation.telephone, draw):
        audio = telephone.telephone(audio, draw)
    if _happens(augmentation.narrow, draw):
        audio = telephone.narrowed(audio, augmentation.cut, augmentation.bits, draw)
    if _happens(augmentation.aliasing, draw):
        audio = sampling.aliased(audio, augmentation.alias_rate, draw)
    if _happens(augmentation.packets, draw):
        audio = packets.dropped(audio, augmentation.lost, draw)
    if cut is not None and cut.digital:
        audio = silence.silent(audio, cut)
    sign = -1 if _happens(augmentation.flip, draw) else 1
    gain, offset = np.float32(sign * playback.gain), np.float32(draw.uniform(-augmentation.offset, augmentation.offset))
    return audio if gain == 1 and not offset else np.clip(gain * audio + offset, -1, 1)


def _even(factors: Range, draw: np.random.Generator) -> float:
    return float(np.exp(draw.uniform(*np.log(factors))))


def _below(ratio: Range, draw: np.random.Generator) -> float:
    """The factor of an amplitude that is a random number of dB lower."""
    return spectrum.decibels(-draw.uniform(*ratio))


def _happens(share: float, draw: np.random.Generator) -> bool:
    return bool(draw.random() < share)
