"""How fast artefacts run here, side by side in one run.

    python -m bench.latency build/float build/int8

Every ``.onnx`` and ``.tflite`` of the named builds runs on one thread with the first golden input, interleaved
A B C A B C, so that a drift of the machine meets all alike. Printed: median and 99th percentile in microseconds a
call, and the median of the ratios to the first artefact of the same runtime, round by round.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from targets.base import Runner
from targets.catalogue import by_suffix

ROUNDS, CALLS = 60, 20
SUFFIXES = (".onnx", ".tflite")


@dataclass(frozen=True)
class Subject:
    """An artefact under test, and what to feed it."""

    path: Path
    runner: Runner
    feed: dict[str, np.ndarray]

    def call(self) -> float:
        """Seconds of one call, averaged over a few."""
        start = time.perf_counter()
        for _ in range(CALLS):
            self.runner.run(self.feed)
        return (time.perf_counter() - start) / CALLS


def subjects(builds: Sequence[Path]) -> list[Subject]:
    """Every artefact of the builds that takes windows and has a runtime worth timing; streams: ``bench.stream``."""
    found = []
    for build in builds:
        if not (build / "golden.npz").is_file():
            sys.exit(f"{build} is no build folder: it has no golden.npz")
        with np.load(build / "golden.npz", allow_pickle=False) as golden:
            feed = {name.removeprefix("input."): golden[name][0] for name in golden.files if name.startswith("input.")}
        found += [
            Subject(path, by_suffix(path).load(path), feed)
            for path in sorted(build.iterdir())
            if path.suffix in SUFFIXES and ".stream." not in path.name
        ]
    return found


def main(arguments: Sequence[str]) -> None:
    """Time and print."""
    everything = subjects([Path(argument) for argument in arguments])
    if not everything:
        sys.exit("usage: python -m bench.latency BUILD [BUILD ...], folders with .onnx or .tflite files")
    for subject in everything:
        subject.call()
    rounds = [[subject.call() for subject in everything] for _ in range(ROUNDS)]
    table = Table(box=None)
    for column in ("artefact", "median us", "p99 us", "ratio"):
        table.add_column(column, justify="left" if column == "artefact" else "right", no_wrap=True)
    for index, subject in enumerate(everything):
        base = next(k for k, other in enumerate(everything) if other.path.suffix == subject.path.suffix)
        times = [measured[index] * 1e6 for measured in rounds]
        ratio = statistics.median(measured[index] / measured[base] for measured in rounds)
        table.add_row(
            str(subject.path), f"{statistics.median(times):.0f}", f"{np.quantile(times, 0.99):.0f}", f"{ratio:.2f}"
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
