"""How long ``phiz audit`` takes, from Python's start to its end, beside commands that do next to nothing.

    python -m bench.audit build --runs 21

The commands run interleaved, each as a process of its own. Printed: medians, and the least, in milliseconds by the
clock and of processor time, which a busy machine disturbs less; then the medians of the audit's stages.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from compile.audit.claims import MANIFEST

RUNS = 21
LIMIT = 0.4  # seconds by the clock, of the whole: what issue 4 promises


@dataclass(frozen=True)
class Spent:
    """Seconds by the clock, and of processor time."""

    clock: float
    processor: float


def run(command: Sequence[str]) -> Spent:
    """One process, whose output goes nowhere; one that fails to start ends the benchmark."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    spent = Spent(time.perf_counter() - begun, usage.ru_utime + usage.ru_stime)
    if (code := os.waitstatus_to_exitcode(status)) not in (0, 1):  # 1: the build does not pass, and was audited
        sys.exit(f"{' '.join(command)}: exit code {code}")
    return spent


def stages(build: str) -> Mapping[str, float]:
    """Seconds of processor time by stage of one audit."""
    done = subprocess.run([sys.executable, "-m", "bench.stages", build], capture_output=True, text=True, check=True)
    told: dict[str, float] = json.loads(done.stdout)["stages"]
    return told


def main(arguments: Sequence[str]) -> None:
    """Time and print."""
    arguments, runs = list(arguments), RUNS
    if "--runs" in arguments:
        at = arguments.index("--runs")
        if not "".join(arguments[at + 1 : at + 2]).isdigit() or int(arguments[at + 1]) < 1:
            sys.exit("--runs takes a number, 1 or more")
        runs = int(arguments[at + 1])
        del arguments[at : at + 2]
    if len(arguments) != 1 or not (Path(arguments[0]) / MANIFEST).is_file():
        sys.exit("usage: python -m bench.audit BUILD [--runs N], a folder that phiz compile wrote")
    build, phiz = arguments[0], (sys.executable, "-m", "compile.cli")
    commands = {
        "python -c pass": (sys.executable, "-c", "pass"),
        "phiz --help": (*phiz, "--help"),
        "phiz audit BUILD": (*phiz, "audit", build),
        "phiz audit BUILD --json": (*phiz, "audit", build, "--json"),
    }
    for command in commands.values():
        run(command)  # so that everything is compiled, and read from disk
    rounds = [{name: run(command) for name, command in commands.items()} for _ in range(runs)]
    by_stage = [stages(build) for _ in range(max(runs // 2, 1))]
    console = Console(width=120)
    console.print(_whole(rounds))
    console.print(_parts(by_stage))
    median = statistics.median(spent["phiz audit BUILD"].clock for spent in rounds)
    console.print(f"phiz audit BUILD: {median:.3f} s, {'within' if median <= LIMIT else 'above'} {LIMIT} s")


def _whole(rounds: Sequence[Mapping[str, Spent]]) -> Table:
    table = Table(box=None, title=f"ms, of {len(rounds)} runs", title_justify="left")
    for column in ("command", "clock: median", "least", "processor: median", "least"):
        table.add_column(column, justify="left" if column == "command" else "right", no_wrap=True)
    for name in rounds[0]:
        times = [[spent[name].clock for spent in rounds], [spent[name].processor for spent in rounds]]
        table.add_row(name, *(f"{1000 * pick(kind):.0f}" for kind in times for pick in (statistics.median, min)))
    return table


def _parts(by_stage: Sequence[Mapping[str, float]]) -> Table:
    table = Table(box=None, title="ms of each stage, of processor time", title_justify="left")
    table.add_column("stage", no_wrap=True)
    table.add_column("median", justify="right")
    table.add_column("least", justify="right")
    for name in by_stage[0]:
        times = [spent[name] for spent in by_stage]
        table.add_row(name, *(f"{1000 * pick(times):.1f}" for pick in (statistics.median, min)))
    return table


if __name__ == "__main__":
    main(sys.argv[1:])
