"""Sources are labelled one after the other, or by several processes of this machine; outcomes come in order."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from compile.errors import MissingExtra, UserError
from distill.corpus.sources import Source
from distill.labels.labelling import Outcome, attempt
from distill.teachers.base import Teacher

PAUSE = 1.0  # seconds between two signs of life
AHEAD = 4  # sources a process that are handed out before the first of them is done


@dataclass
class Worker:
    """What each process keeps: its own teacher, opened when the first source comes."""

    reopen: Callable[[], Teacher]
    folder: Path
    bench: Path
    teacher: Teacher | None = None

    def attempt(self, source: Source) -> Outcome:
        """See ``labelling.attempt``; what it raises crosses to another process."""
        try:
            self.teacher = self.teacher or self.reopen()
            return attempt(source, self.teacher, self.folder, self.bench, lambda: None)
        except MissingExtra as error:
            raise UserError(str(error)) from None


def attempts(
    sources: Sequence[Source],
    teacher: Teacher,
    folder: Path,
    bench: Path,
    jobs: int,
    reopen: Callable[[], Teacher] | None,
    alive: Callable[[], None],
) -> Iterator[Outcome]:
    """What becomes of each source, in order; see ``labelling.attempt``.

    Args:
        sources: to label.
        teacher: who labels; with several ``jobs`` a copy, or what ``reopen`` returns, in each process.
        folder: of the labels.
        bench: for files that are not whole yet.
        jobs: processes. They end with this one, however it ends.
        reopen: must pickle.
        alive: called now and then while a source takes its time.

    Raises:
        UserError: as ``labelling.attempt``, or a process died.
    """
    if jobs == 1 or len(sources) < 2:
        for source in sources:
            yield attempt(source, teacher, folder, bench, alive)
        return
    worker = Worker(reopen or partial(_same, teacher), folder, bench)
    waiting: deque[Future[Outcome]] = deque()
    with processes(min(jobs, len(sources)), partial(_begin, worker)) as pool:
        for source in sources:
            waiting.append(pool.submit(_attempt, source))
            if len(waiting) >= AHEAD * jobs:
                yield _awaited(waiting.popleft(), alive)
        while waiting:
            yield _awaited(waiting.popleft(), alive)


@contextmanager
def processes(count: int, begin: Callable[[], None] | None = None) -> Iterator[ProcessPoolExecutor]:
    """A pool of ``count`` processes that end with this one, however it ends; ``begin`` is called first in each.

    Raises:
        UserError: a process died.
    """
    context = multiprocessing.get_context("spawn")  # a teacher may have threads, which do not survive a fork
    leash, hand = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(count, context, _leashed, (leash, begin))
    try:
        yield pool
    except BrokenProcessPool as error:
        raise UserError(
            "a process of --jobs died, perhaps for want of memory", fix="run fewer; what is finished is kept"
        ) from error
    finally:
        hand.close()
        pool.shutdown(cancel_futures=True)
        leash.close()


def _awaited(future: Future[Outcome], alive: Callable[[], None]) -> Outcome:
    while not wait([future], PAUSE).done:
        alive()
    return future.result()


def _same(teacher: Teacher) -> Teacher:
    return teacher


_here: Worker | None = None  # in a process of the pool


def _begin(worker: Worker) -> None:
    global _here
    _here = worker


def _leashed(leash: Connection, begin: Callable[[], None] | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no last words
    threading.Thread(target=_end_with_parent, args=(leash,), daemon=True).start()
    if begin is not None:
        begin()


def _end_with_parent(leash: Connection) -> None:
    """Nothing is ever sent: the pipe ends when the parent lets go of it or dies, be it by ``kill -9``."""
    try:
        leash.recv()
    except (EOFError, OSError):
        os._exit(1)


def _attempt(source: Source) -> Outcome:
    assert _here is not None
    return _here.attempt(source)
