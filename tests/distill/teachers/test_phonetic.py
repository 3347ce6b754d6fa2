"""What the phonetic teacher does with lips and jaw, on phones written by hand and on synthetic speech."""
# ruff: noqa: RUF001 (IPA letters are meant)

from __future__ import annotations

import numpy as np
import pytest

from distill import audio
from distill.controls import ARKIT, closure
from distill.corpus import sources as corpus
from distill.corpus.espeak import Phone
from distill.teachers.base import Utterance
from distill.teachers.phonetic import PhoneticTeacher
from distill.teachers.visemes import CONSTRICTIONS, PAIRED, POSTURES, letters


def phones(*spans: tuple[str, float]) -> tuple[Phone, ...]:
    """Phones of the given lengths, end to end."""
    result, now = [], 0.0
    for symbol, length in spans:
        result.append(Phone(symbol, round(now, 4), round(now + length, 4)))
        now += length
    return tuple(result)


def speak(*spans: tuple[str, float]) -> np.ndarray:
    """Curves for phones over steady noise, so that loudness changes nothing."""
    said = phones(*spans)
    noise = np.random.default_rng(0).normal(0, 0.1, round(said[-1].end * 16000)).astype(np.float32)
    return PhoneticTeacher().curves(Utterance(noise, said))


def at(curves: np.ndarray, control: str, seconds: float) -> float:
    return float(curves[round(seconds * 50), ARKIT.index(control)])


@pytest.mark.parametrize("symbol", ["p", "b", "m", "pʰ", "bʲ", "m̩"])
def test_bilabials_close_the_lips_and_open_again(symbol: str) -> None:
    curves = speak(("a", 0.3), (symbol, 0.1), ("a", 0.3))
    closed = closure(curves)
    assert closed[round(0.35 * 50)] > 0.7
    assert closed[round(0.2 * 50)] < 0.1
    assert closed[round(0.5 * 50)] < 0.1
    assert at(curves, "jawOpen", 0.35) < 0.15 < 0.4 < at(curves, "jawOpen", 0.15)


@pytest.mark.parametrize("symbol", ["t", "k", "s", "n", "ɡ", "l", "f", "v", "β", "u", "a"])
def test_nothing_else_closes_them(symbol: str) -> None:
    assert closure(speak(("a", 0.2), (symbol, 0.1), ("a", 0.2))).max() < 0.35


def test_lips_open_between_two_quick_closures() -> None:
    closed = closure(speak(("a", 0.2), ("b", 0.08), ("a", 0.08), ("b", 0.08), ("a", 0.2)))
    assert closed[12] > 0.6  # 0.24 s, within the first b
    assert min(closed[14:19]) < 0.4  # 0.28 to 0.36 s, between them
    assert closed[20] > 0.6  # 0.40 s, within the second


def test_neighbouring_closures_are_one() -> None:
    closed = closure(speak(("a", 0.2), ("m", 0.1), ("b", 0.06), ("a", 0.2)))
    assert min(closed[12:17]) > 0.6  # 0.24 to 0.32 s


@pytest.mark.parametrize("symbol", ["f", "v"])
def test_labiodentals_tuck_the_lower_lip(symbol: str) -> None:
    curves = speak(("a", 0.3), (symbol, 0.1), ("a", 0.3))
    assert at(curves, "mouthRollLower", 0.36) > 0.3
    assert at(curves, "mouthRollLower", 0.1) < 0.05


@pytest.mark.parametrize("symbol", ["u", "uː", "w", "o", "oʊ", "y"])
def test_rounded_sounds_round_the_lips(symbol: str) -> None:
    curves = speak(("t", 0.2), (symbol, 0.2), ("t", 0.2))
    rounding = at(curves, "mouthFunnel", 0.3) + at(curves, "mouthPucker", 0.3)
    assert rounding > 0.5
    assert at(curves, "mouthSmileLeft", 0.3) < 0.05


def test_lips_anticipate_rounding_through_consonants() -> None:
    before_u = at(speak(("a", 0.2), ("s", 0.1), ("u", 0.2)), "mouthPucker", 0.25)
    before_a = at(speak(("a", 0.2), ("s", 0.1), ("a", 0.2)), "mouthPucker", 0.25)
    assert before_u > before_a + 0.1


def test_open_vowels_open_more_than_close_ones() -> None:
    openings = [at(speak(("t", 0.1), (vowel, 0.3), ("t", 0.1)), "jawOpen", 0.25) for vowel in "aei"]
    assert openings[0] > openings[1] > openings[2] > 0.05


def test_silence_is_still() -> None:
    curves = speak(("_", 0.5), ("a", 0.2), ("_", 1.5))
    assert curves[:5].max() < 0.02  # 0.4 s and more before the vowel: a dominance has decayed by then
    assert curves[-40:].max() < 0.02
    assert PhoneticTeacher().curves(Utterance(np.zeros(16000, np.float32), ())).max() == 0


def test_quiet_speech_opens_the_jaw_less_and_gain_changes_nothing() -> None:
    said = phones(("a", 1.0))
    sound = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    fading = sound * np.linspace(1, 0.01, 16000, dtype=np.float32)
    jaw = ARKIT.index("jawOpen")
    curves = PhoneticTeacher().curves(Utterance(fading, said))
    assert curves[45, jaw] < 0.9 * curves[10, jaw]
    louder = PhoneticTeacher().curves(Utterance(fading * 2, said))
    np.testing.assert_allclose(louder, curves, atol=1e-3)  # the level's floor of 1e-10 is not scaled


def test_curves_are_smooth_and_in_range(spoken: list[corpus.Source]) -> None:
    for source in spoken:
        sound = audio.decode(source.path)
        curves = PhoneticTeacher().curves(Utterance(sound, source.phones))
        assert curves.shape == (audio.frame_count(len(sound)), 52)
        assert curves.dtype == np.float32
        assert curves.min() >= 0
        assert curves.max() <= 1
        assert np.abs(np.diff(closure(curves))).max() < 0.75  # a closure takes more than one frame


def test_the_tables_name_real_controls_once() -> None:
    seen: set[str] = set()
    for posture in POSTURES:
        assert not seen & set(posture.letters)
        seen |= set(posture.letters)
    for shape in (*POSTURES, *CONSTRICTIONS):
        for control, value in shape.targets.items():
            assert (f"{control}Left" if control in PAIRED else control) in ARKIT
            assert 0 <= value <= 1


@pytest.mark.parametrize(
    ("symbol", "plain"), [("t͡ʃ", "tʃ"), ("ɑ̃ː", "ɑ"), ("aɪ", "aɪ"), ("ç", "c"), ("_", "_"), ("(en)", "en"), ("ʔ", "ʔ")]
)
def test_letters(symbol: str, plain: str) -> None:
    assert letters(symbol) == plain


def test_every_sound_of_the_corpus_has_a_posture(spoken: list[corpus.Source]) -> None:
    known = {letter for posture in POSTURES for letter in posture.letters}
    for source in spoken:
        for phone in source.phones or ():
            assert set(letters(phone.symbol)) <= known, phone
