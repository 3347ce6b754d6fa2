"""The worst and the median utterance, to look at: read and predicted once more, so that none need be kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from distill.evaluate.face import CLOSURE, JAW, ROUNDING, Array, has, measured
from distill.evaluate.report import Example
from distill.evaluate.speech import Clip, Speech, heard
from distill.evaluate.subjects import Subject

MEASURES: Mapping[str, Mapping[str, float]] = {"jaw open": JAW, "lips closed": CLOSURE, "lips rounded": ROUNDING}
MOST = 3  # controls of a face that has none of these


def examples(subjects: Sequence[Subject], errors: Sequence[float], speech: Speech) -> tuple[Example, ...]:
    """The utterances where the first subject is furthest from the teacher, and where it is as usual.

    Args:
        subjects: whose curves are shown.
        errors: of the first, one an utterance.
        speech: that they were judged on.
    """
    order = sorted(range(len(errors)), key=lambda number: (errors[number], number))
    chosen = {"Median utterance": order[(len(order) - 1) // 2], "Worst utterance": order[-1]}
    if len(errors) == 1:
        chosen = {"The utterance": 0}
    return tuple(
        _example(title, speech.read(number), errors[number], subjects, speech.controls)
        for title, number in chosen.items()
    )


def _example(title: str, clip: Clip, error: float, subjects: Sequence[Subject], controls: Sequence[str]) -> Example:
    faces = {"teacher": clip.curves}
    faces |= {subject.name: subject.curves(clip.audio, controls, clip.name) for subject in subjects}
    lines: dict[str, dict[str, Array]] = {}
    for name, measure in _measures(clip.curves, controls).items():
        lines[name] = {subject: measured(curves, controls, measure) for subject, curves in faces.items()}
    return Example(title, clip.name, error, clip.audio, heard(clip) or (), lines)


def _measures(reference: NDArray[np.float32], controls: Sequence[str]) -> Mapping[str, Mapping[str, float]]:
    """What to draw: what people know, else the controls that move most."""
    known = {name: measure for name, measure in MEASURES.items() if has(controls, measure)}
    if known:
        return known
    most = np.argsort(-reference.std(axis=0), kind="stable")[:MOST]
    return {controls[place]: {controls[place]: 1.0} for place in most}
