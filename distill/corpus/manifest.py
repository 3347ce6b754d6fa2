"""What is known about audio besides its samples: the lines of a manifest, and the notes beside synthetic speech.

A manifest is a file of JSON lines, one audio file each; ``docs/labels.md`` describes it. Phone times stay in their file
until they are asked for, so a corpus takes no memory for them.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, overload

from compile.errors import UserError
from distill.animation.json import is_ours
from distill.corpus.espeak import Phone

TRAIN, HELD_OUT = SPLITS = ("train", "held-out")
LONGEST_LINE = 64_000_000  # bytes; the phone times of a day
LONGEST_SYMBOL = 40  # letters of a phone; numpy gives every phone of a piece the room of the longest


@dataclass(frozen=True, slots=True)
class Timed(Sequence[Phone]):
    """Phones with times that are read from their file at each use: a line of a manifest, or the notes of one audio."""

    file: Path
    offset: int = 0

    @overload
    def __getitem__(self, index: int) -> Phone: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Phone]: ...
    def __getitem__(self, index: int | slice) -> Phone | Sequence[Phone]:
        return self._read()[index]

    def __iter__(self) -> Iterator[Phone]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def _read(self) -> tuple[Phone, ...]:
        try:
            with self.file.open("rb") as file:
                file.seek(self.offset)
                return _phones(json.loads(file.readline(LONGEST_LINE))["phones"])
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise UserError(f"its phone times went while they were read ({error!r})", where=str(self.file)) from error


@dataclass(frozen=True, slots=True)
class Facts:
    """What a manifest or a note says about one audio file; empty, or None, where it says nothing."""

    split: str = TRAIN
    speaker: str = ""
    text: str = ""
    language: str = ""
    phones: Timed | None = None


def read(path: Path) -> Iterator[tuple[Path, Facts]]:
    """The audio files of a manifest, in its order, each with what is known about it.

    Raises:
        UserError: the manifest cannot be read, or a line is malformed; the message names it by number.
    """
    if not path.is_file():  # a pipe cannot be read again, for phone times
        raise UserError("it is no file", where=str(path))
    try:
        with path.open("rb") as file:
            offset = 0
            for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), 1):
                if line.strip():
                    yield _line(path, offset, line, f"{path}, line {number}")
                offset += len(line)
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path)) from error


def beside(audio: Path) -> Facts | None:
    """What ``audio``'s notes say, if phiz wrote such (see ``corpus.synthesize``) and not curves (``phiz bake``).

    Raises:
        UserError: they are phiz's, and damaged.
    """
    notes = audio.with_suffix(".json")
    try:
        item = json.loads(notes.read_bytes()) if notes.is_file() and not is_ours(notes) else None
    except (OSError, ValueError, RecursionError):
        return None  # somebody else's file
    if not isinstance(item, dict) or "phones" not in item:
        return None
    try:
        _phones(item["phones"])
        voice, split = str(item["speak"]["voice"]), str(item["split"])
        language = str(item.get("language", voice.partition("+")[0]))
        return _shared(Facts(split, voice, str(item["speak"]["text"]), language, Timed(notes)))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"not phone times as phiz writes them ({error!r})", where=str(notes)) from error


def text(value: Any) -> str:
    """``value`` if it is text that can be written as UTF-8; ValueError where it is none."""
    if not _is_text(value):
        raise ValueError(f"{str(value)[:40]!r} is no text")
    return str(value)


def names(values: Any, most: int) -> tuple[str, ...]:
    """A list of 1 to ``most`` different names; ValueError where it is none."""
    if not isinstance(values, list) or not 0 < len(values) <= most or len({*map(text, values)} - {""}) != len(values):
        raise ValueError(f"no list of 1 to {most} different names")
    return tuple(values)


def spelled(name: str) -> str:
    """The name of a file as text that can be written, also where its bytes are no UTF-8: ``caf\\xe9.wav``."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _line(manifest: Path, offset: int, line: bytes, where: str) -> tuple[Path, Facts]:
    try:
        item: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"not JSON: {error}", where=where, fix="write one JSON object a line") from error
    if not isinstance(item, dict) or not item.get("path"):
        raise UserError("it names no audio", where=where, fix='write {"path": "a.wav", …}')
    named = {key: item[key] for key in ("path", "split", "speaker", "text", "language") if item.get(key) is not None}
    for key, value in named.items():
        if not _is_text(value, os.fsencode if key == "path" else str.encode):
            raise UserError(f"'{key}' is no text", where=where)
    audio = manifest.parent / named.pop("path")
    if named.get("split", TRAIN) not in SPLITS:
        raise UserError(f"there is no split '{named['split']}'", where=where, fix=f"write {' or '.join(SPLITS)}")
    timed = None
    if item.get("phones") is not None:
        try:
            _phones(item["phones"])
        except (ValueError, TypeError) as error:
            raise UserError(f"not phone times: {error}", where=where, fix='write [["p", 0.1, 0.18], …]') from error
        timed = Timed(manifest, offset)
    return audio, _shared(Facts(**named, phones=timed))


def _phones(items: Any) -> tuple[Phone, ...]:
    """Phones of ``[symbol, start, end]`` lists; ValueError or TypeError where they are none."""
    try:
        phones = tuple(Phone(_symbol(symbol), float(start), float(end)) for symbol, start, end in items)
    except OverflowError as error:  # a whole number that no float holds
        raise ValueError(str(error)) from error
    for phone in phones:
        if not (math.isfinite(phone.end) and 0 <= phone.start <= phone.end):
            raise ValueError(f"'{phone.symbol}' lasts from {phone.start} to {phone.end} seconds")
    for before, after in pairwise(phones):
        if after.start < before.start:
            raise ValueError(f"'{after.symbol}' at {after.start} seconds follows one at {before.start}")
    return phones


def _symbol(value: Any) -> str:
    if not _is_text(value) or len(value) > LONGEST_SYMBOL:
        raise ValueError(f"{str(value)[:40]!r} is no phone")
    return sys.intern(value)


def _is_text(value: Any, encode: Callable[[str], bytes] = str.encode) -> bool:
    """Whether it can be written: JSON has halves of letters that no file and no name can hold."""
    try:
        return isinstance(value, str) and b"\0" not in encode(value)
    except UnicodeEncodeError:
        return False


def _shared(facts: Facts) -> Facts:
    """The same, with words that thousands of files have in common held once."""
    split, speaker, language = (sys.intern(word) for word in (facts.split, facts.speaker, facts.language))
    return Facts(split, speaker, facts.text, language, facts.phones)
