"""From files to what a page shows: a piece of speech, and the takes that recordings, teachers and models give of it.

All times here are seconds of the file. Whoever hears a piece hears two seconds around it as well, so that its curves
are those of the whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compile.errors import PhizError, UserError
from distill.animation.view.takes import LONGEST, Take
from distill.audio import HOP, SAMPLE_RATE, as_float, as_int16, blocks
from distill.controls import worn
from distill.corpus.espeak import Phone
from distill.corpus.pieces import pieces, within
from distill.corpus.sources import Source
from distill.labels.labelling import TOO_LONG
from distill.recordings import read
from distill.teachers.base import Teacher, Utterance, hearing, listens

AROUND = 2.0  # seconds; what a face does depends on less
PART = "its text is not used, but what is heard: which words of it lie between --from and --to is not known"
SLIP = 0.25  # of a frame, that times may lie beside a steady rate
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Span:
    """The seconds ``[begin, end)`` of a file; ``end`` may be infinite."""

    begin: float = 0.0
    end: float = float("inf")

    @property
    def first(self) -> float:
        """Where to listen from: at a frame of 50 a second."""
        frame = HOP / SAMPLE_RATE
        return max(math.floor((self.begin - AROUND) / frame), 0) * frame


def listen(path: Path, span: Span, rate: int = SAMPLE_RATE) -> Array:
    """Mono audio at ``rate`` Hz from ``span.first`` on, until two seconds after the span or the end of the file.

    Raises:
        UserError: it cannot be read, the span is longer than a page, or the file ends before it begins.
    """
    if span.end - span.begin > LONGEST and math.isfinite(span.end):
        raise UserError(_too_long(span.end - span.begin), where="--to", fix="choose a shorter piece")
    first, last = round(span.first * rate), (span.end + AROUND) * rate
    most = (span.begin + LONGEST) * rate
    found, place = [], 0
    for block in blocks(path, rate):
        found.append(block[max(first - place, 0) : max(int(min(last - place, len(block))), 0)])
        place += len(block)
        if place >= last:
            break
        if place > most and not math.isfinite(span.end):
            raise UserError(_too_long(), where=str(path), fix="cut with --from and --to, in seconds")
    if place <= span.begin * rate:
        raise UserError(f"it ends at {place / rate:.2f} s, before --from", where=str(path), fix="begin earlier")
    return np.concatenate(found)


def _too_long(seconds: float | None = None) -> str:
    said = "more" if seconds is None else f"{seconds:g} s"
    return f"a page holds {LONGEST:.0f} s of speech, and this is {said}"


def sound(heard: Array, span: Span) -> NDArray[np.int16]:
    """Of what :func:`listen` heard at 16 kHz, the span itself."""
    begin = round((span.begin - span.first) * SAMPLE_RATE)
    length = len(heard) if not math.isfinite(span.end) else round((span.end - span.begin) * SAMPLE_RATE)
    return as_int16(heard[begin : begin + length])


def recorded(path: Path, name: str, span: Span) -> Take:
    """Ready-made curves; of an uneven recording, as many frames a second as it has on average.

    Raises:
        UserError: as :func:`distill.recordings.read`, or none of it lies in the span.
    """
    recording = read(path)
    times = recording.times
    if len(times) < 2:
        return Take(name, recording.curves, recording.controls, 1.0).between(span.begin, span.end)
    rate = round((len(times) - 1) / float(times[-1] - times[0]), 6)
    steady = times[0] + np.arange(len(times)) / rate
    even = np.abs(steady - times).max() * rate < SLIP
    curves = recording.curves if even else recording.at(steady)
    return Take(name, curves, recording.controls, rate, float(times[0])).between(span.begin, span.end)


def driven(
    drive: Callable[[Iterable[Array], bool, float], Iterator[Array]],
    heard: Array,
    span: Span,
    name: str,
    controls: tuple[str, ...],
    frame_rate: float,
    ensemble: bool,
) -> Take:
    """What a model does, which hears ``heard`` at its own rate; as `phiz bake` writes it."""
    curves = np.concatenate([*drive([heard], ensemble, frame_rate)])
    return Take(name, worn(curves, controls), controls, frame_rate, span.first).between(span.begin, span.end)


def labelled(
    teacher: Teacher, source: Source, heard: Array, span: Span, name: str
) -> tuple[Take, tuple[Phone, ...], str]:
    """What a teacher does with ``heard`` at 16 kHz, piece by piece as `phiz label` does; worn as a model's curves are.

    Returns:
        The take; the phones that it went by, on the page's clock, empty where it goes by none; and what it remarks.

    Raises:
        UserError: it cannot, or gives what is no curves.
    """
    known = None if source.phones is None else tuple(source.phones)
    first = round(span.first * SAMPLE_RATE)
    made: list[Array] = []
    phones: list[Phone] = []
    cut = list(pieces([heard]))
    whole = len(cut) == 1 and span == Span()
    unused = known is None and source.text and listens(teacher) and not whole
    remarks = [] if not unused else [TOO_LONG if span == Span() else PART]
    for start, audio in cut:
        spoken = None if known is None else within(known, first + start, len(audio))
        utterance = Utterance(as_float(audio), spoken, source.path, (first + start) / SAMPLE_RATE)
        if whole:
            utterance = replace(utterance, text=source.text, language=source.language)
        curves, went_by, remark = _asked(teacher, utterance)
        made.append(curves)
        offset = (first + start) / SAMPLE_RATE - span.begin
        phones += [Phone(one.symbol, one.start + offset, one.end + offset) for one in went_by]
        remarks += [remark] if remark else []
    controls = tuple(teacher.controls)
    take = Take(name, worn(np.concatenate(made), controls), controls, SAMPLE_RATE / HOP, span.first)
    shown = tuple(phone for phone in phones if phone.end > 0 and phone.start < span.end - span.begin)
    return take.between(span.begin, span.end), shown, "; ".join(dict.fromkeys(remarks))


def _asked(teacher: Teacher, utterance: Utterance) -> tuple[Array, tuple[Phone, ...], str]:
    """Curves, phones and remark; whatever else a teacher raises becomes a refusal."""
    where = str(utterance.path or "")
    try:
        heard = hearing(teacher, utterance)
        if heard is not None:
            utterance = replace(utterance, phones=heard.phones)
        curves = np.asarray(teacher.curves(utterance), np.float32)
    except PhizError:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0]
        raise UserError(f"the teacher '{teacher.name}' raises {type(error).__name__}: {reason}", where=where) from error
    expected = (-(-len(utterance.audio) // HOP), len(teacher.controls))
    if curves.shape != expected:
        raise UserError(f"the teacher '{teacher.name}' gave {curves.shape} where {expected} was due", where=where)
    return curves, () if heard is None else heard.phones, "" if heard is None else heard.remark


def spoken(source: Source, span: Span) -> tuple[Phone, ...]:
    """The phones that are known of a source, on the page's clock."""
    return tuple(
        Phone(phone.symbol, phone.start - span.begin, phone.end - span.begin)
        for phone in source.phones or ()
        if phone.end > span.begin and phone.start < span.end
    )
