"""Formants move and the pitch does not; pitch moves alone by the combination with speed; times stay."""

from __future__ import annotations

import numpy as np
import pytest

from distill.augment import sampling, voice
from distill.augment.voice import Voice


def test_nothing_changes_nothing(sounds, draw) -> None:
    sound = sounds.vowel(120)
    assert voice.revoiced(sound, Voice(), draw) is sound
    again = voice.revoiced(sound, Voice(bend=1e-12), draw)  # through the overlap-add
    np.testing.assert_allclose(again, sound, atol=1e-6)  # float32 transforms of values up to 0.5


@pytest.mark.parametrize("factor", [0.85, 1.18])
@pytest.mark.parametrize("pitch", [110.0, 210.0])
def test_formants_move_and_the_pitch_does_not(sounds, draw, factor, pitch) -> None:
    sound = sounds.vowel(pitch)
    moved = voice.revoiced(sound, Voice(factor), draw)
    before, after = sounds.formants(sound)[:3], sounds.formants(moved)[:3]
    # Formants fall between harmonics, and an envelope of 54 coefficients is not sharp: a quarter of the way at most.
    ways = np.log(np.array(after) / before) / np.log(factor)
    assert ways[1:] == pytest.approx([1, 1], abs=0.25)
    assert ways[0] > 0.4  # the lowest one has few harmonics to be seen by
    assert sounds.pitch(moved) == pytest.approx(sounds.pitch(sound), rel=0.01)


def test_pitch_moves_alone(sounds, draw) -> None:
    sound = sounds.vowel(120)
    fast = sampling.read(sound, 1.25, 12_000)
    alone = voice.revoiced(fast, Voice(1 / 1.25), draw)
    assert sounds.pitch(alone) == pytest.approx(150, rel=0.01)
    assert sounds.formants(fast)[1:3] == pytest.approx([1875, 3125], rel=0.04)
    assert sounds.formants(alone)[1:3] == pytest.approx([1500, 2500], rel=0.04)


def test_a_bend_moves_high_formants_up_and_low_ones_down(sounds, draw) -> None:
    sound = sounds.vowel(110, (600, 2000, 6000))
    bent = voice.revoiced(sound, Voice(bend=0.2), draw)
    before, after = (max(peak for peak in sounds.formants(x) if peak < 7000) for x in (sound, bent))
    assert after / before == pytest.approx(np.exp(0.2 * (2 * after / 8000 - 1)), rel=0.03)
    before, after = (sounds.formants(x)[1] for x in (sound, bent))
    assert after / before == pytest.approx(np.exp(0.2 * (2 * after / 8000 - 1)), rel=0.04)


def test_contrast_deepens_valleys(sounds, draw) -> None:
    sound = sounds.vowel(110)
    deep = voice.revoiced(sound, Voice(contrast=1.3), draw)
    steep, before = (sounds.band_db(x, 1350, 1650) - sounds.band_db(x, 800, 1100) for x in (deep, sound))
    assert steep > before + 2


def test_breath_is_noise_of_the_same_loudness_and_colour(sounds, draw) -> None:
    sound = sounds.vowel(125)
    period = 128
    breathy = [voice.revoiced(sound, Voice(breath=1.0), np.random.default_rng(seed)) for seed in range(8)]

    def periodicity(x: np.ndarray) -> float:
        high = np.fft.rfft(x)
        high[: int(4000 * len(x) / 16_000)] = 0  # breath begins anywhere below 4 kHz
        return float(sounds.correlation(np.fft.irfft(high))[period - 2 : period + 3].max())

    assert periodicity(sound) > 0.8
    assert max(map(periodicity, breathy)) < 0.5
    for low in (0, 1000, 2000):
        loud = np.mean([sounds.band_db(x, low, low + 1000) for x in breathy])
        assert loud == pytest.approx(sounds.band_db(sound, low, low + 1000), abs=4)  # envelopes of logarithms


@pytest.mark.parametrize("other", [Voice(0.8), Voice(1.25), Voice(bend=0.08, contrast=1.25), Voice(breath=0.8)])
def test_times_stay(sounds, draw, other) -> None:
    for seed in range(3):
        sound = sounds.syllables(seed=seed)
        assert abs(sounds.lag(sound, voice.revoiced(sound, other, draw))) <= 16  # 1 ms; pulses change their shape


def test_a_click_stays_where_it_is(draw) -> None:
    for place in (0, 5000, 7999):
        sound = np.zeros(8000, np.float32)
        sound[place] = 0.5
        assert np.argmax(np.abs(voice.revoiced(sound, Voice(1.2, 0.05, 1.2), draw))) == place


def test_silence_stays_silent(draw) -> None:
    heard = voice.revoiced(np.zeros(5000, np.float32), Voice(1.2, breath=1.0), draw)
    assert np.abs(heard).max() < 1 / 32767  # the step of 16 bits
