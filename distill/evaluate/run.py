"""The evaluation itself: every subject on every utterance, one at a time, in quiet and in noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError
from distill.corpus.espeak import Phone
from distill.evaluate.base import Case
from distill.evaluate.bootstrap import RESAMPLES, Figure, Tally
from distill.evaluate.examples import examples
from distill.evaluate.metrics import Metrics
from distill.evaluate.report import FLOOR, STUDENT, TEACHER, Group, Report, Row
from distill.evaluate.silence import in_silence
from distill.evaluate.sounds import with_noise
from distill.evaluate.speech import Clip, Speech, heard
from distill.evaluate.subjects import Subject, floors

BY: Mapping[str, Callable[[Clip], str]] = {
    "speaker": lambda clip: clip.speaker or "unknown",
    "language": lambda clip: clip.language or "unknown",
    "truth": lambda clip: "exact" if clip.exact else "heard",
}

Progress = Callable[[int, int], None]


def evaluate(
    subjects: Sequence[Subject],
    speech: Speech,
    *,
    ceilings: Sequence[Subject] = (),
    noises: Sequence[float] = (),
    by: Sequence[str] = (),
    resamples: int = RESAMPLES,
    progress: Progress | None = None,
) -> Report:
    """Judge subjects, their teacher and the floors by the same measures.

    Args:
        subjects: predictors; the first one's worst and median utterance become examples.
        speech: that none of them learnt from.
        ceilings: other teachers, judged beside that of the labels; no gate holds them to anything.
        noises: decibels; for each, the subjects hear all speech once more with noise so far below it.
        by: keys of :data:`BY`, to have figures also for each speaker, language or kind of truth.
        resamples: of the bootstrap.
        progress: called with (done, total) utterances.

    Raises:
        UserError: a subject moves another face, or gives curves of another shape, NaN or infinity.
    """
    if len({subject.name for subject in (*subjects, *ceilings)}) < len(subjects) + len(ceilings):
        raise UserError("two of what is to be judged have the same name", fix="name each once")
    metrics = Metrics(speech.controls)
    still = floors(average(speech), speech.controls)

    def score(subject: Subject | None, kind: str, noise: float | None = None) -> Score:
        return Score(subject, kind, noise, metrics, Tally(metrics.size, resamples))

    scores = [score(subject, STUDENT, noise) for subject in subjects for noise in (None, *noises)]
    scores += [score(None, TEACHER), *(score(other, TEACHER) for other in ceilings)]
    scores += [score(floor, FLOOR) for floor in still]
    seconds, exact, recognised = 0.0, 0, 0
    for number in range(speech.count):
        clip = speech.read(number)
        phones = heard(clip)
        seconds += clip.seconds
        exact += clip.exact
        recognised += phones is not None and not clip.exact
        for one in scores:
            one.add(clip, phones, by)
        if progress:
            progress(number + 1, speech.count)
    rows = tuple(one.row() for one in scores)
    shown = examples(subjects, scores[0].errors, speech) if subjects else ()
    return Report(speech.title, speech.teacher, speech.count, seconds, exact, recognised, rows, shown)


def average(speech: Speech) -> NDArray[np.float32]:
    """The teacher's mean face ``[controls]`` over all frames."""
    total, frames = np.zeros(len(speech.controls)), 0
    for number in range(speech.count):
        curves = speech.read(number).curves
        total += curves.sum(axis=0, dtype=np.float64)
        frames += len(curves)
    return np.asarray(total / max(frames, 1), np.float32)


@dataclass
class Score:
    """What is counted for one subject, or for the teacher, in one condition."""

    subject: Subject | None
    kind: str
    noise: float | None
    metrics: Metrics
    tally: Tally
    groups: dict[str, dict[str, Tally]] = field(default_factory=dict)
    seconds: dict[tuple[str, str], float] = field(default_factory=dict)
    errors: list[float] = field(default_factory=list)  # of each utterance

    def add(self, clip: Clip, phones: tuple[Phone, ...] | None, by: Sequence[str]) -> None:
        """Hear one utterance and count what comes of it."""
        ours = self._curves(clip)
        sums = self.metrics.sums(Case(ours, clip.curves, phones))
        self.tally.add(sums, clip.name)
        if self.noise is not None:
            return
        self.errors.append(float(np.sqrt(np.mean(np.square(ours - clip.curves, dtype=np.float64)))))
        for key in by:
            value = BY[key](clip)
            self.groups.setdefault(key, {}).setdefault(value, Tally(self.metrics.size)).add(sums, clip.name)
            self.seconds[key, value] = self.seconds.get((key, value), 0.0) + clip.seconds

    def row(self) -> Row:
        """What it comes to."""
        name = "teacher" if self.subject is None else self.subject.name
        groups = {
            key: {value: self._group(key, value, tally) for value, tally in sorted(tallies.items())}
            for key, tallies in self.groups.items()
        }
        figures = self.tally.figures(self.metrics.figures)
        if self.kind == STUDENT and self.noise is None and self.subject is not None:
            motions = in_silence(self.subject, self.metrics.controls, self.metrics.agreement_sums(self.tally.sums))
            figures |= {name: Figure(value) for name, value in motions.items()}
        return Row(name, self.kind, self.noise, figures, groups)

    def _curves(self, clip: Clip) -> NDArray[np.float32]:
        if self.subject is None:
            return clip.curves
        audio = clip.audio if self.noise is None else with_noise(clip.audio, self.noise, clip.name)
        return self.subject.curves(audio, self.metrics.controls, clip.name)

    def _group(self, key: str, value: str, tally: Tally) -> Group:
        return Group(tally.utterances, self.seconds[key, value], tally.figures(self.metrics.figures))
