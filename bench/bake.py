"""How fast `phiz bake` is, and how much memory it takes, for files of a minute, of ten and of an hour.

    phiz compile phiz:tiny --calibrate 'speech/*.wav' -t onnx -t tflite --stream -o build/live
    python -m bench.bake phiz:tiny build/live/student.tflite build/live/student.stream.{onnx,tflite}

Each row is a fresh process that bakes one file into CSV, JSON, NPZ and glTF, with three taps at 50 frames a second.
*Hours a minute* are hours of audio a minute of one core, which a busy machine changes least. The last column is the
peak over that of the shortest file: 1.00 is flat.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.label import peak
from compile.cli.bake import bake

MINUTES = (1.0, 10.0, 60.0)
FORMATS = ["csv,json,npz,glb"]
RATE = 16_000


def speech(path: Path, minutes: float) -> None:
    """Noise that comes and goes as syllables do, which costs what speech costs."""
    rng = np.random.default_rng(0)
    loudness = np.sin(np.arange(RATE) / RATE * 8 * np.pi).clip(0)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        for _ in range(round(60 * minutes)):
            file.writeframesraw((3_000 * loudness * rng.normal(0, 1, RATE)).astype("<i2").tobytes())


def measure(model: str, audio: Path, out: Path) -> tuple[float, float, int, int]:
    """(seconds, processor seconds, peak bytes, bytes written) of a fresh process."""
    command = [sys.executable, "-m", "bench.bake", model, "--run", str(audio), str(out)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    seconds, processor, memory = done.stdout.split()[-3:]
    return float(seconds), float(processor), int(memory), sum(path.stat().st_size for path in out.iterdir())


def run(model: str, audio: str, out: str) -> None:
    """The measured process."""
    begun, worked = time.perf_counter(), time.process_time()
    bake([audio], Path(model), Path(out), FORMATS, jobs=1)
    print(time.perf_counter() - begun, time.process_time() - worked, peak())


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help="as phiz bake --model takes them")
    parser.add_argument("--minutes", type=float, nargs="+", default=MINUTES, help="of audio; default: %(default)s")
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        run(arguments.models[0], *arguments.run)
        return
    table = Table(box=None)
    for column in (
        "model",
        "minutes",
        "seconds",
        "of a core",
        "hours a minute",
        "written MB",
        "peak MB",
        "of the first",
    ):
        table.add_column(column, justify="left" if column == "model" else "right", no_wrap=True)
    with tempfile.TemporaryDirectory() as scratch:
        for minutes in arguments.minutes:
            speech(Path(scratch) / f"{minutes:g}.wav", minutes)
        first: dict[str, int] = {}
        plans = [(model, minutes) for model in arguments.models for minutes in arguments.minutes]
        for model, minutes in track(plans, "bake", console=Console(stderr=True), transient=True):
            name = f"{minutes:g}"
            with tempfile.TemporaryDirectory(dir=scratch) as out:
                seconds, processor, memory, written = measure(model, Path(scratch) / f"{name}.wav", Path(out))
            ratio = memory / first.setdefault(model, memory)
            speed = f"{seconds:.1f}", f"{processor:.1f}", f"{minutes / processor:.2f}"
            figures = *speed, f"{written / 1e6:.1f}", f"{memory / 1e6:.1f}"
            table.add_row(model, name, *figures, f"{ratio:.2f}")
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
