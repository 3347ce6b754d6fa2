"""SVOX Pico, by ttspico built with pico_times.patch, which tells each phone and its length in frames of 4 ms."""

from __future__ import annotations

import functools
import os
import random
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from compile.errors import UserError
from distill.corpus.espeak import Phone, Speech
from examples.corpora import signs
from examples.corpora.classic import phones
from examples.corpora.tables import Voice

FRAME = 0.004  # seconds; 64 samples
# What is heard comes later than the frames say: of Pico's /p b m/ a recogniser hears them 24 ms later after their times
# than of flite's and festival's (medians of six and seven voices).
LATE = 0.024
SCHWA = "\u0259"  # a number that no table knows is some vowel


def pico(
    voice: Voice,  # noqa: ARG001 - one voice a language
    text: str,
    code: str,
    draw: random.Random,
) -> Speech | None:
    """None where the phones do not add up to the audio."""
    engine = _engine(code)
    engine.rate, engine.pitch = draw.randrange(80, 126), draw.randrange(82, 122)
    with tempfile.NamedTemporaryFile("r") as file:
        os.environ["PICO_PHONES"] = file.name
        samples = np.frombuffer(engine.speak(text), "<i2")
        marks = [(int(number), int(frames)) for number, frames in (line.split() for line in file)]
    if abs(sum(frames for _, frames in marks) * 64 - len(samples)) > 640:
        return None
    return Speech(samples, 16000, later(read(marks, code), LATE, len(samples) / 16000))


def read(marks: Iterable[tuple[int, int]], code: str) -> tuple[Phone, ...]:
    """Phones of (number, frames); a closure belongs to the stop that opens it."""
    table = signs.pico(code)
    ends: list[tuple[str, float]] = []
    total, closed = 0, False
    for number, frames in marks:
        total += frames
        symbol = "_" if str(number) == table.silence else table.phones.get(str(number), SCHWA)
        if closed and symbol != "_":
            ends.pop()
        closed = str(number) in table.closures
        ends.append(("t" if closed else symbol, total * FRAME))
    return phones(ends, {})


def later(marks: Iterable[Phone], seconds: float, duration: float) -> tuple[Phone, ...]:
    """The same phones by ``seconds`` later, within ``duration``; a pause begins."""
    ends = [("_", seconds), *((phone.symbol, min(phone.end + seconds, duration)) for phone in marks)]
    if len(ends) > 1 and ends[1][0] == "_":
        del ends[0]
    return phones(ends, {})


@functools.cache
def _engine(code: str) -> Any:
    folder = os.environ.get("PICO", "")
    if not Path(folder, "picopi").is_dir():
        raise UserError("PICO does not name the folder of ttspico", fix="build it as examples/corpora/README.md says")
    sys.path.append(folder)
    import ttspico  # type: ignore[import-not-found] # built by hand

    return ttspico.TtsEngine(code, lang_dir=f"{folder}/picopi/pico/lang/")
