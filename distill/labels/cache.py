"""The cache of pseudo-labels: what a teacher said about each piece of audio, kept by content.

A labels folder has one ``<key>.npz`` for each piece of at most 30 s (the audio as the student will hear it, its curves,
and its phones where they were known; no pickle), where the key digests audio, phone times, teacher and version, and an
index ``labels.jsonl``. Every file appears whole or not at all, so a killed run goes on where it stopped, and a folder
that moved still trains. ``docs/labels.md`` describes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, fields, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError
from compile.files import workbench, write_atomically
from distill.arrays import open_npz
from distill.audio import frame_count
from distill.corpus.espeak import Phone
from distill.corpus.manifest import names, spelled, text
from distill.corpus.sources import TRAIN, Source
from distill.labels.labelling import FORMAT, PHONES, RECOGNISED, Outcome, phones_of, place
from distill.labels.ranks import Ranks, gathered
from distill.labels.workers import attempts
from distill.students.architectures import MOST_CONTROLS
from distill.teachers.base import Teacher, require_own_origins

INDEX, OLD_INDEX = "labels.jsonl", "labels.json"
LARGEST = 100_000_000  # bytes of one array; 30 s of audio are a hundredth


@dataclass(frozen=True, slots=True)
class Entry:
    """One labelled piece.

    Attributes:
        key: of its file in the cache.
        source: name of the audio file that it is from; its pieces follow each other.
        split: ``train`` or ``held-out``.
        speaker: see ``corpus.Source``.
        language: its code, or empty.
        frames: of its curves, 50 a second.
        exact: phone times came with the source, so :meth:`Labels.phones` has them.
    """

    key: str
    source: str
    split: str
    speaker: str
    language: str
    frames: int
    exact: bool


COLUMNS = tuple(field.name for field in fields(Entry))


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
            UserError: the file is missing or damaged, or has values that are no numbers.
        """
        audio, curves = self._read(entry, "audio", "curves")
        expected = (entry.frames, len(self.controls))
        fits = audio.dtype == np.int16 and audio.ndim == 1 and frame_count(len(audio)) == entry.frames
        if not fits or curves.dtype.kind != "f" or curves.shape != expected:
            raise UserError(
                f"audio {list(audio.shape)} and curves {list(curves.shape)} do not fit together",
                where=str(place(self.folder, entry.key)),
                fix="delete it and label again",
            )
        if not np.isfinite(curves).all():
            raise UserError(
                f"the curves of '{entry.source}' have NaN or infinite values",
                where=str(place(self.folder, entry.key)),
                fix="delete it and label again",
            )
        return audio, curves.astype(np.float32)

    def phones(self, entry: Entry) -> tuple[Phone, ...] | None:
        """The phones that the teacher went by, with seconds from the piece's first sample; None where it knew none.

        They are true where ``entry.exact``; else its text's, laid over what was heard, or those recognised.

        Raises:
            UserError: the file is missing or damaged.
        """
        return self._phones(entry, *PHONES, optional=not entry.exact)

    def recognised(self, entry: Entry) -> tuple[Phone, ...] | None:
        """The phones that the recogniser heard; None where they are exact, or its teacher does not listen.

        Raises as :meth:`phones`.
        """
        return self._phones(entry, *RECOGNISED, optional=True)

    def _phones(self, entry: Entry, *names: str, optional: bool) -> tuple[Phone, ...] | None:
        found = self._read(entry, *names, optional=optional)
        try:
            return phones_of(*found) if found else None
        except ValueError as error:
            where = str(place(self.folder, entry.key))
            raise UserError("its phones are damaged", where=where, fix="delete it and label again") from error

    def _read(self, entry: Entry, *names: str, optional: bool = False) -> list[np.ndarray]:
        """Arrays of a label file; none of them where they are ``optional`` and the first is not there."""
        path = place(self.folder, entry.key)
        try:
            file = open_npz(path)
            if optional and names[0] not in file.headers:
                return []
            return [np.array(file.read(name, limit=LARGEST)) for name in names]
        except UserError as error:
            what = f"not a label file: {error.what}"
            raise UserError(what, where=str(path), fix="delete it and label again") from error


@dataclass(frozen=True)
class Summary:
    """What a labelling run did.

    Attributes:
        done: files that the teacher labelled.
        cached: files whose labels were there.
        skipped: (file, reason) of what is not in the labels; the reason names the file, as one printable line.
        remarks: (file, remark) of what is, although it is odd; likewise.
    """

    done: int = 0
    cached: int = 0
    skipped: tuple[tuple[str, str], ...] = ()
    remarks: tuple[tuple[str, str], ...] = ()


def label(
    sources: Sequence[Source],
    teacher: Teacher,
    folder: Path,
    *,
    strict: bool = False,
    progress: Callable[[int, int], None] | None = None,
    jobs: int = 1,
    reopen: Callable[[], Teacher] | None = None,
) -> tuple[Labels, Summary]:
    """Label every source, or find its labels in the cache; what cannot be labelled is skipped with its reason.

    Memory is that of one piece of audio and of the index, however long the files are and however many.

    Under ``torchrun``, every rank must call this with equal arguments: each labels its share, rank 0 writes the index,
    and all return when it is there; the summary of the whole is rank 0's, that of the others is empty.

    Args:
        sources: see ``corpus.find``, ``corpus.divide`` and ``corpus.synthesize``.
        teacher: asked once per piece; whatever it raises or returns, it costs no more than that file.
        folder: of the cache; other runs' labels in it are left alone.
        strict: stop at the first source that cannot be labelled.
        progress: called with (done, total), now and then also while a long file takes its time.
        jobs: processes of this machine that share the work.
        reopen: opens the teacher in each of them; needed where ``teacher`` does not pickle.

    Raises:
        UserError: nothing could be labelled, or, if ``strict``, not everything; the folder cannot be written.
        MissingExtra: a package that reading or labelling takes is not installed.
    """
    if not sources:
        raise UserError("an empty corpus: no audio was named", fix="give audio files, folders, patterns, manifests")
    require_own_origins(teacher, (source.path for source in sources))
    ranks = Ranks.here()

    def tell(done: int) -> None:
        if progress:
            progress(done, len(sources))

    def lines() -> Iterator[str]:
        share = sources[ranks.rank :: ranks.count]
        tell(done := 0)
        found = attempts(share, teacher, folder, bench, jobs, reopen, lambda: tell(done))
        for done, outcome in enumerate(found, 1):
            if strict and outcome.refused:
                raise UserError(outcome.refused)
            yield outcome.line()
            tell(done)

    new = not folder.exists()
    meeting = folder / f".ranks-{_job(sources, teacher, ranks)}"
    try:
        with (
            workbench(folder / INDEX) as bench,
            gathered(
                lines(), meeting, bench, ranks, lambda ready: tell(-(-ready * len(sources) // ranks.count))
            ) as all_found,
        ):
            if all_found is not None:
                return _finish(sources, map(Outcome.of_line, all_found), teacher, folder, bench)
        return load(folder), Summary()
    finally:
        if new:
            with suppress(OSError):
                folder.rmdir()  # nothing came of it


def load(folder: Path) -> Labels:
    """Read a labels folder's index; the arrays are read one by one by :meth:`Labels.arrays`.

    Raises:
        UserError: it is missing, malformed, or that of an older phiz.
    """
    path = folder / INDEX
    try:
        if path.is_fifo():  # would be waited for without end
            raise ValueError("it is no file")
        with path.open(encoding="utf-8") as file:
            facts = json.loads(file.readline(LARGEST))
            if facts["format"] != FORMAT or facts["columns"] != list(COLUMNS):
                raise ValueError(f"format is {facts['format']!r}")
            entries = tuple(_entry(json.loads(line)) for line in file)
        if len(entries) != facts["pieces"]:
            raise ValueError(f"it has {len(entries)} of {facts['pieces']} pieces")
        controls = names(facts["controls"], MOST_CONTROLS)
        return Labels(folder, text(facts["teacher"]), text(facts["version"]), controls, entries)
    except FileNotFoundError as error:
        if (folder / OLD_INDEX).is_file():
            raise UserError(
                "labels of an older phiz, which this one cannot read",
                where=str(folder),
                fix=f"label the same audio again: phiz label AUDIO -o {folder}",
            ) from error
        raise UserError("not a labels folder", where=str(folder), fix="make one with: phiz label") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"not a labels index ({error})", where=str(path), fix="label again") from error


def _finish(
    sources: Sequence[Source], outcomes: Iterable[Outcome], teacher: Teacher, folder: Path, bench: Path
) -> tuple[Labels, Summary]:
    """Make the index of what became of each source, and write it."""
    entries: list[Entry] = []
    skipped: list[tuple[str, str]] = []
    remarks: list[tuple[str, str]] = []
    cached = done = 0
    first: dict[str, int] = {}  # where in the entries an audio's content came first
    for source, outcome in zip(sources, outcomes, strict=True):
        path = str(source.path)
        if outcome.refused:
            skipped.append((path, outcome.refused))
            continue
        twin = first.setdefault(outcome.pieces[0][0], len(entries))
        if twin < len(entries) and entries[twin].split != source.split:
            what = f"it holds the same as '{entries[twin].source}', which is in the split '{entries[twin].split}'"
            skipped.append((path, str(UserError(what, where=path))))
            continue
        cached, done = cached + outcome.cached, done + (not outcome.cached)
        if outcome.remark:
            remarks.append((path, str(UserError(outcome.remark, where=path))))
        name, exact = sys.intern(spelled(source.path.name)), source.phones is not None
        split, speaker, language = map(sys.intern, (source.split, source.speaker, source.language))
        entries += (Entry(key, name, split, speaker, language, frames, exact) for key, frames in outcome.pieces)
    if not entries:
        reason = f"; the first reason: {skipped[0][1]}" if skipped else ""
        raise UserError(f"an empty corpus: none of {len(sources)} audio files could be labelled{reason}")
    labels = Labels(folder, teacher.name, teacher.version, tuple(teacher.controls), tuple(entries))
    _write_index(labels, bench)
    return labels, Summary(done, cached, tuple(skipped), tuple(remarks))


def extended(labels: Labels, more: Iterable[Entry]) -> Labels:
    """``labels`` and ``more`` pieces, whose files are in the folder; its index lists them from then on.

    Raises:
        UserError: the index cannot be written.
    """
    found = replace(labels, entries=(*labels.entries, *more))
    with workbench(labels.folder / INDEX) as bench:
        _write_index(found, bench)
    return found


def _write_index(labels: Labels, bench: Path) -> None:
    about = {"format": FORMAT, "teacher": labels.teacher, "version": labels.version, "controls": labels.controls}
    facts = {**about, "pieces": len(labels.entries), "columns": COLUMNS}
    lines = (json.dumps(item) for item in chain([facts], map(astuple, labels.entries)))
    write_atomically(bench / INDEX, (f"{line}\n".encode() for line in lines))
    os.replace(bench / INDEX, labels.folder / INDEX)


def _entry(values: Any) -> Entry:
    """An entry of its ``COLUMNS``; ValueError or TypeError where they are none."""
    key, *words, frames, exact = values
    if re.fullmatch("[0-9a-f]{32}", key) is None:
        raise ValueError("a key that names no label file")
    if type(frames) is not int or frames < 1 or type(exact) is not bool:
        raise ValueError(f"{frames} frames")
    source, split, speaker, language = (sys.intern(text(word)) for word in words)
    return Entry(key, source, split, speaker, language, frames, exact)


def _job(sources: Sequence[Source], teacher: Teacher, ranks: Ranks) -> str:
    """What tells one run from another in the same folder; the audio may lie elsewhere on another machine."""
    digest = hashlib.sha256(f"{teacher.name} {teacher.version} {ranks.count}".encode())
    for source in sources:
        digest.update(os.fsencode(source.path.name) + b"\0")
    return digest.hexdigest()[:8]
