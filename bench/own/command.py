"""What phiz itself costs: the start of every command, a build stage by stage, and how costs grow.

    python -m bench own            # everything; docs/costs.md and its picture are written anew
    python -m bench own --quick    # few runs, small networks, little speech

A build's cost is measured for networks of 0.05 to 20 million parameters, and that of labelling, calibrating and baking
for 1 to 60 minutes of speech. Results are kept in ``--folder``, by phiz's sources: a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench.board import Board
from bench.own import measure
from bench.own.page import write
from bench.peers.command import FOLDER, ROOT
from bench.peers.machine import machine
from bench.peers.rooms import sources
from bench.peers.store import Store
from bench.peers.subjects import CALIBRATE, prepare, speak
from distill.corpus.sources import TRAIN

PAGE = ROOT / "docs" / "costs.md"
STEPS = ("start", "stages", "size", "length")
RUNS, QUICK_RUNS = 2, 1
STARTS = 7


def main(arguments: Sequence[str]) -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(prog="python -m bench own", description="What phiz itself costs.")
    parser.add_argument("--quick", action="store_true", help="few runs, small networks, little speech")
    parser.add_argument("--again", action="append", choices=STEPS, help="measure this anew; may repeat")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of everything that is made; default: bench/.peers")
    parser.add_argument("--page", type=Path, help="default: docs/costs.md; with --quick costs.md in the folder")
    given = parser.parse_args(arguments)
    folder = given.folder.resolve()
    page = given.page or (folder / PAGE.name if given.quick else PAGE)
    write(measured(folder, given.quick, frozenset(given.again or ())), page.resolve())
    print(f"wrote {page}, and {page.with_suffix('.json').name} beside it")


def measured(folder: Path, quick: bool, again: frozenset[str] = frozenset()) -> dict[str, Any]:
    """All results, as JSON."""
    runs = QUICK_RUNS if quick else RUNS
    sizes, minutes = (measure.SIZES[:4], measure.MINUTES[:2]) if quick else (measure.SIZES, measure.MINUTES)
    store, phiz = Store(folder / "results", again), sources()
    with Board("bench own", 2 + len(sizes) + len(minutes)) as board:

        def once(step: str, name: str, of: Any, perform: Callable[[], dict[str, Any]]) -> dict[str, Any]:
            board.tell(name, "measure", 0, 1)
            result = store.once(step, {"phiz": phiz, "of": of, "runs": runs}, lambda _: perform())
            board.end(name)
            return result

        calibration = speak(folder / "speech" / "calibrate", CALIBRATE, TRAIN, partial(board.tell, "speech", "speak"))
        windows = prepare(folder / "networks", "reference", calibration).windows
        work = folder / "own"
        work.mkdir(parents=True, exist_ok=True)
        start = once("start", "start of every command", STARTS, lambda: measure.starts(STARTS, work))
        stages = once("stages", "stages of a build", "reference", lambda: measure.by_stage(runs, windows))
        grown = [
            once("size", f"{size:g} M", size, partial(measure.of_size, size, runs, calibration, work / f"{size:g}"))
            for size in sizes
        ]
        spoken = measure.spoken(
            max(minutes), folder / "speech" / f"{max(minutes)}", partial(board.tell, "speech", "speak")
        )
        lengths = [
            once("length", f"{long} min", long, partial(measure.of_length, long, runs, spoken, work / f"{long} min"))
            for long in minutes
        ]
    return {"machine": machine(), "runs": runs, "start": start, "stages": stages, "sizes": grown, "lengths": lengths}
