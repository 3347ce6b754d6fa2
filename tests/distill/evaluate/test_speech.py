"""Utterances out of labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from compile.errors import MissingExtra, UserError
from distill.controls import ARKIT
from distill.evaluate import evaluate, from_labels, from_utterances
from distill.evaluate.speech import Clip, heard
from distill.labels import cache as labels
from distill.teachers import recogniser
from distill.teachers.base import Utterance
from distill.teachers.phonetic import PhoneticTeacher


def test_of_labels(labelled: labels.Labels) -> None:
    speech = from_labels(labelled, "held-out")
    assert (speech.count, speech.teacher, speech.controls) == (2, "phonetic", ARKIT)
    clip = speech.read(0)
    audio, curves = labelled.arrays(labelled.split("held-out")[0])
    np.testing.assert_array_equal(clip.curves, curves)
    np.testing.assert_allclose(clip.audio * 32767, audio, atol=1e-2)  # float32
    assert clip.exact
    assert clip.phones == labelled.phones(labelled.split("held-out")[0])
    assert from_labels(labelled).count == 6
    assert len({from_labels(labelled).read(number).name for number in range(6)}) == 6


def test_the_teacher_is_its_own_ceiling(labelled: labels.Labels) -> None:
    row = evaluate([], from_labels(labelled)).row("teacher")
    assert row.figures["r2"].value == 1
    assert row.figures["closure.f1"].value >= 0.95  # issue 3's measure of the teacher on true phones


def test_a_few_of_many_are_spread_evenly(labelled: labels.Labels) -> None:
    speech = from_labels(labelled, most=3)
    assert [speech.read(number).name.split()[1] for number in range(3)] == [
        labelled.entries[number].key for number in (0, 2, 5)
    ]
    assert from_labels(labelled, most=99).count == 6


def test_an_empty_split_says_what_there_is(labelled: labels.Labels) -> None:
    only = replace(labelled, entries=labelled.split("train"))
    with pytest.raises(UserError, match="no label is in the split 'held-out'; there are: --split train"):
        from_labels(only, "held-out")
    with pytest.raises(UserError, match="it has no labels"):
        from_labels(replace(labelled, entries=()))


def test_of_utterances(phones) -> None:
    speech = from_utterances(PhoneticTeacher(), [Utterance(np.zeros(32_000, np.float32), phones)], ["a"])
    assert speech.read(0).curves.shape == (100, 52)
    with pytest.raises(UserError, match="no speech"):
        from_utterances(PhoneticTeacher(), [])


def test_unknown_phones_are_heard_where_that_is_possible(monkeypatch: pytest.MonkeyPatch, phones, face) -> None:
    clip = Clip("a", np.zeros(32_000, np.float32), face((0.5, 0.6)))
    monkeypatch.setattr(recogniser, "recognise", lambda _: phones)
    assert heard(clip) == phones

    def missing(audio: np.ndarray) -> None:
        raise MissingExtra("labelling", "teacher", "hama")

    monkeypatch.setattr(recogniser, "recognise", missing)
    assert heard(clip) is None
    assert heard(replace(clip, phones=())) == ()
