"""More speakers than there are: every training piece again in other voices, with the curves that it has.

The teacher is not asked again: what is said, and when, stays. So a corpus of few speakers becomes one of many, as far
as a vocoder can make them; they are worth less than real ones. A speaker's other voices are the same in all pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from compile.files import write_atomically
from distill import digests
from distill.audio import as_float, as_int16
from distill.augment import vocoder
from distill.corpus.sources import TRAIN
from distill.labels.cache import Entry, Labels, extended
from distill.labels.labelling import packed, place
from distill.labels.workers import processes

FORMAT = "phiz voices 1"
CHUNK = 8  # pieces that a process is handed at a time


def multiply(
    labels: Labels, count: int, *, jobs: int = 1, progress: Callable[[int, int], None] | None = None
) -> Labels:
    """Add every training piece in ``count`` other voices to the labels folder; what is there already is kept.

    Args:
        labels: as labelled; the held-out split stays as it is.
        count: of voices that every speaker gets; they are called ``speaker~1`` and so on.
        jobs: processes that share the work.
        progress: called with (done, total).

    Returns:
        The labels with the new pieces; their phones are not kept.

    Raises:
        UserError: a label file is missing or damaged, one cannot be written, or a process died.
        MissingExtra: pyworld is not installed.
    """
    vocoder.require()
    work = [(entry, number) for entry in labels.split(TRAIN) for number in range(1, count + 1)]
    found: list[Entry] = []
    for entry in _done(labels, work, jobs):
        found.append(entry)
        if progress:
            progress(len(found), len(work))
    return extended(labels, found)


def _done(labels: Labels, work: Sequence[tuple[Entry, int]], jobs: int) -> Iterator[Entry]:
    if jobs == 1:
        yield from map(partial(_respoken, labels), work)
        return
    bare = Labels(labels.folder, labels.teacher, labels.version, labels.controls, ())  # the rest need not travel
    with processes(jobs) as pool:
        yield from pool.map(partial(_respoken, bare), work, chunksize=CHUNK)


def _respoken(labels: Labels, job: tuple[Entry, int]) -> Entry:
    """Speak a piece again in the speaker's voice of that number, unless that was done before."""
    entry, number = job
    key = digests.key(FORMAT, entry.key, entry.speaker, number)
    path = place(labels.folder, key)
    if not path.is_file():
        audio, curves = labels.arrays(entry)
        draw = np.random.default_rng(int(digests.key(FORMAT, entry.speaker, number), 16))
        spoken = as_int16(vocoder.respoken(as_float(audio), vocoder.timbre(draw)))
        write_atomically(path, packed({"audio": spoken, "curves": curves.astype(np.float16)}))
    return Entry(key, entry.source, entry.split, f"{entry.speaker}~{number}", entry.language, entry.frames, False)
