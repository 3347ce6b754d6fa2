"""Trials one after the other, or several at a time, each in a process of its own; one that fails stops no other."""

from __future__ import annotations

import json
import multiprocessing
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from bench.board import Board
from bench.results import as_report
from bench.trials import RESULT, Manner, Tell, Trial, perform
from compile.errors import PhizError
from distill.evaluate import Report


def start(main: Callable[[Sequence[str]], None]) -> None:
    """Run a benchmark with this process's arguments; what goes wrong is told in a line."""
    try:
        main(sys.argv[1:])
    except PhizError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit("stopped; run the same again to go on")


def run(trials: Sequence[Trial], manner: Manner, board: Board) -> tuple[dict[str, Report], dict[str, str]]:
    """Perform trials; reports by name, and of those that failed, why."""
    reports: dict[str, Report] = {}
    failed: dict[str, str] = {}
    for trial, why in _outcomes(trials, manner, board):
        if why:
            failed[trial.name] = why
        else:
            reports[trial.name] = as_report(json.loads((trial.folder / RESULT).read_text(encoding="utf-8"))["report"])
        board.end(trial.name, why)
    order = [trial.name for trial in trials]
    return {name: reports[name] for name in order if name in reports}, failed


def _outcomes(trials: Sequence[Trial], manner: Manner, board: Board) -> Iterator[tuple[Trial, str]]:
    """Trials as they end, and why they failed, if they did."""
    if manner.jobs == 1:
        for trial in trials:
            yield trial, _attempt(trial, manner, partial(board.tell, trial.name))
        return
    context = multiprocessing.get_context("spawn")
    todo, running = deque(trials), dict[Connection, tuple[Trial, BaseProcess]]()
    try:
        while todo or running:
            while todo and len(running) < manner.jobs:
                trial, (ours, theirs) = todo.popleft(), context.Pipe(duplex=False)
                process: BaseProcess = context.Process(target=_work, args=(trial, manner, theirs))
                process.start()
                theirs.close()
                running[ours] = trial, process
            for pipe in wait([*running]):
                assert isinstance(pipe, Connection)
                trial, process = running[pipe]
                try:
                    said = pipe.recv()
                except EOFError:
                    said = "its process died, perhaps for want of memory; what is finished is kept"
                if isinstance(said, tuple):
                    board.tell(trial.name, *said)
                    continue
                del running[pipe]
                pipe.close()
                process.join()
                yield trial, said
    finally:
        for _, process in running.values():
            process.terminate()
            process.join()


def _work(trial: Trial, manner: Manner, pipe: Connection) -> None:
    """In a process of its own; it ends when nobody listens any more, be it by ``kill -9``."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no last words
    torch.set_num_threads(max(1, torch.get_num_threads() // manner.jobs))
    try:
        pipe.send(_attempt(trial, manner, lambda *said: pipe.send(said)))
    except BrokenPipeError:
        return


def _attempt(trial: Trial, manner: Manner, tell: Tell) -> str:
    """Empty, or why it failed."""
    try:
        perform(trial, manner, tell)
    except PhizError as error:
        return str(error)
    return ""
