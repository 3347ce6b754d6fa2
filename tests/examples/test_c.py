"""examples/c as a user runs it: built by CMake, fed with files and pipes, beside onnxruntime."""

from __future__ import annotations

import io
import platform
import re
import shutil
import struct
import subprocess
import threading
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from compile import capture
from compile.examples import examples
from compile.simplify.pipeline import simplify
from compile.streaming.stream import stream
from targets.base import Artifact
from targets.catalogue import find

# float32 sums in another order than onnxruntime's and einsum's, and six digits.
CLOSE = 1e-5
Audio = NDArray[np.int16]
Frames = Callable[..., NDArray[np.float32]]
Voice = Callable[..., Audio]


@pytest.fixture(scope="module")
def speak(built: Callable[..., Path], student: Path) -> Path:
    return built("c", student) / "speak"


def wav(audio: Audio, rate: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(audio.shape[1])
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(audio.astype("<i2").tobytes())
    return file.getvalue()


def curves(text: bytes) -> tuple[list[str], NDArray[np.float64]]:
    """Names of the columns, and the table."""
    head, *rows = text.decode().splitlines()
    return head.split(","), np.array([[float(number) for number in row.split(",")] for row in rows])


def heard(program: Path, data: bytes, folder: Path) -> subprocess.CompletedProcess[bytes]:
    (folder / "speech.wav").write_bytes(data)
    return subprocess.run([program, folder / "speech.wav"], capture_output=True, check=False)


@pytest.mark.parametrize(
    ("rate", "channels"), [(16_000, 1), (48_000, 2), (44_100, 1), (8_000, 1), (11_025, 2), (96_000, 1)]
)
def test_frames_are_the_players(
    speak: Path, student: Path, frames: Frames, voice: Voice, tmp_path: Path, rate: int, channels: int
) -> None:
    audio = voice(1.234, rate, channels)
    done = heard(speak, wav(audio, rate), tmp_path)
    names, table = curves(done.stdout)
    assert done.returncode == 0
    assert names == ["seconds", "jawOpen", "mouthClose", "mouthFunnel", "mouthSmileLeft"]
    np.testing.assert_allclose(table[:, 0], np.arange(len(table)) / 50, atol=1e-6)
    expected = frames(student, audio, rate)
    assert expected.min() == 0  # it was clipped
    assert expected.std() > 0.1
    np.testing.assert_allclose(table[:, 1:], expected, atol=CLOSE)


@pytest.mark.parametrize("look_ahead", [0.0, 16.0])
def test_any_look_ahead(
    built: Callable[..., Path],
    student_of: Callable[[float], Path],
    frames: Frames,
    voice: Voice,
    tmp_path: Path,
    look_ahead: float,
) -> None:
    folder, audio = student_of(look_ahead), voice(0.5)
    _, table = curves(heard(built("c", folder) / "speak", wav(audio, 16_000), tmp_path).stdout)
    np.testing.assert_allclose(table[:, 1:], frames(folder, audio, 16_000), atol=CLOSE)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="-march=native is said otherwise elsewhere")
def test_instructions_change_no_digit(
    speak: Path, built: Callable[..., Path], student: Path, voice: Voice, tmp_path: Path
) -> None:
    data = wav(voice(0.7, 44_100), 44_100)
    native = built("c", student, "-march=native -O3") / "speak"
    assert heard(native, data, tmp_path).stdout == heard(speak, data, tmp_path).stdout


def test_a_pipe_says_what_a_file_says(speak: Path, voice: Voice, tmp_path: Path) -> None:
    audio = voice(0.7)
    raw = subprocess.run([speak, "--raw", "16000"], input=audio.tobytes(), capture_output=True, check=True)
    assert raw.stdout == heard(speak, wav(audio, 16_000), tmp_path).stdout


def test_a_line_comes_as_soon_as_it_is_known(speak: Path, voice: Voice) -> None:
    """The first frame waits for 40 ms of look-ahead and the ensemble's next hop, and for nothing else."""
    process = subprocess.Popen([speak, "--raw", "16000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    patience = threading.Timer(30, process.kill)
    patience.start()
    process.stdin.write(voice(1.0)[: 640 + 320].tobytes())  # the pipe stays open
    process.stdin.flush()
    assert process.stdout.readline().startswith(b"seconds,")
    assert process.stdout.readline().startswith(b"0.000000,")
    process.communicate()
    patience.cancel()


@pytest.mark.parametrize("samples", [0, 1, 319, 320, 321])
def test_short_audio_has_its_frames(
    speak: Path, student: Path, frames: Frames, voice: Voice, tmp_path: Path, samples: int
) -> None:
    audio = voice(1.0)[:samples]
    done = heard(speak, wav(audio, 16_000), tmp_path)
    assert done.returncode == 0
    rows = done.stdout.decode().splitlines()[1:]
    assert len(rows) == -(-samples // 320)
    if rows:
        np.testing.assert_allclose(curves(done.stdout)[1][:, 1:], frames(student, audio, 16_000), atol=CLOSE)


def chunks(*pieces: tuple[bytes, bytes]) -> bytes:
    body = b"".join(name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for name, data in pieces)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WAVE" + body


def form(kind: int = 1, channels: int = 1, rate: int = 16_000, bits: int = 16) -> bytes:
    size = channels * bits // 8
    return struct.pack("<HHIIHH", kind, channels, rate, (rate * size) & 0xFFFFFFFF, size & 0xFFFF, bits)


EXTENSIBLE = form(0xFFFE) + struct.pack("<HHIH", 22, 16, 4, 1) + bytes.fromhex("000000001000800000aa00389b71")


@pytest.mark.parametrize("name", ["other chunks", "extensible", "of a pipe"])
def test_plain_wav_in_its_other_forms(speak: Path, voice: Voice, tmp_path: Path, name: str) -> None:
    audio = voice(0.3)
    data = audio.tobytes()
    plain = wav(audio, 16_000)
    files = {
        "other chunks": chunks((b"LIST", b"odd"), (b"fmt ", form() + b"\0\0"), (b"fact", b"1234"), (b"data", data)),
        "extensible": chunks((b"fmt ", EXTENSIBLE), (b"data", data)),
        "of a pipe": chunks((b"fmt ", form())) + b"data\xff\xff\xff\xff" + data,
    }
    done = heard(speak, files[name], tmp_path)
    assert done.returncode == 0
    assert done.stdout == heard(speak, plain, tmp_path).stdout


BAD = {
    "text": (b"seconds,jawOpen\n0,1\n", b"it is no RIFF WAV file; convert it: ffmpeg"),
    "empty": (b"", b"it is no RIFF WAV file"),
    "float": (chunks((b"fmt ", form(3, bits=32)), (b"data", bytes(64))), b"not integers of 16 bits"),
    "24 bits": (chunks((b"fmt ", form(bits=24)), (b"data", bytes(6))), b"not integers of 16 bits"),
    "no format": (chunks((b"data", bytes(64))), b"does not say its format"),
    "no sound": (chunks((b"fmt ", form())), b"it holds no sound"),
    "no channel": (chunks((b"fmt ", form(channels=0)), (b"data", bytes(64))), b"no channel, or more than 16"),
    "64 channels": (chunks((b"fmt ", form(channels=64)), (b"data", bytes(64))), b"no channel, or more than 16"),
    "no rate": (chunks((b"fmt ", form(rate=0)), (b"data", bytes(64))), b"convert it to 16000 or 48000 Hz"),
    "odd rate": (chunks((b"fmt ", form(rate=44_099)), (b"data", bytes(64))), b"convert it to 16000 or 48000 Hz"),
    "huge rate": (chunks((b"fmt ", form(rate=4_000_000_000)), (b"data", bytes(64))), b"none of audio's"),
    "short format": (chunks((b"fmt ", form()[:12]), (b"data", bytes(64))), b"not integers of 16 bits"),
    "huge chunk": (b"RIFF....WAVELIST\xff\xff\xff\xff", b"it ends early"),
}


@pytest.mark.parametrize("name", BAD)
def test_other_files_are_refused(speak: Path, tmp_path: Path, name: str) -> None:
    data, said = BAD[name]
    done = heard(speak, data, tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == b""


def test_a_file_that_was_cut_is_heard_and_reported(speak: Path, voice: Voice, tmp_path: Path) -> None:
    done = heard(speak, wav(voice(1.0), 16_000)[:-20_000], tmp_path)
    assert done.returncode == 2
    assert b"ends before the end that its header promises" in done.stderr
    assert len(done.stdout.splitlines()) == 1 + -(-(16_000 - 10_000) // 320)


@pytest.mark.parametrize(
    "arguments", [[], ["--help"], ["--raw"], ["--raw", "x"], ["there is none.wav"], ["a", "b", "c"]]
)
def test_other_arguments_are_refused(speak: Path, arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run([speak, *arguments], capture_output=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith((b"usage: speak", b"speak: "))
    assert done.stdout == b""


def test_damaged_files_touch_nothing_else(
    built: Callable[..., Path], compiler: str, student: Path, voice: Voice, tmp_path: Path
) -> None:
    """Under the sanitizers: heads with any byte changed."""
    if subprocess.run(
        [compiler, "-fsanitize=address,undefined", "-x", "c", "-", "-o", tmp_path / "none"],
        input=b"int main(void) { return 0; }",
        capture_output=True,
        check=False,
    ).returncode:
        pytest.skip("this compiler has no sanitizers")
    program = built("c", student, "-g -fsanitize=address,undefined -fno-sanitize-recover") / "speak"
    whole, random = wav(voice(0.05), 48_000), np.random.default_rng(3)
    for at in range(0, 44, 4):
        data = bytearray(whole)
        data[at] = int(random.integers(256))
        done = heard(program, bytes(data), tmp_path)
        assert done.returncode in (0, 2), done.stderr.decode()
        assert b"ERROR" not in done.stderr
        assert b"runtime error" not in done.stderr


def test_the_student_tests_itself(built: Callable[..., Path], student: Path, tmp_path: Path) -> None:
    """By CTest, as the README says; and not of a student that is another's."""
    if shutil.which("ctest") is None:
        pytest.skip("there is no CTest")
    for suffix in ("c", "h"):
        shutil.copy(student / f"student.stream.{suffix}", tmp_path)
    graph = capture.from_onnx(student / "network.onnx")
    random = np.random.default_rng(2)
    window = graph.inputs[0]
    samples = [{window.name: random.normal(0, 0.1, window.shape).astype(np.float32)} for _ in range(20)]
    made = examples(stream(simplify(graph).model), samples, {"controls": CLOSE})
    files = {name: (tmp_path / name).read_bytes() for name in ("student.stream.c", "student.stream.h")}
    golden = find("c").prove(Artifact("c", "student.stream.c", files), made).files["student.stream.golden.h"]
    (tmp_path / "student.stream.golden.h").write_bytes(golden)

    def tested(folder: Path) -> subprocess.CompletedProcess[str]:
        command = ["ctest", "--test-dir", str(folder), "--output-on-failure"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    right = tested(built("c", tmp_path))
    assert right.returncode == 0, right.stdout
    assert "100% tests passed, 0 tests failed out of 1" in right.stdout
    table = re.search(rb"_golden_controls\[\d+\] = \{\n *([-0-9.e]+f),", golden)
    assert table is not None
    wrong = golden[: table.start(1)] + b"7.0f" + golden[table.end(1) :]
    (tmp_path / "student.stream.golden.h").write_bytes(wrong)
    other = tested(built("c", tmp_path))
    assert other.returncode != 0
    assert re.search(r"self-test: hop 0: controls\[0\] is \S+, and should be 7, give or take 1\.001e-05", other.stdout)


def test_cmake_says_what_it_wants(built: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="phiz compile phiz:tiny"):
        built("c", tmp_path)
