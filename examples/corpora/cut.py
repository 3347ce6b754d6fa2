"""Stretches of meetings in which one person speaks alone, cut by who speaks when (RTTM)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from compile.files import folder_atomically
from distill import audio

SHORTEST = 0.8  # seconds
PACKAGE = "pyannote-audio"


@dataclass(frozen=True, order=True)
class Turn:
    """``speaker`` talks from ``start`` to ``end``, in seconds."""

    start: float
    end: float
    speaker: str


def cut(root: Path) -> None:
    """Write ``root/cut/pyannote-audio/SPEAKER/NAME_MILLISECONDS.wav``, 16 kHz, unless it is there."""
    target = root / "cut" / PACKAGE
    if target.is_dir():
        return
    data = root / "unpacked" / PACKAGE / "tests/data"
    sounds = {_plain(path.stem): path for path in data.glob("*.wav")}
    with folder_atomically(target) as folder:
        for name, turns in sorted(read(data).items()):
            samples = audio.decode(sounds[name])
            for turn in alone(turns):
                path = folder / _plain(turn.speaker) / f"{name}_{turn.start * 1000:06.0f}.wav"
                start, end = (round(seconds * audio.SAMPLE_RATE) for seconds in (turn.start, turn.end))
                audio.write_wav(path, samples[start:end])


def read(folder: Path) -> dict[str, list[Turn]]:
    """Turns by recording: ``SPEAKER name 1 start duration <NA> <NA> speaker <NA> <NA>`` a line."""
    turns: dict[str, list[Turn]] = {}
    for path in sorted(folder.glob("*.rttm")):
        for line in path.read_text(encoding="utf-8").splitlines():
            _, name, _, start, duration, _, _, speaker, *_ = line.split()
            turns.setdefault(_plain(name), []).append(Turn(float(start), float(start) + float(duration), speaker))
    return turns


def alone(turns: Sequence[Turn]) -> Iterator[Turn]:
    """What is left of each turn where nobody else talks, if it is long enough; in order."""
    for turn in sorted(turns):
        now = turn.start
        for other in sorted(turns):
            if other.speaker != turn.speaker and other.start < turn.end and other.end > now:
                if other.start - now >= SHORTEST:
                    yield Turn(now, other.start, turn.speaker)
                now = max(now, other.end)
        if turn.end - now >= SHORTEST:
            yield Turn(now, turn.end, turn.speaker)


def _plain(name: str) -> str:
    """Letters without accents: file systems spell those in two ways."""
    return "".join(letter for letter in unicodedata.normalize("NFD", name) if letter.isascii())
