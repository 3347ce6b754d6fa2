"""How long ``phiz compile`` takes, stage by stage, and how much memory: the whole command, as a process of its own.

    python -m bench.compile students/tiny --calibrate 'speech/*.wav' --runs 5

All but ``--runs`` goes to ``phiz compile``; the build is thrown away. A stage begins with its line on standard error
and ends with the next one, so that whatever it imports is its own; what comes before the first is Python and the
command line.
Printed: medians of the runs, in seconds by the clock and, on Linux, of processor time, which a busy machine disturbs
less; and the largest resident memory of any run.
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

from compile.units import counted

PREFIX, SUFFIX = "phiz: ", " …"
RUNS = 3


@dataclass(frozen=True)
class Spent:
    """Seconds by the clock, and of processor time (0 where the system does not tell it of others)."""

    clock: float
    processor: float


@dataclass(frozen=True)
class Run:
    """One process: what each stage took, in order, what the whole did, and the peak of its resident memory in bytes."""

    stages: dict[str, Spent]
    total: Spent
    peak: int


def measure(arguments: Sequence[str]) -> Run:
    """Run ``phiz compile`` once; its own complaint ends the benchmark."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "compile.cli", "compile", *arguments, "--out", str(Path(folder) / "build")]
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        marks, said = [("start", Spent(0.0, 0.0))], []
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            if line.startswith(PREFIX) and line.rstrip().endswith(SUFFIX):
                name = line.rstrip().removeprefix(PREFIX).removesuffix(SUFFIX)
                marks.append((name, Spent(time.perf_counter() - begun, _processor(process.pid))))
        _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit("".join(said))
    total = Spent(time.perf_counter() - begun, usage.ru_utime + usage.ru_stime)
    ends = [mark for _, mark in marks[1:]] + [total]
    stages = {
        name: Spent(end.clock - mark.clock, end.processor - mark.processor)
        for (name, mark), end in zip(marks, ends, strict=True)
    }
    return Run(stages, total, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def _processor(pid: int) -> float:
    """User and system time of a living process so far."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(arguments: Sequence[str]) -> None:
    """Measure what was asked for and print the table."""
    given = list(arguments)
    runs = RUNS
    if "--runs" in given:
        at = given.index("--runs")
        if not (number := "".join(given[at + 1 : at + 2])).isdecimal() or int(number) < 1:
            sys.exit("--runs takes a number of runs, 1 or more")
        runs = int(number)
        del given[at : at + 2]
    measured = [measure(given) for _ in range(runs)]
    table = Table(box=None)
    table.add_column("stage")
    for heading in ("clock, s", "processor, s"):
        table.add_column(heading, justify="right")
    for name in measured[0].stages:
        table.add_row(name, *_medians([run.stages[name] for run in measured]))
    table.add_section()
    table.add_row("the whole command", *_medians([run.total for run in measured]))
    console = Console()
    console.print(table)
    peak = max(run.peak for run in measured) / 1e6
    console.print(f"peak memory {peak:,.0f} MB, {os.cpu_count()} cores, {counted(runs, 'run')}")


def _medians(spent: Sequence[Spent]) -> tuple[str, str]:
    return tuple(f"{statistics.median(getattr(one, name) for one in spent):.2f}" for name in ("clock", "processor"))


if __name__ == "__main__":
    main(sys.argv[1:])
