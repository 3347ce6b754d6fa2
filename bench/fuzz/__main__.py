"""A long run against everything that reads files; each case in a process with limits.

    python -m bench.fuzz --minutes 5 --seed 1 --out findings

Fewer than 5 seconds of a processor and 1 GiB a case, and no error but a clear one. A case that breaks this is written
to the folder of findings with what happened; the exit code is 1 when there are any. The same seed draws the same cases.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import torch

from bench.fuzz.mutate import mutate
from bench.fuzz.subjects import Subject, subjects
from compile.cli.console import Stages
from compile.errors import UserError

SECONDS, MEMORY = 5.0, 1 << 30
PATIENCE = 60.0  # seconds of the wall clock, on a machine that has other work too
BATCH = 100  # cases a process
_FORK = multiprocessing.get_context("fork")  # a child begins with everything imported


def draw(subject: Subject, seed: int, number: int) -> dict[str, bytes]:
    """The files of one case."""
    return mutate(Random(f"{subject.name} {seed} {number}"), subject.files)


def attempt(subject: Subject, files: dict[str, bytes]) -> str:
    """What is wrong with how the subject takes ``files``; empty when nothing is."""
    try:
        with TemporaryDirectory() as folder:
            subject.attempt(files, Path(folder))
    except UserError:
        return ""
    except BaseException:  # MemoryError and SystemExit are findings too
        return traceback.format_exc()
    return ""


def work(subject: Subject, seed: int, numbers: Sequence[int], report: Connection) -> None:
    """In a process of its own: say when each case is done, and how it went."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        now = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))
    for number in numbers:
        files, start = draw(subject, seed, number), time.process_time()
        text = attempt(subject, files)
        spent = time.process_time() - start
        report.send(text or (f"took {spent:.1f} seconds" if spent > SECONDS else ""))


def batch(subject: Subject, seed: int, numbers: list[int]) -> dict[int, str]:
    """The findings of some cases by number; a process that dies or hangs is a finding, and another goes on."""
    found: dict[int, str] = {}
    while numbers:
        ours, theirs = _FORK.Pipe(duplex=False)
        child = _FORK.Process(target=work, args=(subject, seed, numbers, theirs), daemon=True)
        child.start()
        theirs.close()
        while numbers:
            try:
                text = ours.recv() if ours.poll(PATIENCE) else f"no answer within {PATIENCE:g} seconds"
                hung = text.startswith("no answer")
            except EOFError:
                child.join()
                text, hung = f"the process died (exit code {child.exitcode})", True
            number = numbers.pop(0)
            if text:
                found[number] = text
            if hung:
                break
        child.kill()
        child.join()
    return found


def main(arguments: Sequence[str]) -> int:
    """Run until the time is over."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.fuzz", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("findings"), help="folder for the files of each finding")
    parser.add_argument("--only", default="", help="subjects whose name holds this")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # threads do not survive a fork
    cases = findings = 0
    with TemporaryDirectory() as folder, Stages() as stages:
        stages("prepare", 0, 1)
        chosen = [subject for subject in subjects(Path(folder)) if options.only in subject.name]
        start, end = time.monotonic(), time.monotonic() + 60 * options.minutes
        while time.monotonic() < end and chosen:
            for subject in chosen:
                first = cases // len(chosen)
                for number, text in batch(subject, options.seed, [*range(first, first + BATCH)]).items():
                    findings += 1
                    keep(
                        options.out / f"{subject.name} {options.seed} {number}",
                        draw(subject, options.seed, number),
                        text,
                    )
                done = min(time.monotonic(), end) - start
                stages("fuzz", int(done), int(end - start), f"seconds; {subject.name}; {findings} findings")
            cases += BATCH * len(chosen)
    print(f"{cases} cases, {findings} findings" + (f" in {options.out}" if findings else ""))
    return 1 if findings else 0


def keep(folder: Path, files: dict[str, bytes], text: str) -> None:
    """The files of a finding, and what happened."""
    for name, data in {**files, "what.txt": text.encode()}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
