"""What phiz's own commands cost: their start, a build by the size of the network, and all by the length of speech."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import tempfile
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import compile as stages
from bench.peers.steps import HERE
from bench.peers.subjects import alive, speak, write_windows
from compile.cli import COMMANDS
from compile.errors import UserError
from distill.audio import SAMPLE_RATE, decode
from distill.corpus import sources as corpus
from distill.students.architectures import Architecture

PHIZ = (sys.executable, "-m", "compile.cli")
SIZES = (0.05, 0.2, 0.8, 3.0, 10.0, 20.0)  # millions of parameters
MINUTES = (1, 4, 15, 60)
STUDENT = Path(__file__).parents[2] / "examples" / "reference"
SECONDS_A_SENTENCE = 2.2  # the shortest that espeak-ng's sentences are on average; what is too much is left out
WIDTH = 37.0  # parameters are about this many times the square of the last width


@dataclass(frozen=True)
class Took:
    """One command: seconds by the clock, of processor time, and the peak of its memory in bytes."""

    seconds: float
    processor: float
    peak: int


def took(command: Sequence[object], folder: Path) -> Took:
    """Run a command in ``folder``; its output goes nowhere.

    Raises:
        UserError: it failed; says its last words.
    """
    result = folder / "took.json"
    words = [sys.executable, "-S", str(HERE / "clock.py"), str(result), *map(str, command)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=folder)
    facts = json.loads(result.read_text(encoding="ascii")) if result.is_file() else {"status": done.returncode}
    if facts["status"] != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise UserError(f"exit code {facts['status']}: {last}", where=" ".join(map(str, command[2:4])))
    return Took(facts["seconds"], facts["processor"], facts["peak"])


def middle(runs: int, once: Callable[[], Took]) -> dict[str, float]:
    """Medians of several runs."""
    all_ = [once() for _ in range(runs)]
    return {name: statistics.median(getattr(one, name) for one in all_) for name in ("seconds", "processor", "peak")}


def starts(runs: int, folder: Path) -> dict[str, dict[str, float]]:
    """Every command's ``--help``, beside a Python that does nothing."""
    helps = {" ".join(("phiz", *name)): [*PHIZ, *name, "--help"] for name in ((), *((one,) for one, *_ in COMMANDS))}
    took([*PHIZ, "--help"], folder)  # so that everything is compiled, and read from disk
    commands = {"python -c pass": [sys.executable, "-c", "pass"]} | {
        f"{name} --help": words for name, words in helps.items()
    }
    return {name: middle(runs, partial(took, words, folder)) for name, words in commands.items()}


def by_stage(runs: int, windows: Path) -> dict[str, Any]:
    """``phiz compile`` of the reference student for three targets, stage by stage: medians."""
    words = [str(STUDENT), "--calibrate", str(windows), "-t", "onnx", "-t", "tflite", "-t", "coreml"]
    measured = [stages.measure(words) for _ in range(runs)]
    return {
        "stages": {
            name: {kind: statistics.median(getattr(run.stages[name], kind) for run in measured) for kind in _KINDS}
            for name in measured[0].stages
        },
        "peak": max(run.peak for run in measured),
    }


_KINDS = ("clock", "processor")


def of_size(millions: float, runs: int, speech: Sequence[corpus.Source], folder: Path) -> dict[str, Any]:
    """Building a network of about so many parameters for three targets, and auditing the build."""
    import onnx_ir as ir
    import torch

    from compile import capture

    last = max(round(math.sqrt(millions * 1e6 / WIDTH)), 8)
    channels = (max(last * 2 // 9, 4), max(last * 4 // 9, 4), last * 8 // 9, last)
    student = alive(Architecture("sized", channels=channels, hidden=(last,)), speech)
    shape = student.architecture
    captured = capture.from_module(student, (torch.zeros(1, shape.window),), {})
    folder.mkdir(parents=True, exist_ok=True)
    model, windows, build = folder / "model.onnx", folder / "windows.npz", folder / "build"
    ir.save(captured.ir, model)
    write_windows(captured, speech, windows)
    # The weights are random, and so is how rounding adds up: what is measured is the cost.
    targets = ("-t", "onnx", "-t", "tflite", "-t", "coreml", "--max-steps", "1000")
    command = [*PHIZ, "compile", model, "--calibrate", windows, *targets, "-o", build]
    measured = stages.measure([str(word) for word in command[len(PHIZ) + 1 : -2]])
    return {
        "parameters": sum(parameter.numel() for parameter in student.parameters()),
        "compile": middle(runs, lambda: took(command, folder)),
        "stages": {name: spent.processor for name, spent in measured.stages.items()},
        "audit": middle(runs, lambda: took([*PHIZ, "audit", build], folder)),
    }


def of_length(minutes: int, runs: int, sources: Sequence[corpus.Source], folder: Path) -> dict[str, Any]:
    """What so many minutes of speech cost: to label, to calibrate with, and, as one file, to bake."""
    speech, joined = folder / "speech", folder / "speech.wav"
    speech.mkdir(parents=True, exist_ok=True)
    samples, parts = 0, []
    for number, source in enumerate(sources):
        if samples >= minutes * 60 * SAMPLE_RATE:
            break
        parts.append(decode(source.path))
        samples += len(parts[-1])
        link = speech / f"{number:05}.wav"
        if not link.exists():
            link.symlink_to(source.path)
    _join(parts, joined)

    def run(*words: object) -> dict[str, float]:
        def once() -> Took:
            with tempfile.TemporaryDirectory(dir=folder) as out:
                return took([*PHIZ, *words, "-o", Path(out) / "result"], folder)

        return middle(runs, once)

    return {
        "minutes": samples / SAMPLE_RATE / 60,
        "label": run("label", speech),
        "calibrate": run("compile", STUDENT, "--calibrate", speech, "-t", "onnx"),
        "bake": run("bake", joined),
    }


def spoken(minutes: int, folder: Path, tell: Callable[[int, int], None]) -> list[corpus.Source]:
    """Enough synthetic sentences for so many minutes."""
    count = math.ceil(minutes * 60 / SECONDS_A_SENTENCE)
    return speak(folder, count, corpus.TRAIN, tell)


def _join(parts: Sequence[NDArray[np.float32]], out: Path) -> None:
    """One file of all sentences, 16 bits."""
    with wave.open(str(out), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", "NONE"))
        for part in parts:
            file.writeframes((part.clip(-1, 1) * 32767).astype("<i2").tobytes())
