"""Several processes label one corpus: each its share, and the first one gathers what all of them found.

They are started by ``torchrun`` (or anything else that sets RANK and WORLD_SIZE), on one machine or on many, and need
nothing from each other but a folder that all of them see. Rank 0 opens a meeting there under a token that nobody knew
before; the others hand in their findings under that token, so nothing that an earlier run left is taken for theirs.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from compile.errors import UserError
from compile.files import write_atomically

PATIENCE = 10.0  # seconds for the others to come, or to see the end
PAUSE = 0.1  # seconds between two looks
TRIES = 5
OPEN, DONE, FAILED = "open", "done", "failed"


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this one is."""

    rank: int = 0
    count: int = 1

    @staticmethod
    def here(environment: Mapping[str, str] = os.environ) -> Ranks:
        """As RANK and WORLD_SIZE say; alone where they do not.

        Raises:
            UserError: they are no numbers, or contradict each other.
        """
        words = environment.get("RANK", "0"), environment.get("WORLD_SIZE", "1")
        if not all(word.isdecimal() for word in words) or int(words[0]) >= int(words[1]):
            raise UserError(f"RANK={words[0]} of WORLD_SIZE={words[1]} processes is none of them", where="environment")
        return Ranks(int(words[0]), int(words[1]))


@contextmanager
def gathered(
    lines: Iterable[str], folder: Path, bench: Path, ranks: Ranks, tell: Callable[[int], None]
) -> Iterator[Iterator[str] | None]:
    """What all ranks found about a list of things of which each had every ``ranks.count``-th.

    Rank 0 is yielded a line a thing, in the list's order. The others are yielded None, after rank 0's block has ended
    well. Whoever fails takes all along.

    Args:
        lines: this rank's, without line breaks; computed as they are asked for.
        folder: where the ranks of this job, and of no other, meet; gone afterwards.
        bench: a folder of this process, on the same file system.
        ranks: this one and how many there are. Alone, it meets nobody.
        tell: at rank 0, while it waits, hears how many ranks are ready.

    Raises:
        UserError: another rank gave up, or nothing can be written.
    """
    if ranks.count == 1:
        yield iter(lines)
        return
    meeting = _Meeting(folder, ranks)
    try:
        mine = bench / "found"
        write_atomically(mine, (f"{line}\n".encode() for line in lines))
        if ranks.rank == 0:
            yield _interleaved(meeting.collect(mine, tell))
            meeting.close()
        else:
            meeting.hand_in(mine)
            yield None
    except Exception as error:
        meeting.give_up(error)
        raise


class _Meeting:
    def __init__(self, folder: Path, ranks: Ranks) -> None:
        self._folder, self._ranks = folder, ranks
        self._token = secrets.token_hex(8)
        before, state, _ = self._read()
        self._ended = before if state != OPEN else ""  # long ago
        if ranks.rank == 0:
            shutil.rmtree(folder, ignore_errors=True)
            self._declare(OPEN)

    def collect(self, mine: Path, tell: Callable[[int], None]) -> list[Path]:
        """Rank 0: the files of all ranks, in their order, when all have come."""
        parts = [mine, *(self._part(self._token, rank) for rank in range(1, self._ranks.count))]
        while (here := sum(part.is_file() for part in parts)) < len(parts):
            if (last_words := self._folder / FAILED).is_file():
                raise UserError(last_words.read_text(encoding="utf-8"))
            tell(here)
            time.sleep(PAUSE)
        return parts

    def hand_in(self, mine: Path) -> None:
        """Another rank: give the file ``mine`` to rank 0, and wait until it has made use of it."""
        handed, failures = "", 0
        while True:
            token, state, reason = self._read()
            if state == FAILED and token != self._ended:
                raise UserError(reason)
            if state == DONE and token == handed:
                self._part(token, self._ranks.rank).unlink(missing_ok=True)
                return
            if state == OPEN and token != handed:
                try:
                    write_atomically(self._part(token, self._ranks.rank), mine.read_bytes())
                    handed = token
                except UserError:  # rank 0 may be clearing an old meeting away at this moment
                    failures += 1
                    if failures == TRIES:
                        raise
            time.sleep(PAUSE)

    def close(self) -> None:
        """Rank 0: let the others go, and clean up when they have gone."""
        self._declare(DONE)
        late = time.monotonic() + PATIENCE
        while any(self._folder.glob(f"{self._token}.*")) and time.monotonic() < late:
            time.sleep(PAUSE)
        shutil.rmtree(self._folder, ignore_errors=True)

    def give_up(self, error: Exception) -> None:
        """Leave word for the others, who would wait; torchrun ends them, too, but not everything does."""
        reason = f"rank {self._ranks.rank} gave up: {error}"
        late = time.monotonic() + PATIENCE
        while self._ranks.rank and self._read()[1] != OPEN and time.monotonic() < late:
            time.sleep(PAUSE)  # rank 0 is not there yet
        with suppress(UserError):  # perhaps the disk is full, which is why
            if self._ranks.rank == 0:
                self._declare(FAILED, reason)
            elif self._read()[1] == OPEN:
                write_atomically(self._folder / FAILED, reason.encode())

    def _declare(self, state: str, reason: str = "") -> None:
        write_atomically(self._folder / "state", f"{self._token} {state} {reason}".encode())

    def _read(self) -> tuple[str, str, str]:
        """(token, state, reason) of the meeting; empty where there is none."""
        try:
            token, state, reason = (self._folder / "state").read_text(encoding="utf-8").split(" ", 2)
        except (OSError, ValueError):
            return "", "", ""
        return token, state, reason

    def _part(self, token: str, rank: int) -> Path:
        return self._folder / f"{token}.{rank}"


def _interleaved(parts: Sequence[Path]) -> Iterator[str]:
    """Line ``i`` of all is in part ``i % parts``."""
    with ExitStack() as stack:
        files = [stack.enter_context(part.open(encoding="utf-8")) for part in parts]
        for file in cycle(files):
            if not (line := file.readline()):
                return
            yield line
