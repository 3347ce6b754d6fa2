"""Synthetic speech: voices, phone times that agree with the waveform, and errors."""
# ruff: noqa: RUF001 (IPA letters are meant)

from __future__ import annotations

import numpy as np
import pytest

from compile.errors import UserError
from distill.corpus import espeak

pytest.importorskip("espeakng_loader")


def level(speech: espeak.Speech, start: float, end: float) -> float:
    part = speech.samples[round(start * speech.rate) : round(end * speech.rate)].astype(np.float64) / 32768
    return float(np.sqrt(np.mean(part**2)))


@pytest.mark.parametrize(
    ("voice", "text", "sounds"),
    [
        ("en-us", "Papa", {"p", "ɑː"}),
        ("de", "Mama", {"m", "ɑ"}),
        ("fr", "bébé", {"b", "e"}),
        ("es", "mapa", {"m", "p"}),
        ("it+f2", "bimbo", {"b", "m"}),
    ],
)
def test_languages_and_variants(voice: str, text: str, sounds: set[str]) -> None:
    speech = espeak.speak(text, voice)
    assert speech.samples.dtype == np.int16
    assert sounds <= {phone.symbol for phone in speech.phones}


def test_phones_follow_each_other_and_end_with_the_sound() -> None:
    speech = espeak.speak("My mother baked a big plum pie, and Bob kept a piece.", "en-us")
    for before, after in zip(speech.phones, speech.phones[1:], strict=False):
        assert before.end == after.start
    assert all(phone.start < phone.end for phone in speech.phones)
    assert speech.phones[-1].end == pytest.approx(len(speech.samples) / speech.rate, abs=1e-4)  # rounded to 0.1 ms


def test_a_stop_begins_with_its_silent_closure() -> None:
    speech = espeak.speak("copper copper copper", "en-us")
    stops = [phone for phone in speech.phones if phone.symbol == "p"]
    assert len(stops) == 3
    for phone in stops:
        middle_of_closure = level(speech, phone.start + 0.005, phone.start + 0.03)
        assert middle_of_closure < 0.01 * level(speech, 0, phone.start)


def test_vowels_are_loud_where_they_are_said_to_be() -> None:
    speech = espeak.speak("Papa papa papa", "en-us")
    vowels = [level(speech, p.start, p.end) for p in speech.phones if p.symbol.startswith("ɑ")]
    stops = [level(speech, p.start, p.end) for p in speech.phones if p.symbol == "p"]
    assert min(vowels) > 2 * max(stops)


def test_speed_is_honoured() -> None:
    slow = espeak.speak("This is a sentence about nothing.", "en-us", words_a_minute=120)
    fast = espeak.speak("This is a sentence about nothing.", "en-us", words_a_minute=240)
    assert len(fast.samples) < 0.7 * len(slow.samples)


@pytest.mark.parametrize("voice", ["fr-fr", "atlantis", "en-us+nobody", "", "en-us+../en"])
def test_unknown_voices_are_refused(voice: str) -> None:
    with pytest.raises(UserError, match="no voice"):
        espeak.speak("hello", voice)


def test_text_that_says_nothing() -> None:
    with pytest.raises(UserError, match="nothing"):
        espeak.speak("", "en-us")
