"""A long run against everything that reads files; each case in a process with limits.

    python -m bench.fuzz --minutes 5 --seed 1 --out findings
    python -m bench.fuzz --only audit --cases 100000

Fewer than 5 seconds of a processor and 1 GiB a case (2 and 500 MB of the auditor, which also may open nothing outside
the case's folder), and no error but a clear one. A case that breaks this is written to the folder of findings with what
happened; the exit code is 1 when there are any. The same seed draws the same cases.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.fuzz.confinement import Confinement
from bench.fuzz.subject import Subject
from bench.fuzz.subjects import subjects
from compile.cli.progress import Stages
from compile.errors import UserError

PATIENCE = 60.0  # seconds of the wall clock, on a machine that has other work too
BATCH = 200  # cases a process
_FORK = multiprocessing.get_context("fork")  # a child begins with everything imported


def attempt(subject: Subject, files: dict[str, bytes], confinement: Confinement) -> str:
    """What is wrong with how the subject takes ``files``; empty when nothing is."""
    with TemporaryDirectory() as folder:
        try:
            with confinement.of(Path(folder)):
                subject.attempt(files, Path(folder))
        except UserError as error:
            return f"an error of several lines: {error}" if "\n" in str(error) else ""
        except BaseException:  # MemoryError and SystemExit are findings too
            return traceback.format_exc()
        return confinement.breach
    return ""


def work(subject: Subject, seed: int, numbers: Sequence[int], report: Connection) -> None:
    """In a process of its own: say when each case is done, and how it went."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        now = int(statm.read().split()[0]) * resource.getpagesize()
    limits, confinement = subject.limits, Confinement(subject.limits.confined)
    resource.setrlimit(resource.RLIMIT_AS, (now + limits.memory, now + limits.memory))
    for number in numbers:
        files, start = subject.draw(seed, number), time.process_time()
        text = attempt(subject, files, confinement)
        spent = time.process_time() - start
        report.send(text or (f"took {spent:.1f} seconds" if spent > limits.seconds else ""))


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
    """Run until the time is over, or so many cases of each subject are done."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.fuzz", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("--minutes", type=float, help="until then; 5 where no cases are given")
    parser.add_argument("--cases", type=int, help="of each subject")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("findings"), help="folder for the files of each finding")
    parser.add_argument("--only", default="", help="subjects whose name holds this")
    options = parser.parse_args(arguments)
    minutes = options.minutes or (5.0 if options.cases is None else float("inf"))
    last = options.first + (options.cases or sys.maxsize)
    done, findings = dict[str, int](), 0
    with TemporaryDirectory() as folder, Stages() as stages:
        stages("prepare", 0, 1)
        chosen = [subject for subject in subjects(Path(folder)) if options.only in subject.name]
        if (torch := sys.modules.get("torch")) is not None:
            torch.set_num_threads(1)  # threads do not survive a fork
        for subject in chosen:
            warm(subject)
        start = time.monotonic()
        for first in range(options.first, last, BATCH):
            for subject in chosen:
                if time.monotonic() - start > 60 * minutes:
                    break
                numbers = [*range(first, min(first + BATCH, last))]
                for number, text in batch(subject, options.seed, list(numbers)).items():
                    findings += 1
                    place = options.out / f"{subject.name} {options.seed} {number}"
                    keep(place, subject.draw(options.seed, number), text)
                done[subject.name] = done.get(subject.name, 0) + len(numbers)
                stages("fuzz", sum(done.values()), (options.cases or 0) * len(chosen), f"cases; {findings} findings")
            else:
                continue
            break
    for name, count in done.items():
        print(f"{name}: {count:,} cases")
    print(f"{findings} findings" + (f" in {options.out}" if findings else ""))
    return 1 if findings else 0


def warm(subject: Subject) -> None:
    """Take good files once, so that everything is imported before processes are forked."""
    for files in (subject.files, *subject.others):
        with TemporaryDirectory() as folder, suppress(UserError):
            subject.attempt(dict(files), Path(folder))


def keep(folder: Path, files: dict[str, bytes], text: str) -> None:
    """The files of a finding, and what happened."""
    for name, data in {**files, "what.txt": text.encode()}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
