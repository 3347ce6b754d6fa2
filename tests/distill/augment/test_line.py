"""Rooms, noise, levels and lines, each by what can be measured of it."""

from __future__ import annotations

import numpy as np
import pytest

from distill.audio import HOP
from distill.augment import level, noise, packets, room, sampling, spectrum, telephone


def test_a_room_begins_with_the_loudest_and_falls_as_it_says(draw) -> None:
    for _ in range(20):
        response = room.impulse((0.5, 0.5), (3, 3), draw)
        assert response[0] == 1
        assert np.abs(response[1:]).max() < 1
        assert len(response) <= 8002
        assert 10 * np.log10(1 / np.sum(response[1:] ** 2)) == pytest.approx(3, abs=0.5)  # reflections are bounded
    # The tail by Schroeder's backward integration, mean of many rooms: 60 dB in half a second.
    tails = np.mean([room.impulse((0.5, 0.5), (0, 0), draw)[1200:] ** 2 for _ in range(200)], axis=0)
    fall = 10 * np.log10(tails[800:1200].mean() / tails[4000:4400].mean())
    assert fall == pytest.approx(60 / 0.5 * 3200 / 16_000, rel=0.12)


@pytest.mark.parametrize("hum", [False, True])
def test_noise_has_power_one(draw, hum) -> None:
    length = 40_960
    heard = [spectrum.backward(noise.noise(length, hum, draw), length) for _ in range(50)]
    powers = [float(np.mean(x**2)) for x in heard]
    assert np.mean(powers) == pytest.approx(1, abs=0.06)  # brown noise is mostly a few bins
    assert all(0.4 < power < 2 for power in powers)


def test_noise_is_white_to_brown(sounds, draw) -> None:
    length = 40_960
    falls = []
    for _ in range(60):
        sound = spectrum.backward(noise.noise(length, False, draw), length)
        falls.append((sounds.band_db(sound, 200, 400) - sounds.band_db(sound, 1600, 3200)) / 3)
    assert min(falls) == pytest.approx(0, abs=0.7)  # dB an octave
    assert max(falls) == pytest.approx(6, abs=0.9)


def test_noise_sounds_normal(draw) -> None:
    sound = spectrum.backward(noise.noise(40_960, False, draw), 40_960)
    assert np.mean(sound**4) / np.mean(sound**2) ** 2 == pytest.approx(3, abs=0.3)


def test_hum_is_periodic(draw) -> None:
    peaks = []
    for hum in (False, True):
        spectra = [np.abs(noise.noise(40_960, hum, draw)) for _ in range(20)]
        peaks.append(np.median([np.sort(x[300:])[-1] / np.median(x[300:]) for x in spectra]))
    assert peaks[1] > 5 * peaks[0]


def test_babble_is_others_at_power_one(draw) -> None:
    tones = [np.sin(np.arange(4000) * k).astype(np.float32) for k in (0.1, 0.2, 0.3)]
    heard = noise.babble([lambda tone=tone: tone for tone in tones], draw)
    assert heard is not None
    assert np.mean(heard**2) == pytest.approx(1, rel=1e-4)
    shares = np.linalg.lstsq(np.stack(tones, 1), heard, rcond=None)[1]
    assert shares < 1e-3  # nothing but them
    assert noise.babble([], draw) is None
    assert noise.babble([lambda: np.zeros(100, np.float32)], draw) is None


def test_pauses_do_not_make_a_speaker_quieter() -> None:
    speech = 0.1 * np.random.default_rng(0).standard_normal(64 * HOP).astype(np.float32)
    with_pauses = np.concatenate([speech, np.zeros(192 * HOP, np.float32)])
    assert level.active_level(speech) == pytest.approx(0.1, rel=0.02)
    assert level.active_level(with_pauses) == pytest.approx(0.1, rel=0.02)
    assert level.active_level(np.zeros(10, np.float32)) == level.SILENT == level.active_level(np.zeros(0, np.float32))


def test_clipping_is_hard_or_soft_and_below_its_share(sounds) -> None:
    sound = sounds.vowel(120)
    kinds = set()
    for seed in range(12):
        heard = level.clipped(sound, (0.3, 0.3), np.random.default_rng(seed))
        limit = 0.3 * np.abs(sound).max()
        assert np.abs(heard).max() <= limit * 1.0001
        assert (np.sign(heard) == np.sign(sound)).all()
        kinds.add(bool((np.abs(heard) > limit * 0.9999).mean() > 0.01))
    assert kinds == {True, False}


@pytest.mark.parametrize(("law", "constant"), [("mu", 255.0), ("a", 87.6)])
def test_companding_by_the_formulas_of_g711(law, constant) -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(-1, 1, 500), rng.uniform(-0.01, 0.01, 500)]).astype(np.float32)
    found = telephone.companded(x, law)
    for before, after in zip(x.astype(float), found.astype(float), strict=True):
        if law == "mu":
            bent = np.log(1 + constant * abs(before)) / np.log(1 + constant)
            slope = (1 + constant * abs(before)) * np.log(1 + constant) / constant
        else:
            whole, small = 1 + np.log(constant), abs(before) < 1 / constant
            bent = constant * abs(before) / whole if small else (1 + np.log(constant * abs(before))) / whole
            slope = whole / constant if small else whole * abs(before)
        assert 0 <= bent <= 1
        # Half a step of 1/127, by the law's slope there; curvature makes a few percent of that.
        assert abs(after - before) <= 0.5 / 127 * slope * 1.05 + 1e-6
    assert len(np.unique(np.abs(found))) <= 128


def test_a_telephone_has_its_band(sounds, draw) -> None:
    sound = draw.normal(0, 0.1, 16_000).astype(np.float32)
    heard = telephone.telephone(sound, draw)
    speech = sounds.band_db(sound, 500, 3000)
    assert sounds.band_db(heard, 500, 3000) == pytest.approx(speech, abs=0.5)
    assert sounds.band_db(heard, 4200, 8000) < speech - 30
    assert sounds.delay(sounds.syllables(), telephone.telephone(sounds.syllables(), draw)) == 0


def test_few_bits_and_a_low_pass(sounds, draw) -> None:
    sound = draw.normal(0, 0.1, 16_000).astype(np.float32)
    heard = telephone.narrowed(sound, (3000, 3000), (6, 6), draw)
    assert len(np.unique(heard)) <= 2**6 + 1
    assert sounds.band_db(heard, 3500, 8000) < sounds.band_db(heard, 0, 2800) - 20  # what is left is rounding


def test_lost_packets_are_gaps_of_10_to_60_ms(draw) -> None:
    sound = np.full(32_000, 0.25, np.float32)
    filled = empty = 0
    for seed in range(20):
        heard = packets.dropped(sound, (0.05, 0.05), np.random.default_rng(seed))
        lost = heard != sound
        assert 0.03 < lost.mean() <= 0.05 + 960 / 32_000
        if (heard[lost] == 0).all():
            edges = np.flatnonzero(np.diff(np.concatenate(([0], lost.astype(int), [0]))))
            assert min(edges[1::2] - edges[::2]) >= 160
            empty += 1
        else:
            assert heard.min() >= 0  # repeated and faded
            filled += 1
    assert filled > 3 < empty
    assert (sound == 0.25).all()


def test_aliases_appear_and_times_stay(sounds, draw) -> None:
    tone = np.sin(2 * np.pi * 6000 / 16_000 * np.arange(16_000)).astype(np.float32)
    heard = sampling.aliased(tone, (8000, 8000), draw)
    assert sounds.band_db(heard, 1990, 2010) > sounds.band_db(heard, 5990, 6010)  # 8000 - 6000
    speech = sounds.syllables()
    assert sounds.delay(speech, sampling.aliased(speech, (7000, 14_000), draw)) == 0


def test_reading_along_cubics() -> None:
    places = np.arange(4000)
    wave = np.sin(2 * np.pi * 700 / 16_000 * places).astype(np.float32)
    for speed, first in ((1.0, 3.0), (1.0, 2.5), (1.37, 1.25), (0.8, 10.0)):
        wanted = np.sin(2 * np.pi * 700 / 16_000 * (first + speed * np.arange(2000)))
        np.testing.assert_allclose(sampling.read(wave, speed, 2000, first), wanted, atol=2e-3)  # (pi 700/8000)^4 / 10
    assert np.shares_memory(sampling.read(wave, 1.0, 100, 7.0), wave)
    line = (np.arange(20)[:, None] * [[1, -2]]).astype(np.float32)
    np.testing.assert_allclose(sampling.read(line, 0.7, 10, 2)[:, 1], -2 * (2 + 0.7 * np.arange(10)), atol=1e-5)
    assert sampling.read(line, 3.0, 10)[-1, 0] == 19  # goes on as it ends
