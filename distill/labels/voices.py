"""More speakers than there are: every training piece again in other voices, with the curves that it has.

The teacher is not asked again: what is said, and when, stays. So a corpus of few speakers becomes one of many, as far
as a vocoder can make them; they are worth less than real ones. A speaker's other voices are the same in all pieces.
"""

from __future__ import annotations

import io
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial

import numpy as np

from compile.errors import UserError
from compile.files import write_atomically
from distill import digests
from distill.augment import vocoder
from distill.corpus.sources import TRAIN
from distill.labels.cache import Entry, Labels, extended
from distill.labels.labelling import place
from distill.training.sampler import PCM

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
    no_last_words = (signal.SIGINT, signal.SIG_DFL)
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), signal.signal, no_last_words)
    try:
        yield from pool.map(partial(_respoken, bare), work, chunksize=CHUNK)
    except BrokenProcessPool as error:
        raise UserError(
            "a process of --jobs died, perhaps for want of memory", fix="run fewer; what is finished is kept"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _respoken(labels: Labels, job: tuple[Entry, int]) -> Entry:
    """Speak a piece again in the speaker's voice of that number, unless that was done before."""
    entry, number = job
    key = digests.key(FORMAT, entry.key, entry.speaker, number)
    path = place(labels.folder, key)
    if not path.is_file():
        audio, curves = labels.arrays(entry)
        draw = np.random.default_rng(int(digests.key(FORMAT, entry.speaker, number), 16))
        spoken = vocoder.respoken(audio * PCM, vocoder.timbre(draw))
        data = io.BytesIO()
        samples = np.round(np.clip(spoken, -1, 1) / PCM).astype(np.int16)
        np.savez(data, audio=samples, curves=curves.astype(np.float16))
        write_atomically(path, data.getvalue())
    return Entry(key, entry.source, entry.split, f"{entry.speaker}~{number}", entry.language, entry.frames, False)
