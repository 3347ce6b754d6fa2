"""A small face in C for the examples around it, and its frames by onnxruntime and `targets.player`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from compile import capture
from compile.simplify.pipeline import simplify
from compile.streaming.stream import stream
from distill.controls import worn
from targets.catalogue import find
from targets.face import Face
from targets.player import open_artifact

ROOT = Path(__file__).parents[2]
WINDOW, HOP, RATE = 1170, 320, 16_000
CONTROLS = ("jawOpen", "mouthClose", "mouthFunnel", "mouthSmileLeft")
STRICT = "-pedantic -Wall -Wextra -Wconversion -Wshadow -Werror"


def network(look_ahead_ms: float) -> onnx.ModelProto:
    """Three strided convolutions, one over three frames, and a head whose controls also leave [0, 1]."""
    random = np.random.default_rng(5)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        gain = 2.0 * float(np.prod(shape[1:])) ** -0.5 if len(shape) > 1 else 0.3
        return numpy_helper.from_array(random.normal(0, gain, shape).astype(np.float32), name)

    sizes = ((8, 1, 20, 10), (8, 8, 12, 8), (8, 8, 6, 4), (8, 8, 3, 1))
    shapes = {"wave": (1, 1, WINDOW), "flat": (1, -1)}
    nodes = [helper.make_node("Reshape", ["window", "wave"], ["v0"])]
    constants = [numpy_helper.from_array(np.array(shape, np.int64), name) for name, shape in shapes.items()]
    for index, (out, before, kernel, stride) in enumerate(sizes):
        constants += [weight(f"w{index}", out, before, kernel), weight(f"b{index}", out)]
        nodes.append(helper.make_node("Conv", [f"v{index}", f"w{index}", f"b{index}"], [f"c{index}"], strides=[stride]))
        nodes.append(helper.make_node("Relu", [f"c{index}"], [f"v{index + 1}"]))
    constants.append(weight("w", len(CONTROLS), 8))
    nodes.append(helper.make_node("Reshape", ["v4", "flat"], ["features"]))
    nodes.append(helper.make_node("Gemm", ["features", "w"], ["controls"], transB=1))
    graph = helper.make_graph(
        nodes,
        "student",
        [helper.make_tensor_value_info("window", TensorProto.FLOAT, [1, WINDOW])],
        [helper.make_tensor_value_info("controls", TensorProto.FLOAT, [1, len(CONTROLS)])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, Face(RATE, RATE / HOP, WINDOW, look_ahead_ms, CONTROLS).to_metadata())
    return model


@pytest.fixture(scope="session")
def student_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[float], Path]:
    """``student_of(look_ahead_ms)``: a folder as `phiz compile --target c --target onnx --stream` writes it."""
    made: dict[float, Path] = {}

    def build(look_ahead_ms: float) -> Path:
        if look_ahead_ms not in made:
            folder = tmp_path_factory.mktemp("student")
            onnx.save(network(look_ahead_ms), folder / "network.onnx")
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
