"""``phiz live``: datagrams that a real receiver on this machine gets and reads by the published layouts."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from compile.errors import UserError
from distill.audio import write_wav
from distill.controls import ARKIT
from distill.listening import in_real_time, within

SECONDS = 0.6
PLAIN = ("--frame-rate", 50, "--no-gain", "--no-ensemble")  # as the student computes them


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    path = tmp_path / "speech.wav"
    write_wav(path, np.random.default_rng(0).normal(0, 3000, round(SECONDS * 16_000)).astype(np.int16))
    return path


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.setblocking(False)
        yield taken


def address(receiver: socket.socket) -> str:
    return f"127.0.0.1:{receiver.getsockname()[1]}"


def received(receiver: socket.socket) -> list[bytes]:
    found = []
    while True:
        try:
            found.append(receiver.recv(65536))
        except BlockingIOError:
            return found


def test_live_link_face(phiz, speech: Path, tmp_path: Path, receiver: socket.socket) -> None:
    """Read as PyLiveLinkFace reads it: ``<i``, 37 bytes, ``!i`` and a name, ``!if2ib``, ``!61f``."""
    ran = phiz("live", speech, "--to", address(receiver), "--subject", "Zoë", *PLAIN)
    assert ran.code == 0, ran.err
    packets = received(receiver)
    assert len(packets) == np.ceil(SECONDS * 50)
    faces = []
    for number, packet in enumerate(packets):
        (length,) = struct.unpack("!i", packet[41:45])
        end = 45 + length
        assert struct.unpack("<i", packet[:4]) == (6,)
        assert len(packet[4:41].decode("ascii")) == 37
        assert packet[45:end].decode() == "Zoë"
        assert struct.unpack("!if2ib", packet[end : end + 17]) == (number, 0.0, 50, 1, 61)
        faces.append(struct.unpack("!61f", packet[end + 17 :]))
    values = np.array(faces)
    assert (values[:, 52:] == 0).all()
    assert (values[:, ARKIT.index("mouthClose")] <= values[:, ARKIT.index("jawOpen")]).all()  # lips do not cross
    baked = phiz("bake", speech, "-m", "phiz:tiny-low-latency", "-o", tmp_path / "curves", "--no-ensemble")
    assert baked.code == 0, baked.err
    rows = (tmp_path / "curves/speech.csv").read_text().splitlines()[1:]
    curves = np.array([row.split(",")[2:54] for row in rows], np.float64)
    np.testing.assert_allclose(values[:, :52], curves, atol=1e-6)  # six digits are written
    assert "30 frames sent" in ran.out


def test_osc(phiz, speech: Path, receiver: socket.socket) -> None:
    """Read by the specification: a bundle of sized messages, strings ended and filled by zeros."""
    ran = phiz("live", speech, "--to", address(receiver), "--protocol", "osc", "--frame-rate", 25)
    assert ran.code == 0, ran.err
    packets = received(receiver)
    assert len(packets) == np.ceil(SECONDS * 25)
    for number, packet in enumerate(packets):
        assert packet[:16] == b"#bundle\0" + struct.pack("!Q", 1)
        found, at = {}, 16
        while at < len(packet):
            (size,) = struct.unpack("!i", packet[at : at + 4])
            assert size % 4 == 0
            message = packet[at + 4 : at + 4 + size]
            name, _, rest = message.partition(b"\0")
            rest = message[-(-(len(name) + 1) // 4) * 4 :]
            kind = {b",f\0\0": "!f", b",d\0\0": "!d"}[rest[:4]]
            (found[name.decode()],) = struct.unpack(kind, rest[4:])
            at += 4 + size
        assert found.pop("/phiz/time") == pytest.approx(number / 25)
        assert list(found) == [f"/phiz/{name}" for name in ARKIT]


def test_nobody_listens(phiz, speech: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        free = taken.getsockname()[1]
    ran = phiz("live", speech, "--to", f"127.0.0.1:{free}", "--frame-rate", 30)
    assert ran.code == 0, ran.err
    assert ran.err.count("nobody gets the frames") == 1  # said when it begins, not at every frame
    assert "nobody listened" in ran.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--to", "127.0.0.1:nowhere"], "is no address"),
        (["--to", "127.0.0.1:99999"], "is no address"),
        (["--to", "no.such.host.invalid"], "cannot be reached"),
        (["--frame-rate", "0"], "--frame-rate"),
        (["--model", "nowhere"], "no such artefact"),
        (["--protocol", "smoke"], "--protocol"),
        (["--subject", "x" * 70_000], "more than a datagram holds"),
    ],
)
def test_bad_options(phiz, speech: Path, options: list[str], words: str) -> None:
    ran = phiz("live", speech, *options)
    assert ran.code == 2
    assert words in ran.err


def test_no_such_file_and_no_microphone(phiz, tmp_path: Path) -> None:
    assert phiz("live", tmp_path / "none.wav").code == 2
    ran = phiz("live", "microphone", "--device", "no such device")
    assert ran.code == 2
    assert "cannot be heard" in ran.err or "no usual microphone" in ran.err


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_stopped_and_killed(tmp_path: Path, receiver: socket.socket) -> None:
    """A long file, killed, begun again, interrupted: it says what was sent, and nothing is left behind."""
    path = tmp_path / "long.wav"
    write_wav(path, np.zeros(16_000 * 60, np.int16))
    before = sorted(tmp_path.rglob("*"))
    for number, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
        words = [sys.executable, "-m", "compile.cli", "live", str(path), "--to", address(receiver)]
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        deadline = time.monotonic() + 60
        while not (packets := received(receiver)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert packets
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        assert process.returncode == code, err
        assert ("frames sent" in out) == (number == signal.SIGINT)
        assert sorted(tmp_path.rglob("*")) == before
        received(receiver)  # what was still on its way


def test_a_machine_that_is_too_slow(phiz, speech: Path, receiver: socket.socket, monkeypatch) -> None:
    """Said once, while it happens: the mouth that lags has a reason."""
    monkeypatch.setattr("compile.cli.live.TOO_LATE", -1.0)
    ran = phiz("live", speech, "--to", address(receiver))
    assert ran.code == 0, ran.err
    assert ran.err.count("behind the voice; take a streaming artefact") == 1


def test_a_device_that_hangs() -> None:
    """Its thread is left waiting for ever; whoever listens is told."""
    hanging = threading.Event()

    def device() -> Iterator[int]:
        yield from range(5)
        hanging.wait()

    pieces = within(device(), 0.2, UserError("gone"))
    assert [next(pieces) for _ in range(5)] == list(range(5))
    with pytest.raises(UserError, match="gone"):
        next(pieces)
    hanging.set()


def test_a_device_that_vanishes() -> None:
    def device() -> Iterator[int]:
        yield 1
        raise UserError("it cannot be heard")

    pieces = within(device(), 10, UserError("gone"))
    assert next(pieces) == 1
    with pytest.raises(UserError, match="cannot be heard"):
        next(pieces)
    assert list(within(iter((1, 2)), 10, UserError("gone"))) == [1, 2]


def test_a_file_at_its_own_speed(speech: Path) -> None:
    """With a clock that only sleeping moves: chunks come when they would have been said, and all of them."""
    now = [100.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    heard = list(in_real_time(speech, 16_000, clock=lambda: now[0], sleep=sleep))
    assert sum(len(samples) for _, samples in heard) == SECONDS * 16_000
    assert np.allclose([due for due, _ in heard], 100 + 0.01 * np.arange(1, len(heard) + 1))
    assert now[0] == pytest.approx(100 + SECONDS)
