"""One thing under attack, and what a case may take."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from random import Random

from bench.fuzz.mutate import Files, mutate
from compile.quiet import quiet


@dataclass(frozen=True)
class Limits:
    """Of one case.

    Attributes:
        seconds: of a processor.
        memory: bytes of address space beyond what the process began with.
        confined: nothing outside the case's folder may be opened or listed.
    """

    seconds: float = 5.0
    memory: int = 1 << 30
    confined: bool = False


LIMITS = Limits()


@dataclass(frozen=True)
class Subject:
    """One reader of files.

    Attributes:
        name: for messages and folders.
        files: good ones, by path.
        entry: the path that the reader is given, beneath the folder that holds the files.
        read: the reader.
        others: good files too, instead of ``files``.
        limits: of a case.
    """

    name: str
    files: Files
    entry: str
    read: Callable[[Path], None]
    others: tuple[Files, ...] = ()
    limits: Limits = LIMITS

    def draw(self, seed: int, number: int) -> dict[str, bytes]:
        """The files of one case."""
        random = Random(f"{self.name} {seed} {number}")
        return mutate(random, random.choice((self.files, *self.others)) if self.others else self.files)

    def attempt(self, files: Files, folder: Path) -> None:
        """Write ``files`` beneath ``folder`` and read them."""
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        with nullcontext() if self.limits.confined else quiet():  # which takes a millisecond; the auditor is quiet
            self.read(folder / self.entry)
