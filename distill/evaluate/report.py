"""What came of an evaluation, as plain data for renderers and gates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from distill.corpus.espeak import Phone
from distill.evaluate.bootstrap import Figure
from distill.evaluate.figures import FIGURES

STUDENT, TEACHER, FLOOR = "student", "teacher", "floor"
NOT_MEASURED = Figure(None)
HEARD = "what the recogniser hears, and the text laid over it where there is one"


@dataclass(frozen=True)
class Group:
    """The utterances that have something in common, such as their speaker."""

    utterances: int
    seconds: float
    figures: Mapping[str, Figure]


@dataclass(frozen=True)
class Row:
    """One subject in one condition.

    Attributes:
        subject: its name.
        kind: ``student``, ``teacher`` or ``floor``.
        noise: decibels by which noise lies below the speech; None without noise.
        figures: by the names of ``figures.FIGURES``.
        groups: figures by what ``--by`` asked for, then by its value: ``{"speaker": {"anna": Group}}``.
    """

    subject: str
    kind: str
    noise: float | None
    figures: Mapping[str, Figure]
    groups: Mapping[str, Mapping[str, Group]] = field(default_factory=dict)

    def figure(self, name: str) -> Figure:
        """A figure, or one that was not measured."""
        return self.figures.get(name, NOT_MEASURED)


@dataclass(frozen=True)
class Example:
    """An utterance to look at: measures of the face by name, then by subject, ``[frames]`` at 50 Hz each."""

    title: str
    name: str
    error: float
    audio: NDArray[np.float32]
    phones: tuple[Phone, ...]
    lines: Mapping[str, Mapping[str, NDArray[np.float64]]]


@dataclass(frozen=True)
class Verdict:
    """What became of a gate for one subject: ``holds`` is None where the figure was not measured."""

    gate: str
    subject: str
    holds: bool | None
    detail: str


@dataclass(frozen=True)
class Report:
    """All of it.

    Attributes:
        speech: where the utterances come from.
        teacher: whose curves are the reference.
        utterances: how many.
        seconds: of them.
        exact: how many have exact phone times.
        heard: of how many the phones are those that the recogniser heard.
        rows: the students first, each with all its conditions, then the teacher, then the floors.
        examples: of the first student.
        verdicts: of gates.
    """

    speech: str
    teacher: str
    utterances: int
    seconds: float
    exact: int
    heard: int
    rows: tuple[Row, ...]
    examples: tuple[Example, ...] = ()
    verdicts: tuple[Verdict, ...] = ()

    @property
    def clean(self) -> tuple[Row, ...]:
        """The rows without noise."""
        return tuple(row for row in self.rows if row.noise is None)

    @property
    def failures(self) -> tuple[Verdict, ...]:
        """Gates that do not hold, or whose figure was not measured."""
        return tuple(verdict for verdict in self.verdicts if not verdict.holds)

    @property
    def truth(self) -> str:
        """Against what /p b m/ and /u o w/ are judged, in words."""
        if not self.exact and not self.heard:
            return "not known: no phone times, and no recogniser (pip install 'phiz[teacher]')"
        if not self.heard:
            return "exact phone times"
        if not self.exact:
            return f"{HEARD}: right to about 20 ms, not exact"
        return f"exact phone times of {self.exact} utterances; of {self.heard} {HEARD}"

    def row(self, subject: str, noise: float | None = None) -> Row | None:
        """A subject's row."""
        return next((row for row in self.rows if (row.subject, row.noise) == (subject, noise)), None)

    def measured(self) -> tuple[str, ...]:
        """Figures that at least one row has, in the order of ``figures.FIGURES``."""
        return tuple(name for name in FIGURES if any(row.figure(name).value is not None for row in self.rows))
