"""The built-in teacher: phones → visemes → coarticulation → ARKit curves.

Phones come with the utterance (synthetic speech knows them exactly), from its text, laid over what is heard, or from a
phone recogniser. Postures blend by dominance functions (Cohen & Massaro 1993): each phone pulls on a control with a
strength that is full inside its span and decays exponentially outside. Constrictions are laid over the blend. Silence
is still.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from compile.errors import MissingExtra, UserError
from distill.audio import HOP, SAMPLE_RATE, frame_count
from distill.controls import ARKIT
from distill.corpus.espeak import Phone
from distill.teachers.alignment import align
from distill.teachers.base import Hearing, Utterance
from distill.teachers.recogniser import best, listen
from distill.teachers.visemes import CONSTRICTIONS, PAIRED, PAUSE, POSTURES, Constriction, Viseme, letters

FINE = 4  # curves are drawn at 200 Hz, smoothed, and every fourth sample is kept
DRAWN_RATE = FINE * SAMPLE_RATE / HOP
JAW = ARKIT.index("jawOpen")
JAW_DECAY = 22.0  # per second
LIPS_DECAY = (13.0, 20.0)  # per second, before and after the phone: lips anticipate
UNUSED = "its text is not used, but what is heard"
REACH = 0.4  # seconds after which a decayed dominance is nothing
STOPS = frozenset("pbɓ")
UNTIL_BURST = 0.55  # of a stop's span; measured, see tests/distill/teachers/test_languages.py
BRIDGE = 0.06  # seconds between two of a kind below which the lips do not let go
SMOOTHING = 0.012  # seconds, standard deviation
QUIET_JAW, LOUDNESS_SPAN = 0.7, 25.0  # speech this many dB under its loud parts opens the jaw this much


class PhoneticTeacher:
    """Labels by phonetics alone: it needs no training, no face data and, for synthetic speech, no recogniser."""

    name = "phonetic"
    version = "3"
    controls = ARKIT

    def curves(self, utterance: Utterance) -> NDArray[np.float32]:
        """``[frame_count(samples), 52]`` at 50 Hz; see :class:`distill.teachers.base.Teacher`."""
        frames = frame_count(len(utterance.audio))
        phones = self.hear(utterance).phones if utterance.phones is None else utterance.phones
        drawn = draw(phones, frames * FINE)
        drawn[:, JAW] *= np.repeat(_jaw_scale(utterance.audio, frames), FINE)
        return np.asarray(np.clip(_smooth(drawn)[::FINE], 0, 1), np.float32)

    def hear(self, utterance: Utterance) -> Hearing:
        """The phones of an utterance that comes without: those of its text where it fits, else those recognised.

        Raises:
            MissingExtra: a package that it takes is not installed.
        """
        heard = listen(utterance.audio)
        recognised = best(heard)
        if not (utterance.text and utterance.language):
            return Hearing(recognised, recognised)
        try:
            aligned = align(heard, utterance.text, utterance.language)
        except MissingExtra:
            raise
        except UserError as error:
            return Hearing(recognised, recognised, f"{UNUSED}: {error}")
        if not aligned.fits:
            reason = f"it does not fit what is heard (confidence {aligned.confidence:.1f})"
            return Hearing(recognised, recognised, f"{UNUSED}: {reason}")
        return Hearing(aligned.phones, recognised)


def draw(phones: tuple[Phone, ...], count: int) -> NDArray[np.float64]:
    """Curves ``[count, 52]`` at 200 Hz for phones in order of time; before, between and after them is a pause."""
    pull = np.zeros((count, len(ARKIT)))
    weight = np.full((count, len(ARKIT)), 1e-9)
    for viseme, start, end in _segments(phones, count / DRAWN_RATE):
        first, last = _clamp(start - REACH, count), _clamp(end + REACH, count)
        time = np.arange(first, last) / DRAWN_RATE
        before, after = np.maximum(start - time, 0), np.maximum(time - end, 0)
        dominance = np.empty((last - first, len(ARKIT)))
        dominance[:] = viseme.lips * np.exp(-LIPS_DECAY[0] * before - LIPS_DECAY[1] * after)[:, None]
        dominance[:, JAW] = viseme.jaw * np.exp(-JAW_DECAY * (before + after))
        pull[first:last] += dominance * _vector(viseme.targets)
        weight[first:last] += dominance
    curves = np.asarray(pull / weight)
    for constriction in CONSTRICTIONS:
        _lay_over(curves, constriction, phones)
    return curves


def _segments(phones: tuple[Phone, ...], duration: float) -> Iterator[tuple[Viseme, float, float]]:
    """Postures with their spans; a phone of several letters (diphthong, affricate) divides its span evenly."""
    now = 0.0
    for phone in phones:
        if phone.start > now:
            yield PAUSE, now, phone.start
        parts = [posture for letter in letters(phone.symbol) if (posture := _POSTURE_OF.get(letter))]
        edges = np.linspace(phone.start, phone.end, len(parts) + 1)
        for posture, (start, end) in zip(parts, itertools.pairwise(edges), strict=True):
            yield posture, float(start), float(end)
        now = max(now, phone.end)
    if now < duration:
        yield PAUSE, now, duration


def _lay_over(curves: NDArray[np.float64], constriction: Constriction, phones: tuple[Phone, ...]) -> None:
    """Blend a constriction's targets into ``curves`` [time, 52] around each of its phones, in place."""
    count = len(curves)
    grip = np.zeros(count)
    holds = _holds(constriction, phones)
    edges = [(-np.inf, -np.inf), *holds, (np.inf, np.inf)]
    for (_, before), (start, end), (after, _) in zip(edges, edges[1:], edges[2:], strict=False):
        # Two closures in quick succession still open in between: each takes half of the time at most.
        attack = np.clip((start - before) / 2, 1e-3, constriction.attack)
        release = np.clip((after - end) / 2, 1e-3, constriction.release)
        first, last = _clamp(start - attack, count), _clamp(end + release, count) + 1
        time = np.arange(first, min(last, count)) / DRAWN_RATE
        away = np.maximum((start - time) / attack, (time - end) / release)
        shape = 0.5 + 0.5 * np.cos(np.pi * np.clip(away, 0, 1))
        grip[first:last] = np.maximum(grip[first:last], shape)
    target, named = _vector(constriction.targets), _mask(constriction.targets)
    curves[:, named] += grip[:, None] * (target[named] - curves[:, named])


def _holds(constriction: Constriction, phones: tuple[Phone, ...]) -> list[tuple[float, float]]:
    """Spans (start, end) in seconds that keep the constriction; neighbours like m and b keep it as one."""
    holds: list[tuple[float, float]] = []
    last_end = -np.inf
    for phone in phones:
        if not set(letters(phone.symbol)) & set(constriction.letters):
            continue
        # A stop is closed until its burst, in the middle of it: then the lips part and breath or voice follows.
        closed = (phone.end - phone.start) * (UNTIL_BURST if STOPS.intersection(letters(phone.symbol)) else 1)
        half = float(np.clip(closed, *constriction.hold)) / 2
        middle = phone.start + closed / 2
        start = holds.pop()[0] if phone.start - last_end < BRIDGE else middle - half
        holds.append((start, middle + half))
        last_end = phone.end
    return holds


def _jaw_scale(audio: NDArray[np.float32], frames: int) -> NDArray[np.float64]:
    """How far the jaw follows, per frame: 1 where speech is loud, less where quiet; relative, so gain is no matter."""
    padded = np.zeros(frames * HOP)
    padded[: len(audio)] = audio
    level = 10 * np.log10(np.mean(padded.reshape(frames, HOP) ** 2, axis=1) + 1e-10)
    level = np.convolve(np.pad(level, 2, mode="edge"), np.ones(5) / 5, mode="valid")
    loud = np.percentile(level, 95)
    return np.asarray(QUIET_JAW + (1 - QUIET_JAW) * np.clip(1 + (level - loud + 6) / LOUDNESS_SPAN, 0, 1))


def _smooth(curves: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gaussian smoothing along time, edges held."""
    reach = int(np.ceil(3 * SMOOTHING * DRAWN_RATE))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (SMOOTHING * DRAWN_RATE)) ** 2)
    padded = np.pad(curves, ((reach, reach), (0, 0)), mode="edge")
    smooth = np.zeros_like(curves)
    for index, factor in enumerate(kernel / kernel.sum()):
        smooth += factor * padded[index : index + len(curves)]
    return smooth


def _clamp(seconds: float, count: int) -> int:
    return min(max(int(np.floor(seconds * DRAWN_RATE)), 0), count)


def _names(control: str) -> tuple[str, ...]:
    return (f"{control}Left", f"{control}Right") if control in PAIRED else (control,)


def _vector(targets: Mapping[str, float]) -> NDArray[np.float64]:
    vector = np.zeros(len(ARKIT))
    for control, value in targets.items():
        for name in _names(control):
            vector[ARKIT.index(name)] = value
    return vector


def _mask(targets: Mapping[str, float]) -> NDArray[np.bool_]:
    named = {name for control in targets for name in _names(control)}
    return np.array([name in named for name in ARKIT])


_POSTURE_OF: Mapping[str, Viseme] = {letter: posture for posture in POSTURES for letter in posture.letters}
