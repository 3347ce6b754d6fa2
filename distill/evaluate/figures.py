"""Every figure by name: what it is, its unit, and what a good value is. ``docs/evaluation.md`` has the formulas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from distill.evaluate.face import GROUPS


@dataclass(frozen=True)
class Meaning:
    """What a figure tells.

    Attributes:
        title: for people.
        unit: ``ms``, or empty for a pure number.
        aim: what it should be: ``high``, ``low``, ``one`` or ``zero``.
        text: in one sentence.
    """

    title: str
    unit: str
    aim: str
    text: str


_GROUPED = {
    "error": ("error", "low", "root mean square distance from the teacher, in units of the controls"),
    "correlation": ("correlation", "high", "Pearson's with the teacher, averaged over the controls that it moves"),
    "velocity": ("velocity error", "low", "of the speed of controls: 0 is perfect, a still face has 1"),
}

FIGURES: Mapping[str, Meaning] = {
    "r2": Meaning("R²", "", "high", "share of the teacher's variance that is met, each moving control alike"),
    **{
        f"{name}.{group}": Meaning(f"{title}, {group}", "", aim, text)
        for name, (title, aim, text) in _GROUPED.items()
        for group in GROUPS
    },
    "closure.recall": Meaning("recall", "", "high", "share of the /p b m/ on which the lips close"),
    "closure.precision": Meaning("precision", "", "high", "share of the closures that are on a /p b m/"),
    "closure.f1": Meaning("F1", "", "high", "harmonic mean of recall and precision"),
    "closure.timing": Meaning("timing error", "ms", "low", "mean distance in time of a closure from its /p b m/"),
    "closure.bias": Meaning("bias", "ms", "zero", "the same with its sign: positive where lips close late"),
    "closure.depth": Meaning("depth", "", "one", "how far the lips close on /p b m/, relative to the teacher"),
    "rounding.recall": Meaning("recall", "", "high", "share of the /u o w/ on which the lips round"),
    "rounding.depth": Meaning("depth", "", "one", "how far the lips round on /u o w/, relative to the teacher"),
    "rounding.contrast": Meaning(
        "contrast", "", "one", "how much rounder lips are on /u o w/ than on other vowels, relative to the teacher"
    ),
    "jitter": Meaning("jitter", "", "one", "acceleration of the controls relative to the teacher; calmer is below 1"),
    "lag": Meaning("lag", "ms", "zero", "by how much the face follows the teacher's; negative where it is early"),
    "silence.digital": Meaning("digital silence", "", "low", "motion in zeros, relative to the teacher's in speech"),
    "silence.room": Meaning("room noise", "", "low", "motion in a quiet room's noise, likewise"),
    "silence.hum": Meaning("hum", "", "low", "motion in the hum of the mains, likewise"),
}


def shown(name: str, value: float | None) -> str:
    """A figure's value for people."""
    if value is None:
        return "not measured"
    return f"{value:.0f} ms" if FIGURES[name].unit == "ms" else f"{value:.2f}"
