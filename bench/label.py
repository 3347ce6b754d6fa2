"""How fast speech is labelled here, and in how much memory, for little speech and for much, side by side.

    python -m bench.label                      # 0.1 h and 2.1 h of short files, and one file as long
    python -m bench.label --recognise          # without phone times: the phonetic teacher listens
    python -m bench.label --jobs 2

A few minutes of synthetic speech are spoken once and repeated under other names, each with another first sample, so
that nothing comes from the cache. Each row is a process of its own. *Cores* are processor seconds over seconds: on a
busy machine fewer than it asked for. The peak is its largest resident set (its own, not that of ``--jobs``), *above
empty* what a run of one short file does not take.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from distill.audio import SAMPLE_RATE, decode, write_wav
from distill.corpus import sources as corpus
from distill.corpus.espeak import Phone
from distill.labels import cache as labels
from distill.teachers.phonetic import PhoneticTeacher

HOURS = (0.1, 2.1)
SENTENCES = 60
Clips = list[tuple[np.ndarray, tuple[Phone, ...] | None]]


@dataclass(frozen=True)
class Row:
    """One run: what was labelled, in how many seconds, with how many bytes at most."""

    name: str
    files: int
    hours: float
    seconds: float
    processor: float
    peak: int


def speech(folder: Path, recognise: bool) -> Clips:
    """Audio [samples], int16, and phones of a few sentences."""
    spoken = corpus.synthesize(folder, corpus.plan(SENTENCES, seed=0))
    return [
        ((decode(source.path) * 32767).astype(np.int16), None if recognise else tuple(source.phones or ()))
        for source in spoken
    ]


def line(name: str, phones: Sequence[Phone] | None) -> str:
    """A file's line in the manifest."""
    item: dict[str, object] = {"path": name}
    if phones is not None:
        item["phones"] = [[phone.symbol, phone.start, phone.end] for phone in phones]
    return json.dumps(item) + "\n"


def many(folder: Path, clips: Clips, hours: float) -> int:
    """Short files of ``hours`` in all; how many."""
    folder.mkdir()
    samples = count = 0
    with (folder / "corpus.jsonl").open("w", encoding="utf-8") as file:
        while samples < hours * 3600 * SAMPLE_RATE:
            audio, phones = clips[count % len(clips)]
            audio = audio.copy()
            audio[0] = count
            write_wav(folder / f"{count}.wav", audio)
            file.write(line(f"{count}.wav", phones))
            samples, count = samples + len(audio), count + 1
    return count


def one(folder: Path, clips: Clips, hours: float) -> int:
    """One file of ``hours``."""
    folder.mkdir()
    timed: list[Phone] = []
    samples = 0
    with wave.open(str(folder / "long.wav"), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        for audio, phones in cycle(clips):
            start = samples / SAMPLE_RATE
            timed += [replace(phone, start=phone.start + start, end=phone.end + start) for phone in phones or ()]
            file.writeframesraw(audio.astype("<i2").tobytes())
            samples += len(audio)
            if samples >= hours * 3600 * SAMPLE_RATE:
                break
    said = line("long.wav", None if clips[0][1] is None else timed)
    (folder / "corpus.jsonl").write_text(said, encoding="utf-8")
    return 1


def measure(place: Path, jobs: int) -> tuple[float, float, int, float]:
    """(seconds, processor seconds, peak bytes, hours) of labelling a manifest in a fresh process."""
    command = [sys.executable, "-m", "bench.label", "--run", str(place), "--jobs", str(jobs)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, processor, peak, hours = done.stdout.split()
    return float(seconds), float(processor), int(peak), float(hours)


def run(place: Path, jobs: int) -> None:
    """The measured process."""
    begun = time.perf_counter()
    made, _ = labels.label(corpus.find([place / "corpus.jsonl"]), PhoneticTeacher(), place / "labels", jobs=jobs)
    seconds = time.perf_counter() - begun
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    processor = sum(usage.ru_utime + usage.ru_stime for usage in used)
    print(seconds, processor, peak(), sum(entry.frames for entry in made.entries) / 50 / 3600)


def peak() -> int:
    """Bytes of this process's largest resident set."""
    if sys.platform == "linux":  # where getrusage counts what the parent held before this program began
        words = Path("/proc/self/status").read_text(encoding="ascii").split()
        return int(words[words.index("VmHWM:") + 1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, nargs="+", default=HOURS, help="of speech; default: %(default)s")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--recognise", action="store_true", help="phones are not given: the teacher listens")
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        run(arguments.run, arguments.jobs)
        return
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        clips = speech(Path(scratch) / "spoken", arguments.recognise)
        many(Path(scratch) / "least", clips, 1e-9)
        _, _, empty, _ = measure(Path(scratch) / "least", 1)
        plans = [
            (hours, name, make)
            for name, make in (("short files", many), ("one file", one))
            for hours in arguments.hours
        ]
        for hours, name, make in track(plans, "label", console=Console(stderr=True), transient=True):
            place = Path(scratch) / f"{name} {hours}"
            files = make(place, clips, hours)
            seconds, processor, peak, heard = measure(place, arguments.jobs)
            rows.append(Row(name, files, heard, seconds, processor, peak))
    table = Table(
        title=f"phonetic teacher, phones {'recognised' if arguments.recognise else 'given'}, {arguments.jobs} job(s)"
    )
    for column in ("", "files", "hours", "seconds", "cores", "hours a minute", "peak MB", "above empty"):
        table.add_column(column, justify="left" if column == "" else "right")
    for row in rows:
        rate, cores = row.hours / row.seconds * 60, row.processor / row.seconds
        figures = f"{row.hours:.2f}", f"{row.seconds:.1f}", f"{cores:.2f}", f"{rate:.2f}"
        table.add_row(row.name, str(row.files), *figures, f"{row.peak / 1e6:.1f}", f"{(row.peak - empty) / 1e6:+.1f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
