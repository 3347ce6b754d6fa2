"""What a hop costs beside a window, in one run, and what it costs to listen.

    phiz compile phiz:tiny --calibrate 'speech/*.wav' -t onnx -t tflite --stream -o build/live
    python -m bench.stream build/live

For each runtime the artefact of windows and that of hops are called in turn, on one thread, as an engine calls them:
inputs and outputs stay where they are, so that it is the runtime that is timed and not Python. Printed: the median of
each in microseconds, the median of the ratios round by round, and the share of a core that a second of audio takes at
a call a hop. Then the whole player of ``targets.player``, Python and all, on a minute of noise in chunks of 10 ms.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from rich.console import Console
from rich.table import Table

from targets.player import Player, open_artifact

ROUNDS, CALLS = 60, 50
TYPES = {"tensor(float)": np.float32, "tensor(int8)": np.int8, "tensor(uint8)": np.uint8}
SUFFIXES = (".onnx", ".tflite")
SECONDS = 60

Call = Callable[[], Any]


def litert(path: Path) -> Call:
    """A call of LiteRT's interpreter."""
    from targets.tflite.run import load

    call: Call = load(path).interpreter.invoke
    return call


def onnxruntime(path: Path) -> Call:
    """A call of onnxruntime with everything bound."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for value in session.get_inputs():
        given = ort.OrtValue.ortvalue_from_numpy(np.zeros(value.shape, TYPES[value.type]))
        binding.bind_ortvalue_input(value.name, given)
    for value in session.get_outputs():
        room = ort.OrtValue.ortvalue_from_shape_and_type(value.shape, TYPES[value.type])
        binding.bind_ortvalue_output(value.name, room)
    return lambda: session.run_with_iobinding(binding)


def timed(call: Call) -> float:
    """Microseconds of one call, averaged over a few."""
    start = time.perf_counter()
    for _ in range(CALLS):
        call()
    return 1e6 * (time.perf_counter() - start) / CALLS


def pairs(build: Path) -> list[tuple[Path, Path]]:
    """Artefacts of windows, each with that of hops."""
    found = []
    for path in sorted(build.glob("student.*")):
        stream = path.with_name(path.name.replace("student.", "student.stream.", 1))
        if path.suffix in SUFFIXES and ".stream." not in path.name and stream.is_file():
            found.append((path, stream))
    return found


@dataclass(frozen=True)
class Costs:
    """Of one artefact of windows and of that of hops.

    Attributes:
        window: microseconds of a window.
        hop: of a hop.
        ratio: how many hops a window is worth; the median of rounds.
        windows: the share of a core that a second of audio takes at a window a hop.
        hops: the same, hop by hop.
        player: the same, Python and all.
    """

    window: float
    hop: float
    ratio: float
    windows: float
    hops: float
    player: float


def costs(window: Path, stream: Path) -> Costs:
    """Both called in turn, then the share of a core that the player takes."""
    opened = {".onnx": onnxruntime, ".tflite": litert}[window.suffix]
    calls = [opened(path) for path in (window, stream)]
    for call in calls:
        timed(call)
    rounds = [[timed(call) for call in calls] for _ in range(ROUNDS)]
    whole, hop = (statistics.median(each[index] for each in rounds) for index in (0, 1))
    ratio = statistics.median(each[0] / each[1] for each in rounds)
    player = open_artifact(stream)
    a_second = 1e-6 * player.face.sample_rate / player.hop
    return Costs(whole, hop, ratio, whole * a_second, hop * a_second, listened(player))


def listened(face: Player) -> float:
    """The share of a core that a player takes."""
    chunk = face.sample_rate // 100
    noise = np.random.default_rng(0).normal(0, 0.1, (SECONDS * 100, chunk)).astype(np.float32)
    start = time.process_time()
    for samples in noise:
        face.push(samples)
    return (time.process_time() - start) / SECONDS


def main(arguments: Sequence[str]) -> None:
    """Time and print."""
    everything = [(Path(build), pair) for build in arguments for pair in pairs(Path(build))]
    if not everything:
        sys.exit("usage: python -m bench.stream BUILD [BUILD ...], folders that phiz compile --stream wrote")
    table = Table(box=None)
    heads = ("build", "artefact", "window us", "hop us", "hop / window", "core, windows", "core, hops", "core, player")
    for column in heads:
        table.add_column(column, justify="left" if column in heads[:2] else "right", no_wrap=True)
    for build, (window, stream) in everything:
        found = costs(window, stream)
        shares = (f"{share:.2%}" for share in (found.windows, found.hops, found.player))
        times = (f"{found.window:.1f}", f"{found.hop:.1f}", f"1 / {found.ratio:.1f}")
        table.add_row(str(build), window.name, *times, *shares)
    Console(width=140).print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
