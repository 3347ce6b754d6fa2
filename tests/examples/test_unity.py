"""The plug-in by its own functions, and its component in Mono, in an engine of one object."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CLOSE = 1e-5  # as in test_c.py
Floats = NDArray[np.float32]


class Face:
    """A face in memory of ours, with a border behind it that nobody may touch."""

    def __init__(self, plugin: Path, rate: int) -> None:
        self.library = ctypes.CDLL(str(plugin))
        self.library.phiz_unity_control.restype = ctypes.c_char_p
        self.library.phiz_unity_latency.restype = self.library.phiz_unity_interval.restype = ctypes.c_float
        size = self.library.phiz_unity_bytes()
        self.memory = np.full(size // 8 + 9, 0x5A5A5A5A, np.int64)
        self.border = self.memory[-(-size // 8) :]
        self.at = ctypes.c_void_p(self.memory.ctypes.data)
        self.begun = self.library.phiz_unity_begin(self.at, rate)

    def push(self, samples: Any) -> tuple[int, Floats]:
        """``[n, channels]``; the number of frames, and the newest."""
        given, out = np.ascontiguousarray(samples, np.float32), np.full(4, np.nan, np.float32)
        pointers = (ctypes.c_void_p(array.ctypes.data) for array in (given, out))
        made = self.library.phiz_unity_push(self.at, next(pointers), len(given), given.shape[1], next(pointers))
        assert (self.border == 0x5A5A5A5A).all()
        return made, out


def newest(face: Face, audio: Floats, size: int) -> Floats:
    """The frames after each of the pieces that gave one."""
    shown = [face.push(audio[at : at + size]) for at in range(0, len(audio), size)]
    return np.stack([controls for made, controls in shown if made])


def test_frames_are_the_players(plugin: Path, student: Path, frames: Callable[..., Floats], voice: Any) -> None:
    audio = voice(1.0, 48_000, 2)
    face = Face(plugin, 48_000)
    assert [face.library.phiz_unity_control(index) for index in range(4)] == [
        b"jawOpen", b"mouthClose", b"mouthFunnel", b"mouthSmileLeft",
    ]  # fmt: skip
    found = newest(face, audio / np.float32(32768), 100)  # so few that each gives one frame at most
    np.testing.assert_allclose(found, frames(student, audio, 48_000)[: len(found)], atol=CLOSE)
    # What was heard, less the look-ahead, a hop for the ensemble and half the resampler's filter: 53 samples of 48 kHz.
    assert face.library.phiz_unity_latency(face.at) == pytest.approx(0.04 + 0.02 + 53 / 48_000)
    assert len(found) == int((1 - face.library.phiz_unity_latency(face.at)) / 0.02) + 1


def test_chunks_change_no_bit(plugin: Path, voice: Any) -> None:
    audio = voice(0.4, 44_100) / np.float32(32768)
    one, other = Face(plugin, 44_100), Face(plugin, 44_100)
    last = one.push(audio)[1]
    for at in range(0, len(audio), 77):
        made, controls = other.push(audio[at : at + 77])
        if made:
            latest = controls
    np.testing.assert_array_equal(last, latest)


def test_reset_is_a_new_face(plugin: Path, voice: Any) -> None:
    audio = voice(0.4, 48_000) / np.float32(32768)
    used, new = Face(plugin, 48_000), Face(plugin, 48_000)
    used.push(audio[5000:])
    used.library.phiz_unity_reset(used.at)
    np.testing.assert_array_equal(used.push(audio)[1], new.push(audio)[1])


def test_what_is_no_number_is_silence(plugin: Path, voice: Any) -> None:
    audio = voice(0.4, 48_000) / np.float32(32768)
    holes, silent = audio.copy(), audio.copy()
    holes[3000:6000:3], holes[3001:6000:3], holes[3002:6000:3] = np.nan, np.inf, -np.inf
    silent[3000:6000] = 0
    np.testing.assert_array_equal(Face(plugin, 48_000).push(holes)[1], Face(plugin, 48_000).push(silent)[1])


@pytest.mark.parametrize("extreme", [3.4e38, -3.4e38, 1e-45])
def test_extremes_stay_in_range(plugin: Path, extreme: float) -> None:
    made, controls = Face(plugin, 16_000).push(np.full((16_000, 1), extreme, np.float32))
    assert made > 40
    assert ((controls >= 0) & (controls <= 1)).all()


@pytest.mark.parametrize(("rate", "begun"), [(16_000, 1), (192_000, 1), (22_050, 1), (0, 0), (-1, 0), (44_099, 0)])
def test_rates(plugin: Path, rate: int, begun: int) -> None:
    assert Face(plugin, rate).begun == begun


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The component, compiled with the stand-ins."""
    compiler, mono = shutil.which("mcs"), shutil.which("mono")
    if compiler is None or mono is None:
        pytest.skip("Mono (mcs, mono) is not installed")
    program = tmp_path_factory.mktemp("engine") / "engine.exe"
    sources = [HERE / "unity" / "Engine.cs", ROOT / "examples" / "unity" / "PhizFace.cs"]
    done = subprocess.run(
        [compiler, "-langversion:7.2", "-warnaserror", "-nowarn:649", f"-out:{program}", *sources],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return [mono, str(program)]


@pytest.mark.parametrize("mode", ["clip", "delay", "microphone"])
def test_the_component_moves_a_mesh(
    engine: list[str], plugin: Path, student: Path, frames: Callable[..., Floats], voice: Any, mode: str
) -> None:
    audio = voice(1.0, 48_000, 2)
    samples = audio / np.float32(32768)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(plugin.parent), "LC_ALL": "C"}
    done = subprocess.run(
        [*engine, mode], input=samples.astype("<f4").tobytes(), capture_output=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    table = np.array([[float(word) for word in line.split()] for line in done.stdout.decode().splitlines()])
    assert len(table) == 48_000 // 512
    # After so many samples the newest frame is that whose look-ahead they complete.
    heard = 512 * np.arange(1, len(table) + 1) / 48_000
    place = np.floor((heard - (0.06 + 53 / 48_000)) / 0.02 + 1e-9).astype(int)
    expected = frames(student, audio, 48_000)[place.clip(0)] * (place >= 0)[:, None]
    shapes = [0, 3, 4, 2]  # where the mesh has the four controls, under names of its own
    np.testing.assert_allclose(table[:, shapes] / 100, expected, atol=CLOSE)
    assert (table[:, 1] == 0).all()  # the nose
    blocks = samples[: 512 * len(table)].reshape(-1, 1024)
    delayed = np.concatenate([np.zeros((round((0.06 + 53 / 48_000) * 48_000), 2), np.float32), samples])
    played = {"clip": blocks, "microphone": 0 * blocks, "delay": delayed[: 512 * len(table)].reshape(-1, 1024)}
    np.testing.assert_allclose(table[:, 5:], played[mode][:, [0, 1023]], atol=1e-7)
