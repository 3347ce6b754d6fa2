"""WORLD speaks again: pitch, formants, melody and breath each change alone, and times stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from compile.errors import MissingExtra
from distill.augment import vocoder
from distill.augment.vocoder import Timbre

SAME = Timbre(1, 1, 1, 0, 0, 0)


def test_without_the_package_it_names_the_extra(monkeypatch) -> None:
    monkeypatch.setattr(vocoder, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"phiz\[voices\]"):
        vocoder.respoken(np.ones(1000, np.float32), SAME)


def test_pitch_and_formants_change_apart(sounds) -> None:
    pytest.importorskip("pyworld")
    sound = sounds.vowel(130, seconds=2)
    inner = slice(4000, -4000)
    before = np.array(sounds.formants(sound)[:3])
    high = vocoder.respoken(sound, replace(SAME, pitch=1.3))[inner]
    assert sounds.pitch(high) == pytest.approx(169, rel=0.01)
    assert sounds.formants(high)[:3] == pytest.approx(before, rel=0.04)
    small = vocoder.respoken(sound, replace(SAME, formants=1.15))[inner]
    assert sounds.pitch(small) == pytest.approx(130, rel=0.01)
    assert sounds.formants(small)[:3] == pytest.approx(1.15 * before, rel=0.04)


def test_breath_and_tilt(sounds) -> None:
    pytest.importorskip("pyworld")
    sound = sounds.vowel(125, seconds=2)
    same, breathy, dull = (
        vocoder.respoken(sound, how) for how in (SAME, replace(SAME, breath=0.7), replace(SAME, tilt=-3.0))
    )
    assert sounds.correlation(breathy)[120:136].max() < sounds.correlation(same)[120:136].max() - 0.03
    falls = [sounds.band_db(x, 2000, 3000) - sounds.band_db(x, 300, 700) for x in (same, dull)]
    assert falls[1] - falls[0] == pytest.approx(-3 * np.log2(2500 / 500), abs=1.5)
    for heard in (same, breathy, dull):
        assert sounds.level_db(heard) == pytest.approx(sounds.level_db(sound), abs=0.1)


def test_times_stay(sounds) -> None:
    pytest.importorskip("pyworld")
    sound = sounds.syllables(3.0)
    for seed in range(4):
        heard = vocoder.respoken(sound, vocoder.timbre(np.random.default_rng(seed)))
        assert heard.shape == sound.shape
        assert heard.dtype == np.float32
        # 25 ms of loudness, so that periods of another length do not count; a frame of curves has 20 ms.
        loudness = [np.convolve(np.abs(x), np.hanning(400), "same") for x in (sound, heard)]
        assert abs(sounds.delay(*loudness)) <= 40


def test_what_cannot_be_spoken_comes_back() -> None:
    pytest.importorskip("pyworld")
    silence = np.zeros(8000, np.float32)
    np.testing.assert_array_equal(vocoder.respoken(silence, SAME), silence)
    hiss = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    assert np.isfinite(vocoder.respoken(hiss, vocoder.timbre(np.random.default_rng(1)))).all()
    short = hiss[:320]
    assert vocoder.respoken(short, SAME).shape == (320,)
