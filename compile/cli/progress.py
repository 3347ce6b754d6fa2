"""What the user sees while work goes on."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

SIGN_OF_LIFE = 15.0  # seconds


class Stages:
    """Progress by stage: bars on a terminal; elsewhere a line a stage, and a sign of life in the long ones."""

    def __init__(self, *, quiet: bool = False) -> None:
        """Begin; ``quiet`` says nothing, as all processes but one do."""
        self._console = Console(stderr=True, highlight=False, emoji=False, quiet=quiet)
        self._bars = Progress(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._told = 0.0

    def __enter__(self) -> Stages:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self._finish_all()
        self._bars.stop()

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Say that ``done`` of ``total`` steps of ``stage`` are finished; the stages before it are then complete."""
        if stage not in self._tasks:
            self._finish_all()
            self._tasks[stage] = self._bars.add_task(stage, total=total, note=note)
            self._tell(f"{stage} …")
        elif time.monotonic() - self._told > SIGN_OF_LIFE:
            self._tell(f"{stage} {done} of {total} {note}".rstrip())
        self._bars.update(self._tasks[stage], completed=done, total=total, note=note)

    def _tell(self, line: str) -> None:
        self._told = time.monotonic()
        if not self._console.is_terminal and not self._console.quiet:
            print(f"phiz: {line}", file=sys.stderr, flush=True)

    def _finish_all(self) -> None:
        for task in self._bars.tasks:
            self._bars.update(task.id, completed=task.total)
