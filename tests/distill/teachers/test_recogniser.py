"""Cutting, timing and silence of the phone recogniser."""

from __future__ import annotations

import itertools

import numpy as np

from distill import audio
from distill.corpus import sources as corpus
from distill.teachers.recogniser import pieces, recognise


def test_long_audio_is_cut_at_quiet_points() -> None:
    rate = 16000
    sound = np.random.default_rng(0).normal(0, 0.1, 50 * rate).astype(np.float32)
    sound[13 * rate : 14 * rate] *= 0.01
    sound[27 * rate : 28 * rate] *= 0.01
    spans = list(pieces(sound))
    assert spans[0][0] == 0
    assert spans[-1][1] == len(sound)
    assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))
    assert all(end - start <= 20 * rate for start, end in spans)
    assert 13 * rate <= spans[0][1] <= 14 * rate
    assert 27 * rate <= spans[1][1] <= 28 * rate


def test_short_audio_is_one_piece() -> None:
    assert list(pieces(np.zeros(5, np.float32))) == [(0, 5)]


def test_silence_says_nothing() -> None:
    assert recognise(np.zeros(3 * 16000, np.float32)) == ()


def test_phones_are_ordered_and_within_the_audio(spoken: list[corpus.Source]) -> None:
    sound = audio.decode(spoken[0].path)
    phones = recognise(sound)
    assert len(phones) > 5
    assert all(phone.start <= phone.end for phone in phones)
    assert all(before.end <= after.start + 1e-3 for before, after in itertools.pairwise(phones))
    assert phones[-1].end <= len(sound) / 16000 + 0.1
