"""Noise and silence."""

from __future__ import annotations

import numpy as np
import pytest

from compile.errors import UserError
from distill.controls import ARKIT
from distill.evaluate.agreement import Agreement
from distill.evaluate.base import Case
from distill.evaluate.silence import in_silence
from distill.evaluate.sounds import parse_noise, pink, silences, with_noise
from distill.evaluate.subjects import Subject


def test_pink_noise_falls_by_three_decibels_an_octave() -> None:
    power = np.abs(np.fft.rfft(pink(160_000, "a").astype(np.float64))) ** 2
    octaves = [power[low * 10 : low * 20].mean() for low in (250, 500, 1000, 2000, 4000)]  # bins of 0.1 Hz
    steps = 10 * np.diff(np.log10(octaves))
    np.testing.assert_allclose(steps, -3.01, atol=0.5)  # means of 2500 bins and more: 0.09 dB a standard error


def test_equal_names_give_equal_noise() -> None:
    assert (pink(999, "a") == pink(999, "a")).all()
    assert (pink(999, "a") != pink(999, "b")).any()
    assert not with_noise(np.zeros(999, np.float32), 0, "a").any()


def test_levels_of_silence() -> None:
    levels = {name: float(np.sqrt(np.mean(audio.astype(np.float64) ** 2))) for name, audio in silences().items()}
    assert levels["digital"] == 0
    assert 20 * np.log10(levels["room"]) == pytest.approx(-60, abs=0.01)
    assert 20 * np.log10(levels["hum"]) == pytest.approx(-45, abs=0.01)


def test_motion_in_silence_is_relative_to_speech(wandering) -> None:
    theirs = wandering(0, 200)
    sums = Agreement(ARKIT).sums(Case(theirs, theirs))

    def follow(audio: np.ndarray) -> np.ndarray:
        """As lively as the teacher when there is any sound."""
        return theirs if audio.any() else np.full_like(theirs, 0.3)

    found = in_silence(Subject("x", ARKIT, follow), ARKIT, sums)
    assert found["silence.digital"] == 0
    assert found["silence.room"] == pytest.approx(1, abs=0.1)  # 140 of its 200 frames are looked at
    assert found["silence.hum"] == found["silence.room"]
    still = Agreement(ARKIT).sums(Case(theirs, np.zeros_like(theirs)))
    assert set(in_silence(Subject("x", ARKIT, follow), ARKIT, still).values()) == {None}


@pytest.mark.parametrize(("text", "decibels"), [("20dB", 20), ("20 dB", 20), ("-5.5db", -5.5)])
def test_levels_in_words(text: str, decibels: float) -> None:
    assert parse_noise(text) == decibels


@pytest.mark.parametrize("text", ["", "20", "loud", "dB", "1e9dB", "nandB"])
def test_what_is_no_level(text: str) -> None:
    with pytest.raises(UserError, match="no level of noise; write how far it lies below: 20dB"):
        parse_noise(text)
