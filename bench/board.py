"""What the user sees while several trainings go on at once."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

SIGN_OF_LIFE = 15.0  # seconds


class Board:
    """A bar for everything and one for each that runs, on a terminal; elsewhere a line when one begins, ends, or lives.

    Lines are those of standard error, which has no results.
    """

    def __init__(self, title: str, total: int) -> None:
        self._console = Console(stderr=True, highlight=False, emoji=False)
        self._bars = Progress(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._whole = self._bars.add_task(title, total=total, note="")
        self._title, self._total, self._done = title, total, 0
        self._running: dict[str, TaskID] = {}
        self._told: dict[str, float] = {}

    def __enter__(self) -> Board:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def tell(self, name: str, stage: str, done: int, total: int, note: str = "") -> None:
        """Say that of ``stage`` of one, ``done`` of ``total`` steps are finished."""
        if name not in self._running:
            self._running[name] = self._bars.add_task(name, total=total, note=note)
        if time.monotonic() - self._told.get(name, 0.0) > SIGN_OF_LIFE:
            self._told[name] = time.monotonic()
            self._line(f"{name}: {stage} {done} of {total} {note}".rstrip())
        self._bars.update(self._running[name], description=f"{name}: {stage}", completed=done, total=total, note=note)

    def end(self, name: str, why: str = "") -> None:
        """Say that one has ended; ``why`` it failed, if it did."""
        self._done += 1
        if name in self._running:
            self._bars.remove_task(self._running.pop(name))
        self._bars.update(self._whole, completed=self._done)
        if why:
            self._bars.console.print(f"{name} failed: {why}", style="red", markup=False)
        self._line(f"{self._title}: {self._done} of {self._total}, {name}")

    def _line(self, line: str) -> None:
        if not self._console.is_terminal:
            print(line, file=sys.stderr, flush=True)
