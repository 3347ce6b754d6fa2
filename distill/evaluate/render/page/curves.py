"""One utterance: its sound, its phones, and what faces did, measure by measure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from compile.audit.render.page.markup import Markup, join, tag
from compile.audit.render.words import brief
from distill.audio import HOP, SAMPLE_RATE
from distill.corpus.espeak import PAUSE, Phone
from distill.evaluate.phones import BILABIALS
from distill.evaluate.render.page.palette import colours, key
from distill.evaluate.report import Example, Report
from distill.teachers.visemes import letters

_SECOND = 11.0  # rem: how wide a second is at least
_HIGH = 1000.0  # units of a drawing
_SLICES = 400  # of the sound
_LETTERS = 12  # of a phone that is somebody else's symbol


def curves(example: Example, report: Report) -> Markup:
    """A section with the drawing; wide ones scroll."""
    seconds = len(example.audio) / SAMPLE_RATE
    hues = colours(report)
    subjects = {name: hues[name] for name in next(iter(example.lines.values()), {})}
    boxes = _boxes(example.phones, seconds)
    rows = [tag("div", _sound(example.audio), class_="row sound", aria_hidden="true"), _said(example.phones, seconds)]
    for name, lines in example.lines.items():
        rows.append(_panel(name, lines, subjects, boxes, seconds))
    drawn = tag("div", *rows, _seconds(seconds), style=f"--wide:{_SECOND * seconds:.1f}rem")
    closed = Markup("") if not boxes else join((tag("i", class_="box"), "/p b m/"))
    entries = [(hue, name) for name, hue in subjects.items()]
    where = tag("small", f"{brief(example.name.rpartition(' ')[0] or example.name, 96)}, error {example.error:.3f}")
    return tag(
        "section",
        tag("h2", example.title, " ", where),
        key(entries, *([closed] if boxes else [])),
        tag("div", drawn, class_="scroll example", tabindex="0", role="region", aria_label=example.title),
    )


def _panel(
    name: str,
    faces: Mapping[str, NDArray[np.float64]],
    subjects: Mapping[str, str],
    boxes: Markup,
    seconds: float,
) -> Markup:
    low = min(0.0, *(float(face.min()) for face in faces.values()))
    high = max(0.5, *(float(face.max()) for face in faces.values())) * 1.05
    paths = join(
        tag(
            "path",
            tag("title", brief(subject, 60)),
            d=_line(face, low, high, seconds),
            class_=f"{subjects[subject]} dashed" if subjects[subject] == "st" else subjects[subject],
        )
        for subject, face in reversed(list(faces.items()))
    )
    picture = _picture(join((boxes, paths)), seconds, f"{name} over time")
    marks = (
        tag("span", f"{value:g}", class_="scale", style=f"bottom:{100 * (value - low) / (high - low):.1f}%")
        for value in (0.0, 0.5, 1.0)
        if low <= value <= high
    )
    return tag("div", picture, *marks, tag("span", name, class_="name"), class_="row")


def _picture(content: Markup, seconds: float, label: str) -> Markup:
    return tag(
        "svg",
        content,
        viewBox=f"0 0 {1000 * seconds:.0f} {_HIGH:.0f}",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
    )


def _line(face: NDArray[np.float64], low: float, high: float, seconds: float) -> str:
    step = 1000 * HOP / SAMPLE_RATE
    height = _HIGH * (1 - (face - low) / (high - low))
    points = (f"{min(index * step, 1000 * seconds):.0f} {y:.0f}" for index, y in enumerate(height))
    return "M" + "L".join(points)


def _boxes(phones: Sequence[Phone], seconds: float) -> Markup:
    """Where lips must be closed."""
    return join(
        tag(
            "rect",
            tag("title", f"{brief(phone.symbol, _LETTERS)} {phone.start:.2f} to {phone.end:.2f} s"),
            x=f"{1000 * phone.start:.0f}",
            y="0",
            width=f"{1000 * max(min(phone.end, seconds) - phone.start, 0):.0f}",
            height=f"{_HIGH:.0f}",
        )
        for phone in phones
        if _closes(phone)
    )


def _closes(phone: Phone) -> bool:
    return bool(BILABIALS.intersection(letters(phone.symbol)))


def _said(phones: Sequence[Phone], seconds: float) -> Markup:
    spans = (
        tag(
            "span",
            brief(phone.symbol, _LETTERS),
            class_="closes" if _closes(phone) else "",
            style=f"left:{min(50 * (phone.start + phone.end) / seconds, 100):.2f}%",
        )
        for phone in phones
        if phone.symbol != PAUSE
    )
    return tag("div", *spans, class_="row said")


def _sound(audio: NDArray[np.float32]) -> Markup:
    """The outline of the waveform."""
    count = max(1, min(_SLICES, len(audio)))
    edges = np.linspace(0, len(audio), count + 1).astype(int)[:-1]
    peaks = np.maximum.reduceat(np.abs(audio), edges)
    peaks = peaks / max(float(peaks.max()), 1e-3)
    upper = [f"{index} {50 - 48 * peak:.1f}" for index, peak in enumerate(peaks)]
    lower = [f"{index} {50 + 48 * peak:.1f}" for index, peak in reversed(list(enumerate(peaks)))]
    path = tag("path", d="M" + "L".join([*upper, *lower]) + "Z", class_="sound")
    return tag("svg", path, viewBox=f"0 0 {count} 100", preserveAspectRatio="none")


def _seconds(seconds: float) -> Markup:
    return tag("div", *_marks(seconds), class_="seconds", aria_hidden="true")


def _marks(seconds: float) -> Iterator[Markup]:
    for half in range(math.floor(2 * seconds) + 1):
        yield tag("span", f"{half / 2:g} s", style=f"left:{100 * half / 2 / seconds:.2f}%")
