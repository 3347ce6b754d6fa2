"""The cache of pseudo-labels: what a teacher said about each piece of audio, kept by content.

A labels folder has one ``<key>.npz`` for each piece (the audio as the student will hear it and its curves; no pickle),
where the key digests audio, phone times, teacher and version, and an index ``labels.json``. Every file appears whole or
not at all, so a killed run goes on where it stopped, and a folder that moved still trains.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compile.errors import MissingExtra, UserError
from compile.files import write_atomically
from distill.audio import decode, frame_count
from distill.corpus import TRAIN, Source
from distill.teachers.base import Teacher, Utterance

INDEX = "labels.json"
FORMAT = "phiz labels 1"


@dataclass(frozen=True)
class Entry:
    """One labelled piece: its cache ``key``, the audio file's name, its split and its speaker."""

    key: str
    source: str
    split: str
    speaker: str


@dataclass(frozen=True)
class Labels:
    """A folder of labels by one teacher."""

    folder: Path
    teacher: str
    version: str
    controls: tuple[str, ...]
    entries: tuple[Entry, ...]

    def split(self, name: str = TRAIN) -> tuple[Entry, ...]:
        """The entries of one split."""
        return tuple(entry for entry in self.entries if entry.split == name)

    def arrays(self, entry: Entry) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
        """``audio`` [samples], int16 at 16 kHz, and ``curves`` [frames, controls] at 50 Hz.

        Raises:
            UserError: the file is missing or damaged.
        """
        path = self.folder / f"{entry.key}.npz"
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
                audio, curves = file["audio"], file["curves"].astype(np.float32)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(f"not a label file: {error}", where=str(path), fix="delete it and label again") from error
        if audio.dtype != np.int16 or curves.shape != (frame_count(len(audio)), len(self.controls)):
            raise UserError(
                f"audio {list(audio.shape)} and curves {list(curves.shape)} do not fit together",
                where=str(path),
                fix="delete it and label again",
            )
        return audio, curves


@dataclass(frozen=True)
class Summary:
    """What a labelling run did: counts, and (file, reason) of what it skipped."""

    done: int
    cached: int
    skipped: tuple[tuple[str, str], ...]


def label(
    sources: Sequence[Source],
    teacher: Teacher,
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Labels, Summary]:
    """Label every source, or find its label in the cache; what cannot be labelled is skipped with its reason.

    Args:
        sources: see ``corpus.find`` and ``corpus.synthesize``.
        teacher: asked once per piece.
        folder: of the cache; other runs' labels in it are left alone.
        progress: called with (done, total).

    Raises:
        UserError: nothing could be labelled, or the folder cannot be written.
        MissingExtra: a package that reading or labelling takes is not installed.
    """
    entries: list[Entry] = []
    skipped: list[tuple[str, str]] = []
    done = cached = 0
    for index, source in enumerate(sources, 1):
        try:
            key = _key(source, teacher)
            path = folder / f"{key}.npz"
            data = None if path.is_file() else _label(source, teacher)
        except MissingExtra:  # no other source would fare better
            raise
        except UserError as error:
            skipped.append((str(source.path), str(error)))
        else:
            if data is None:
                cached += 1
            else:
                write_atomically(path, data)
                done += 1
            entries.append(Entry(key, source.path.name, source.split, source.speaker))
        if progress:
            progress(index, len(sources))
    if not entries:
        reason = f"; the first reason: {skipped[0][1]}" if skipped else ""
        raise UserError(f"an empty corpus: none of {len(sources)} audio files could be labelled{reason}")
    labels = Labels(folder, teacher.name, teacher.version, tuple(teacher.controls), tuple(entries))
    facts = {
        "format": FORMAT,
        "teacher": labels.teacher,
        "version": labels.version,
        "controls": labels.controls,
        "entries": [asdict(entry) for entry in entries],
    }
    write_atomically(folder / INDEX, (json.dumps(facts, indent=1) + "\n").encode())
    return labels, Summary(done, cached, tuple(skipped))


def load(folder: Path) -> Labels:
    """Read a labels folder's index; the arrays are read one by one by :meth:`Labels.arrays`.

    Raises:
        UserError: it is missing or malformed.
    """
    path = folder / INDEX
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts["format"] != FORMAT:
            raise ValueError(f"format is {facts['format']!r}")
        entries = tuple(Entry(**{key: str(value) for key, value in entry.items()}) for entry in facts["entries"])
        if any(re.fullmatch("[0-9a-f]{32}", entry.key) is None for entry in entries):
            raise ValueError("a key that names no label file")
        controls = tuple(str(name) for name in facts["controls"])
        return Labels(folder, str(facts["teacher"]), str(facts["version"]), controls, entries)
    except FileNotFoundError as error:
        raise UserError("not a labels folder", where=str(folder), fix="make one with: phiz label") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"not a labels index ({error})", where=str(path), fix="label again") from error


def _key(source: Source, teacher: Teacher) -> str:
    """Digest of everything that the label depends on."""
    try:
        content = hashlib.sha256(source.path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(source.path)) from error
    phones = [(phone.symbol, phone.start, phone.end) for phone in source.phones] if source.phones else None
    parts = json.dumps([FORMAT, content, phones, teacher.name, teacher.version])
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


def _label(source: Source, teacher: Teacher) -> bytes:
    audio = np.round(np.clip(decode(source.path), -1, 1) * 32767).astype(np.int16)
    curves = teacher.curves(Utterance((audio / 32767).astype(np.float32), source.phones))
    expected = (frame_count(len(audio)), len(teacher.controls))
    if curves.shape != expected or not np.isfinite(curves).all():
        raise UserError(
            f"the teacher '{teacher.name}' gave {list(curves.shape)} where finite {list(expected)} was due",
            where=str(source.path),
        )
    buffer = io.BytesIO()
    np.savez(buffer, audio=audio, curves=curves.astype(np.float16))
    return buffer.getvalue()
