"""A teacher whose curves come late, or early, put right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distill.audio import SAMPLE_RATE
from distill.corpus.espeak import Phone
from distill.teachers.base import Teacher, Utterance, evidence, origin


class ShiftedTeacher:
    """Another teacher, made to hear each utterance as if it had begun ``offset`` seconds later.

    So what it says about its time ``t`` is what it would have said about ``t + offset``: exact, whatever the frame
    rate, for teachers that listen and for curves that were recorded.

    Args:
        teacher: whose curves are late.
        offset: by as many seconds; below zero they are early.
    """

    def __init__(self, teacher: Teacher, offset: float) -> None:
        self._teacher, self._shift = teacher, round(offset * SAMPLE_RATE)
        self.name = teacher.name
        self.version = f"{teacher.version} {self._shift / SAMPLE_RATE:+g} s"
        self.controls = teacher.controls

    def curves(self, utterance: Utterance) -> NDArray[np.float32]:
        """See :class:`distill.teachers.base.Teacher`; what lies before or after the audio is silence."""
        count, shift = len(utterance.audio), self._shift
        audio = np.zeros_like(utterance.audio)
        audio[max(-shift, 0) : max(count - shift, 0)] = utterance.audio[max(shift, 0) : max(count + shift, 0)]
        seconds = shift / SAMPLE_RATE
        phones = utterance.phones
        if phones is not None:
            moved = (Phone(phone.symbol, phone.start - seconds, phone.end - seconds) for phone in phones)
            phones = tuple(replace(phone, start=max(phone.start, 0.0)) for phone in moved if phone.end > 0)
        heard = replace(utterance, audio=audio, phones=phones, start=utterance.start + seconds)
        return self._teacher.curves(heard)

    def evidence(self, path: Path) -> str:
        """The teacher's; see :func:`distill.teachers.base.evidence`."""
        return evidence(self._teacher, path)

    def origin(self, path: Path) -> Path | None:
        """The teacher's; see :func:`distill.teachers.base.origin`."""
        return origin(self._teacher, path)
