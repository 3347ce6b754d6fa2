"""Rhubarb Lip Sync beside a student and the teacher: when lips close on /p b m/, and how long it takes.

    npm install --prefix FOLDER rhubarb-lip-sync-wasm@0.1.8
    python -m bench.rhubarb FOLDER MODEL AUDIO [AUDIO ...]

MODEL is a student folder, a build folder or an artefact; AUDIO files, folders, globs or manifests. Rhubarb (MIT, by
Daniel S. Wolf, ported to WebAssembly by Daniel Oquelis) runs in Node.js. It says mouth shapes with times, of which
``A`` is closed lips on /p b m/; a closure of a face is as ``docs/evaluation.md`` defines it, and one code matches both
with the truth. That is exact phone times where the audio has them, else what the phone recogniser hears, which also is
what the phonetic teacher goes by: there the teacher is no judge, and Rhubarb is held to another's ears.

*F1 put right* is the best F1 that any constant shift of up to 100 ms gives: animation may be early on purpose.

All hear the same clips in turns (A B C A B C), each on one thread, so that a drift of the machine meets all alike; a
first clip that does not count pays for loading. The real-time factor is of time that passed, *CPU* of what the
processor spent. Where a manifest says what is said, Rhubarb also runs with that text.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from compile.cli.evaluate import Ensemble, open_subjects
from compile.errors import PhizError
from distill.audio import SAMPLE_RATE, decode
from distill.controls import ARKIT
from distill.corpus.sources import Source, find
from distill.evaluate.bootstrap import Tally
from distill.evaluate.closures import Closures, match, middles
from distill.evaluate.face import CLOSURE, measured
from distill.evaluate.phones import Span, events
from distill.evaluate.report import HEARD
from distill.teachers.base import Utterance
from distill.teachers.phonetic import PhoneticTeacher
from distill.teachers.recogniser import recognise

PACKAGE = "rhubarb-lip-sync-wasm@0.1.8"
CLOSED = "A"
LONGEST = 30.0  # seconds
SHIFTS = tuple(step / 100 for step in range(-10, 11))  # seconds


@dataclass(frozen=True)
class Heard:
    """The middles of closures, and what it took to find them: seconds that passed and that the processor spent."""

    middles: list[float]
    seconds: float
    cpu: float


Hear = Callable[[Utterance, Source], Heard]
Engine = Callable[[np.ndarray, str], Heard]


@dataclass
class Row:
    """What is counted of one subject."""

    name: str
    hear: Hear
    tally: Tally = field(default_factory=lambda: Tally(Closures.size, 200))
    seconds: float = 0.0
    cpu: float = 0.0
    said: list[tuple[list[float], Sequence[Span]]] = field(default_factory=list)

    def add(self, utterance: Utterance, source: Source, truth: Sequence[Span]) -> None:
        """Hear one utterance."""
        heard = self.hear(utterance, source)
        found = match(heard.middles, truth)
        sums = np.zeros(Closures.size)
        sums[:5] = found.events, found.closures, found.hits, sum(map(abs, found.late)), sum(found.late)
        self.tally.add(sums, str(source.path))
        self.said.append((heard.middles, truth))
        self.seconds += heard.seconds
        self.cpu += heard.cpu


def put_right(row: Row) -> tuple[float, float]:
    """The best F1 that any constant shift gives, and that shift in seconds."""

    def f1(shift: float) -> float:
        found = [match([middle + shift for middle in times], truth) for times, truth in row.said]
        total = sum(one.events + one.closures for one in found)
        return 2 * sum(one.hits for one in found) / total if total else 0.0

    return max((f1(shift), -abs(shift), shift) for shift in SHIFTS)[::2]


@contextmanager
def rhubarb(folder: Path) -> Iterator[Engine]:
    """Rhubarb in Node.js: of mono float32 audio [time] at 16 kHz and what is said in it, or an empty text."""
    node = shutil.which("node")
    if node is None:
        sys.exit("Rhubarb needs Node.js 16 or later; install it from https://nodejs.org")
    if not (folder / "node_modules" / PACKAGE.partition("@")[0]).is_dir():
        sys.exit(f"Rhubarb is not in {folder}; run: npm install --prefix {folder} {PACKAGE}")
    script = Path(__file__).with_suffix(".mjs")
    with (
        tempfile.TemporaryDirectory() as place,
        subprocess.Popen(
            [node, str(script), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        asks, answers, pcm = process.stdin, process.stdout, Path(place) / "audio.pcm"

        def hear(audio: np.ndarray, text: str) -> Heard:
            pcm.write_bytes(np.round(np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes())
            asks.write(json.dumps({"pcm": str(pcm), "text": text}) + "\n")
            asks.flush()
            answer = json.loads(answers.readline() or '{"error": "it ended"}')
            if "error" in answer:
                raise RuntimeError(f"Rhubarb failed: {answer['error']}")
            closed = [(cue["start"] + cue["end"]) / 2 for cue in answer["cues"] if cue["value"] == CLOSED]
            return Heard(sorted(closed), float(answer["seconds"]), float(answer["cpu"]))

        try:
            yield hear
        finally:
            asks.close()


def rows(model: Path, engine: Engine, texts: bool) -> list[Row]:
    """Everyone, in the order of turns."""
    teacher = PhoneticTeacher()

    def face(curves: Callable[[Utterance], np.ndarray], utterance: Utterance, _: Source) -> Heard:
        start, busy = time.perf_counter(), time.process_time()
        found = curves(utterance)
        seconds, cpu = time.perf_counter() - start, time.process_time() - busy
        return Heard(middles(measured(found, ARKIT, CLOSURE)), seconds, cpu)

    found = [
        Row(subject.name, partial(face, lambda heard, subject=subject: subject.curves(heard.audio, ARKIT, "")))
        for subject in open_subjects(model, Ensemble.BOTH)
    ]
    found.append(Row("teacher", partial(face, teacher.curves)))
    found.append(Row("Rhubarb", lambda utterance, _: engine(utterance.audio, "")))
    if texts:
        found.append(Row("Rhubarb, told the text", lambda utterance, source: engine(utterance.audio, source.text)))
    return found


def main(arguments: Sequence[str]) -> None:
    """Judge and print."""
    if len(arguments) < 3:
        sys.exit(
            "usage: python -m bench.rhubarb FOLDER MODEL AUDIO [AUDIO ...], FOLDER from: npm install --prefix FOLDER "
            + PACKAGE
        )
    one_thread()
    sources = find(arguments[2:])
    with rhubarb(Path(arguments[0])) as engine:
        everyone = rows(Path(arguments[1]), engine, all(source.text for source in sources))
        seconds, exact = 0.0, 0
        for number, source in enumerate([sources[0], *sources]):
            audio = decode(source.path)
            if len(audio) > LONGEST * SAMPLE_RATE:
                print(f"left out, for it is longer than {LONGEST:.0f} s: {source.path}", file=sys.stderr)
                continue
            phones = tuple(source.phones) if source.phones is not None else None
            truth = events(phones if phones is not None else recognise(audio))
            utterance = Utterance(audio, phones)
            if number == 0:
                for row in everyone:
                    row.hear(utterance, source)
                continue
            print(f"{number} of {len(sources)}: {source.path.name}", file=sys.stderr)
            seconds += len(audio) / SAMPLE_RATE
            exact += phones is not None
            for row in everyone:
                row.add(utterance, source, truth)
    show(everyone, seconds, exact, len(sources))


def one_thread() -> None:
    """Node's engine has one; so shall torch."""
    try:
        import torch
    except ModuleNotFoundError:
        return
    torch.set_num_threads(1)


def show(everyone: Sequence[Row], seconds: float, exact: int, count: int) -> None:
    """Print a table."""
    truth = "exact phone times" if exact == count else HEARD
    if 0 < exact < count:
        truth = f"exact phone times of {exact} clips, else {HEARD}"
    table = Table(title=f"{count} clips, {seconds / 60:.1f} minutes; truth: {truth}", box=None, title_justify="left")
    for column in ("", "recall", "precision", "F1", "timing ms", "bias ms", "F1 put right", "real-time factor", "CPU"):
        table.add_column(column, justify="left" if column == "" else "right", no_wrap=True)
    for row in everyone:
        figures = row.tally.figures(Closures(ARKIT).figures)
        cells = []
        for name in ("recall", "precision", "f1", "timing", "bias"):
            figure, digits = figures[f"closure.{name}"], 0 if name in ("timing", "bias") else 2
            spread = (
                "" if figure.low is None or figure.high is None else f" ±{(figure.high - figure.low) / 2:.{digits}f}"
            )
            cells.append("-" if figure.value is None else f"{figure.value:.{digits}f}{spread}")
        best, shift = put_right(row)
        cells.append(f"{best:.2f} ({1000 * shift:+.0f} ms)")
        table.add_row(row.name, *cells, f"{row.seconds / seconds:.4f}", f"{row.cpu / seconds:.4f}")
    Console(width=160).print(table)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except PhizError as error:
        sys.exit(str(error))
