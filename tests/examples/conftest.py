"""A small face in C for the examples around it, and its frames by onnxruntime and `targets.player`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from compile import capture
from compile.simplify.pipeline import simplify
from compile.streaming.stream import stream
from distill.controls import worn
from targets.catalogue import find
from targets.player import open_artifact

ROOT = Path(__file__).parents[2]
RATE = 16_000
CONTROLS = ("jawOpen", "mouthClose", "mouthFunnel", "mouthSmileLeft")
STRICT = "-pedantic -Wall -Wextra -Wconversion -Wshadow -Werror"


@pytest.fixture(scope="session")
def student_of(tmp_path_factory: pytest.TempPathFactory, face_network: Callable[..., Any]) -> Callable[[float], Path]:
    """``student_of(look_ahead_ms)``: a folder as `phiz compile --target c --target onnx --stream` writes it."""
    made: dict[float, Path] = {}

    def build(look_ahead_ms: float) -> Path:
        if look_ahead_ms not in made:
            folder = tmp_path_factory.mktemp("student")
            onnx.save(face_network(look_ahead_ms, CONTROLS, False), folder / "network.onnx")
            streams = stream(simplify(capture.from_onnx(folder / "network.onnx")).model)
            for target in ("c", "onnx"):
                for name, data in find(target).lower(streams).files.items():
                    (folder / name).write_bytes(data)
            made[look_ahead_ms] = folder
        return made[look_ahead_ms]

    return build


@pytest.fixture(scope="session")
def student(student_of: Callable[[float], Path]) -> Path:
    """With a look-ahead of two hops."""
    return student_of(40.0)


@pytest.fixture(scope="session")
def frames() -> Callable[..., NDArray[np.float32]]:
    """``frames(folder, audio, rate)``: ``[frames, controls]`` by onnxruntime, as worn; ``audio`` as of the player."""

    def play(folder: Path, audio: NDArray[np.generic], rate: int) -> NDArray[np.float32]:
        player = open_artifact(folder / "student.stream.onnx", sample_rate=rate)
        return worn(np.stack([frame.controls for frame in [*player.push(audio), *player.flush()]]), CONTROLS)

    return play


@pytest.fixture(scope="session")
def voice() -> Callable[..., NDArray[np.int16]]:
    """``voice(seconds, rate, channels)``: ``[n, channels]``, changes as speech does, nothing above 3 kHz."""

    def speak(seconds: float, rate: int = RATE, channels: int = 1) -> NDArray[np.int16]:
        time = np.arange(round(seconds * rate))[:, None] / rate + 0.01 * np.arange(channels)
        tones = sum(np.sin(2 * np.pi * pitch * time) for pitch in (140, 900, 2600))
        return np.asarray(6000 * tones * np.sin(2 * np.pi * 1.7 * time) ** 2).astype(np.int16)

    return speak


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``built(example, student, flags)``: the folder that CMake built it in."""
    cmake = shutil.which("cmake")
    if cmake is None or not any(map(shutil.which, ("cc", "gcc", "clang"))):
        pytest.skip("CMake or a C compiler is not installed")

    def build(example: str, student: Path, flags: str = STRICT) -> Path:
        folder = tmp_path_factory.mktemp(example)
        source = ["-S", str(ROOT / "examples" / example), "-B", str(folder)]
        run(cmake, *source, f"-DSTUDENT={student}", f"-DCMAKE_C_FLAGS={flags}")
        run(cmake, "--build", str(folder))
        return folder

    return build


@pytest.fixture(scope="session")
def plugin(built: Callable[..., Path], student: Path) -> Path:
    """The library of examples/unity, of ``student``."""
    suffix = {"darwin": "phiz.bundle", "win32": "phiz.dll"}.get(sys.platform, "libphiz.so")
    return built("unity", student) / suffix


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
