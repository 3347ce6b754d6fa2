"""How long ``phiz compile`` takes, stage by stage, and how much memory: the whole command, as a process of its own.

    python -m bench.compile students/tiny --calibrate 'speech/*.wav' --runs 5

All but ``--runs`` goes to ``phiz compile``; the build is thrown away. A stage begins with its line on standard error
and ends with the next one, so that whatever it imports is its own; what comes before the first is Python and the
command line.
Printed: the median of the runs, seconds, and the largest resident memory of any.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

PREFIX, SUFFIX = "phiz: ", " …"
RUNS = 3


@dataclass(frozen=True)
class Run:
    """One process: seconds of each stage in order, of the whole, and the peak of its resident memory in bytes."""

    stages: dict[str, float]
    total: float
    peak: int


def measure(arguments: Sequence[str]) -> Run:
    """Run ``phiz compile`` once; its own complaint ends the benchmark."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "compile.cli", "compile", *arguments, "--out", str(Path(folder) / "build")]
        begun = last = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        stages, name, said = {}, "start", []
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            if line.startswith(PREFIX) and line.rstrip().endswith(SUFFIX):
                now = time.perf_counter()
                stages[name] = stages.get(name, 0.0) + now - last
                name, last = line.rstrip().removeprefix(PREFIX).removesuffix(SUFFIX), now
        _, status, usage = os.wait4(process.pid, 0)
        end = time.perf_counter()
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit("".join(said))
    stages[name] = stages.get(name, 0.0) + end - last
    scale = 1 if sys.platform == "darwin" else 1024
    return Run(stages, end - begun, usage.ru_maxrss * scale)


def main(arguments: Sequence[str]) -> None:
    """Measure what was asked for and print the table."""
    given = list(arguments)
    runs = RUNS
    if "--runs" in given:
        at = given.index("--runs")
        runs = int(given[at + 1])
        del given[at : at + 2]
    measured = [measure(given) for _ in range(runs)]
    table = Table(box=None)
    table.add_column("stage")
    table.add_column("seconds", justify="right")
    for name in measured[0].stages:
        table.add_row(name, f"{statistics.median(run.stages[name] for run in measured):.2f}")
    table.add_section()
    table.add_row("the whole command", f"{statistics.median(run.total for run in measured):.2f}")
    console = Console()
    console.print(table)
    console.print(f"peak memory {max(run.peak for run in measured) / 1e6:,.0f} MB, {os.cpu_count()} cores, {runs} runs")


if __name__ == "__main__":
    main(sys.argv[1:])
