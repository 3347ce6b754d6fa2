"""One utterance: its sound, its phones, and what faces did, measure by measure."""

from __future__ import annotations

from collections.abc import Sequence

from compile.audit.render.page.charts import HIGH, SECOND, key, panel, seconds_below, sound
from compile.audit.render.page.markup import Markup, join, tag
from compile.audit.render.words import brief
from distill.audio import HOP, SAMPLE_RATE
from distill.corpus.espeak import PAUSE, Phone
from distill.evaluate.phones import BILABIALS
from distill.evaluate.render.page.palette import colours
from distill.evaluate.report import Example, Report
from distill.teachers.visemes import letters

_LETTERS = 12  # of a phone that is somebody else's symbol


def curves(example: Example, report: Report) -> Markup:
    """A section with the drawing; wide ones scroll."""
    seconds = len(example.audio) / SAMPLE_RATE
    hues = colours(report)
    subjects = {name: hues[name] for name in next(iter(example.lines.values()), {})}
    boxes = _boxes(example.phones, seconds)
    rows = [tag("div", sound(example.audio), class_="row sound", aria_hidden="true"), _said(example.phones, seconds)]
    for name, lines in example.lines.items():
        rows.append(panel(name, lines, subjects, seconds, HOP / SAMPLE_RATE, boxes))
    drawn = tag("div", *rows, seconds_below(seconds), style=f"--wide:{SECOND * seconds:.1f}rem")
    closed = Markup("") if not boxes else join((tag("i", class_="box"), "/p b m/"))
    entries = [(hue, name) for name, hue in subjects.items()]
    where = tag("small", f"{brief(example.name.rpartition(' ')[0] or example.name, 96)}, error {example.error:.3f}")
    return tag(
        "section",
        tag("h2", example.title, " ", where),
        key(entries, *([closed] if boxes else [])),
        tag("div", drawn, class_="scroll example", tabindex="0", role="region", aria_label=example.title),
    )


def _boxes(phones: Sequence[Phone], seconds: float) -> Markup:
    """Where lips must be closed."""
    return join(
        tag(
            "rect",
            tag("title", f"{brief(phone.symbol, _LETTERS)} {phone.start:.2f} to {phone.end:.2f} s"),
            x=f"{1000 * phone.start:.0f}",
            y="0",
            width=f"{1000 * max(min(phone.end, seconds) - phone.start, 0):.0f}",
            height=f"{HIGH:.0f}",
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
