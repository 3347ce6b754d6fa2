"""Which moments are judged: what lips do for /p b m/, /u o w/ and vowels, as spans of time and of frames."""

from __future__ import annotations

from collections.abc import Iterable

from distill.audio import HOP, SAMPLE_RATE
from distill.corpus.espeak import Phone
from distill.teachers.visemes import letters

FRAME_RATE = SAMPLE_RATE / HOP
MERGE = 0.06  # seconds

BILABIALS = frozenset("pbm")
ROUNDED = frozenset("uʊʉwoɔ")
UNROUNDED = frozenset("aɐɑæʌeɛəɜɘɚɝᵊiɪɨᵻɯɤ")  # noqa: RUF001 (the IPA letter is meant)

Span = tuple[float, float]
"""Start and end in seconds."""


def events(phones: Iterable[Phone]) -> list[Span]:
    """Spans in which /p b m/ close the lips; those less than 60 ms apart are one, for lips do not open in between."""
    spans: list[Span] = []
    for start, end in spans_of(phones, BILABIALS):
        if spans and start - spans[-1][1] < MERGE:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans


def spans_of(phones: Iterable[Phone], wanted: frozenset[str], without: frozenset[str] = frozenset()) -> list[Span]:
    """Spans of the phones that have one of the wanted letters, and none of the others."""
    return [
        (phone.start, phone.end)
        for phone in phones
        if wanted.intersection(found := letters(phone.symbol)) and not without.intersection(found)
    ]


def frames_of(span: Span, count: int, margin: float = 0.0) -> slice:
    """The frames of ``count`` within a span widened by ``margin`` seconds on both sides; at least one."""
    first = min(max(round((span[0] - margin) * FRAME_RATE), 0), count - 1)
    return slice(first, max(min(round((span[1] + margin) * FRAME_RATE) + 1, count), first + 1))
