"""Many files are baked one after the other, or by several processes of this machine side by side.

What is not whole yet lies in a folder of its own among the outputs, which goes however the work ends.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from compile.errors import UserError
from compile.files import workbench
from distill.animation.baking import Baked, Drive, Order, attempt
from distill.corpus.sources import Source
from distill.labels.workers import PAUSE, processes

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

AHEAD = 2  # files a process that are handed out before they can be begun
WORTH = 2_000_000  # bytes of audio files that another process is begun for: it takes most of a second to begin

Progress = Callable[[int, float], None]
"""Told now and then how many files are done, and how many seconds of audio have passed."""


def bake(
    sources: Sequence[Source],
    drive: Drive,
    order: Order,
    *,
    jobs: int = 1,
    reopen: Callable[[], Drive] | None = None,
    progress: Progress | None = None,
) -> list[Baked]:
    """Bake files, no two of one name. What cannot be baked is told of, and the others are; in the order of the files.

    Args:
        sources: what to hear.
        drive: the face.
        order: what to write.
        jobs: most processes. With more than one, each opens a face of its own by ``reopen``; the bytes are the same.
        reopen: must pickle.
        progress: see :data:`Progress`.

    Raises:
        UserError: the folder cannot be created, or a process died.
    """
    tell = progress or (lambda *_: None)
    jobs = min(jobs, len(sources), 1 + sum(_size(source.path) for source in sources) // WORTH)
    with _bench_in(order.out) as bench:
        if jobs == 1 or reopen is None:
            return _one_by_one(sources, drive, order, bench, tell)
        return _side_by_side(sources, Hand(reopen, order, bench), jobs, tell)


@contextmanager
def _bench_in(out: Path) -> Iterator[Path]:
    """A folder in ``out``, on its file system; what was made for it goes as well where nothing came of it."""
    made: list[Path] = []
    try:
        try:
            made = [folder for folder in (out, *out.parents) if not folder.exists()]
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            what = f"cannot create the folder: {error.strerror}"
            raise UserError(what, where=str(out), fix="choose another") from error
        with workbench(out / "bake") as bench:
            yield bench
    finally:
        for folder in made:
            with suppress(OSError):  # one that holds something stays
                folder.rmdir()


def _one_by_one(sources: Sequence[Source], drive: Drive, order: Order, bench: Path, tell: Progress) -> list[Baked]:
    baked: list[Baked] = []
    passed = 0.0

    def heard(seconds: float) -> None:
        nonlocal passed
        passed += seconds
        tell(len(baked), passed)

    for source in sources:
        tell(len(baked), passed)
        baked.append(attempt(source, drive, order, bench, heard))
    return baked


def _side_by_side(sources: Sequence[Source], hand: Hand, jobs: int, tell: Progress) -> list[Baked]:
    """The largest files are begun first, so that none is waited for alone."""
    passed = multiprocessing.get_context("spawn").Value("d", 0.0)
    waiting = sorted(range(len(sources)), key=lambda index: _size(sources[index].path))
    begun: dict[Future[Baked], int] = {}
    done: dict[int, Baked] = {}
    with processes(jobs, partial(_begin, hand, passed)) as pool:
        while waiting or begun:
            while waiting and len(begun) < AHEAD * jobs:
                index = waiting.pop()
                begun[pool.submit(_attempt, sources[index])] = index
            tell(len(done), passed.value)
            for future in wait(begun, PAUSE, FIRST_COMPLETED).done:
                done[begun.pop(future)] = future.result()
    return [done[index] for index in range(len(sources))]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # it is said when the file is to be read
        return 0


@dataclass
class Hand:
    """What each process keeps: a face of its own, opened when the first file comes."""

    reopen: Callable[[], Drive]
    order: Order
    bench: Path
    drive: Drive | None = None

    def attempt(self, source: Source, passed: Synchronized[float]) -> Baked:
        """See ``baking.attempt``."""

        def heard(seconds: float) -> None:
            with passed.get_lock():
                passed.value += seconds

        try:
            self.drive = self.drive or self.reopen()
        except UserError as error:
            return Baked(complaint=str(error))
        return attempt(source, self.drive, self.order, self.bench, heard)


_here: tuple[Hand, Synchronized[float]] | None = None  # in a process of the pool


def _begin(hand: Hand, passed: Synchronized[float]) -> None:
    global _here
    _here = hand, passed


def _attempt(source: Source) -> Baked:
    assert _here is not None
    hand, passed = _here
    return hand.attempt(source, passed)
