"""What to judge on: utterances with the teacher's curves, one at a time, and the phones in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from compile.errors import MissingExtra, UserError
from distill.audio import SAMPLE_RATE, as_float
from distill.corpus.espeak import Phone
from distill.teachers.base import Teacher, Utterance

if TYPE_CHECKING:
    from distill.labels.cache import Entry, Labels
    from distill.rigs import Rig


@dataclass(frozen=True)
class Clip:
    """One utterance: mono float32 ``audio`` at 16 kHz, and the teacher's ``curves`` [frames, controls] at 50 Hz.

    ``phones`` are those known, or None; ``timed`` says that their times are exact, not heard. ``name`` is its own among
    all clips.
    """

    name: str
    audio: NDArray[np.float32]
    curves: NDArray[np.float32]
    phones: tuple[Phone, ...] | None = None
    speaker: str = ""
    language: str = ""
    timed: bool = True

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.audio) / SAMPLE_RATE

    @property
    def exact(self) -> bool:
        """Whether the times of its phones are known, not heard."""
        return self.phones is not None and self.timed


@dataclass(frozen=True)
class Speech:
    """``count`` clips that are read one by one, each as often as one likes.

    Attributes:
        title: where they come from.
        teacher: whose curves they carry.
        controls: of the curves.
        count: of clips, at least one.
        read: the clip of a number below ``count``.
    """

    title: str
    teacher: str
    controls: tuple[str, ...]
    count: int
    read: Callable[[int], Clip]


def from_labels(labels: Labels, split: str | None = None, most: int | None = None) -> Speech:
    """The clips of a labels folder.

    Args:
        labels: by any teacher.
        split: ``train`` or ``held-out``; None for all.
        most: clips, chosen evenly.

    Raises:
        UserError: there is none.
    """
    chosen = [entry for entry in labels.entries if split in (None, entry.split)]
    if not chosen:
        there = sorted({entry.split for entry in labels.entries})
        raise UserError(
            f"no label is in the split '{split}'" if there else "it has no labels",
            where=str(labels.folder),
            fix=f"there are: --split {', '.join(there)}" if there else "label speech",
        )
    if most is not None and most < len(chosen):
        chosen = [chosen[place] for place in np.linspace(0, len(chosen) - 1, most).astype(int)]
    entries: Sequence[Entry] = chosen

    def read(number: int) -> Clip:
        entry = entries[number]
        audio, curves = labels.arrays(entry)
        phones = labels.phones(entry)
        name = f"{entry.source} {entry.key}"
        return Clip(name, as_float(audio), curves, phones, entry.speaker, entry.language, entry.exact)

    return Speech(str(labels.folder), labels.teacher, labels.controls, len(entries), read)


def from_utterances(teacher: Teacher, utterances: Sequence[Utterance], names: Sequence[str] | None = None) -> Speech:
    """A few utterances that the teacher labels now and memory holds.

    Raises:
        UserError: there is none.
    """
    if not utterances:
        raise UserError("there is no speech to evaluate on")
    called = names or [str(number) for number in range(len(utterances))]
    clips = [
        Clip(name, item.audio, teacher.curves(item), item.phones) for name, item in zip(called, utterances, strict=True)
    ]
    return Speech("speech", teacher.name, tuple(teacher.controls), len(clips), clips.__getitem__)


def driven(speech: Speech, rig: Rig) -> Speech:
    """The same speech with the teacher's curves on another rig.

    Raises:
        UserError: the rig is made of other controls.
    """
    rig.require_source(speech.controls, speech.title)

    def read(number: int) -> Clip:
        clip = speech.read(number)
        return replace(clip, curves=rig.map(clip.curves))

    return replace(speech, controls=rig.controls, read=read)


def heard(clip: Clip) -> tuple[Phone, ...] | None:
    """Its phones: those known or kept by the labels, else as the recogniser hears; None where there is none."""
    if clip.phones is not None:
        return clip.phones
    from distill.teachers.recogniser import recognise

    try:
        return recognise(clip.audio)
    except MissingExtra:
        return None
