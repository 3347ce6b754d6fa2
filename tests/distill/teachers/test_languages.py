"""The phonetic teacher on synthetic speech of every language: the right postures and closures, at the right time.

The references are espeak-ng's own phone times, phonetics, and the waveform: lips that close on /p b/ make it silent.
"""
# ruff: noqa: RUF001 (IPA letters are meant)

from __future__ import annotations

import numpy as np
import pytest

from distill import audio
from distill.controls import ARKIT, closure
from distill.corpus import sources as corpus
from distill.corpus.espeak import Phone
from distill.corpus.sentences import SENTENCES
from distill.teachers.base import Utterance
from distill.teachers.phonetic import PhoneticTeacher
from distill.teachers.recogniser import recognise
from distill.teachers.visemes import POSTURES, letters

SENTENCES_EACH = 6
KNOWN = {letter for posture in POSTURES for letter in posture.letters}
CLOSED = 0.4
Spoken = tuple[np.ndarray, tuple[Phone, ...], np.ndarray]


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Spoken]]:
    """By language: (audio, phones with exact times, the teacher's curves) of sentences as they are written."""
    pytest.importorskip("espeakng_loader")
    pytest.importorskip("av")
    lines = [
        corpus.Line(text, language, variant, 160, 50, 50, corpus.HELD_OUT)
        for language, texts in SENTENCES.items()
        for text, variant in zip(texts, ("f2", "m3", "f5", "m7", "Annie", "david"), strict=False)
    ]
    sources = corpus.synthesize(tmp_path_factory.mktemp("languages") / "speech", lines)
    by_language: dict[str, list[Spoken]] = {}
    for line, source in zip(lines, sources, strict=True):
        sound, phones = audio.decode(source.path), tuple(source.phones or ())
        curves = PhoneticTeacher().curves(Utterance(sound, phones))
        by_language.setdefault(line.language, []).append((sound, phones, curves))
    return by_language


def around(curves: np.ndarray, phone: Phone, reach: float = 0.0) -> np.ndarray:
    """The frames within a phone, widened; at least one."""
    first = max(round((phone.start - reach) * 50), 0)
    return curves[first : max(round((phone.end + reach) * 50), first + 1)]


def means(spoken: list[Spoken], wanted: str, controls: tuple[str, ...]) -> list[float]:
    """The sum of some controls in the middle of each phone whose last letter is one of ``wanted``."""
    columns = [ARKIT.index(name) for name in controls]
    return [
        float(curves[min(round((phone.start + phone.end) * 25), len(curves) - 1), columns].sum())
        for _, phones, curves in spoken
        for phone in phones
        if letters(phone.symbol) and letters(phone.symbol)[-1] in wanted
    ]


@pytest.mark.parametrize("language", SENTENCES)
def test_every_sound_is_known(speech: dict[str, list[Spoken]], language: str) -> None:
    sounds = {letter for _, phones, _ in speech[language] for phone in phones for letter in letters(phone.symbol)}
    assert sounds <= KNOWN
    assert len(sounds) > 20  # a language in full


@pytest.mark.parametrize("language", SENTENCES)
def test_lips_close_on_bilabials_and_on_nothing_else(speech: dict[str, list[Spoken]], language: str) -> None:
    events = hits = closures = right = 0
    for _, phones, curves in speech[language]:
        closed = closure(curves)
        bilabials = [phone for phone in phones if set("pbm") & set(letters(phone.symbol))]
        events += len(bilabials)
        hits += sum(around(closed, phone, 0.02).max() > CLOSED for phone in bilabials)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], closed > CLOSED, [0]])))
        for first, end in edges.reshape(-1, 2):
            for edge in (first / 50, (end - 1) / 50):  # lips take up to 60 ms to close and to part
                closures += 1
                right += any(phone.start - 0.06 <= edge <= phone.end + 0.06 for phone in bilabials)
    assert events > 12
    assert hits == events
    assert right == closures


@pytest.mark.parametrize("language", SENTENCES)
def test_postures(speech: dict[str, list[Spoken]], language: str) -> None:
    spoken = speech[language]
    open_, close, spread = ("jawOpen",), "iɪy", ("mouthStretchLeft", "mouthSmileLeft")
    rounding = ("mouthFunnel", "mouthPucker")
    assert np.mean(means(spoken, "aɐɑæʌ", open_)) > 1.5 * np.mean(means(spoken, close, open_))
    assert np.mean(means(spoken, "uʊwoɔ", rounding)) > 3 * np.mean(means(spoken, "iɪeɛa", rounding))
    assert np.mean(means(spoken, "iɪ", spread)) > 2 * np.mean(means(spoken, "uʊwoɔ", spread))
    tucked = means(spoken, "fv", ("mouthRollLower",))
    assert np.mean(tucked) > 4 * np.mean(means(spoken, "szkgtd", ("mouthRollLower",)))


def level(sound: np.ndarray) -> np.ndarray:
    """Decibels at 1 kHz, over 8 ms."""
    return np.asarray(10 * np.log10(np.convolve(sound.astype(float) ** 2, np.hanning(128) / 64, "same")[::16] + 1e-8))


def silence_of(loudness: np.ndarray, phone: Phone) -> float | None:
    """The middle, in seconds, of the dip that a stop makes; None where the waveform shows none."""
    first = round((phone.start + phone.end) * 500) - 120
    if first < 0 or first + 240 >= len(loudness):
        return None
    span = loudness[first : first + 240]
    low, high = span[40:200].min(), np.percentile(span, 90)
    quiet = span < low + 0.4 * (high - low)
    begin = end = 40 + int(span[40:200].argmin())
    while begin > 0 and quiet[begin - 1]:
        begin -= 1
    while end < 239 and quiet[end + 1]:
        end += 1
    return None if high - low < 12 or begin == 0 or end == 239 else (first + (begin + end) / 2) / 1000


def test_lips_are_closed_while_a_stop_is_silent(speech: dict[str, list[Spoken]]) -> None:
    late = []
    for spoken in speech.values():
        for sound, phones, curves in spoken:
            loudness, closed, times = level(sound), closure(curves), np.arange(len(curves)) / 50
            for phone in phones:
                silence = silence_of(loudness, phone) if letters(phone.symbol)[:1] in ("p", "b") else None
                near = np.abs(times - (phone.start + phone.end) / 2) < 0.1
                grip = np.maximum(closed[near] - 0.2, 0)
                if silence is not None and grip.sum() > 0:
                    late.append(float(times[near] @ grip / grip.sum()) - silence)
    assert len(late) > 60
    assert abs(np.median(late)) < 0.010  # measured: -0.005; half a frame


def test_the_recognisers_phones_lie_where_the_true_ones_do(speech: dict[str, list[Spoken]]) -> None:
    pytest.importorskip("hama")
    late = []
    for language in ("en-us", "de", "it"):  # those that it understands best in synthetic voices
        for sound, phones, _ in speech[language]:
            for heard in recognise(sound):
                middle = (heard.start + heard.end) / 2
                true = [
                    (phone.start + phone.end) / 2
                    for phone in phones
                    if letters(phone.symbol)[:1] == letters(heard.symbol)[:1]
                ]
                nearest = min(true, key=lambda time: abs(time - middle), default=np.inf)
                if abs(nearest - middle) < 0.12:
                    late.append(middle - nearest)
    assert len(late) > 100
    assert abs(np.median(late)) < 0.008  # measured: -0.001
