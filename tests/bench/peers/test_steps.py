"""Builders and runtimes of a few lines, run as the real ones are: in processes of their own."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.peers import steps
from bench.peers.catalogue import Peer, Runtime
from bench.peers.rooms import Room
from bench.peers.steps import Artefact, Server
from bench.peers.subjects import Subject

BUILDER = """
import os

def good(model, windows, out):
    out.write_bytes(model.read_bytes())

def seeded(model, windows, out):
    out.write_text(os.environ["PYTHONHASHSEED"])

def large(model, windows, out):
    out.write_bytes(bytes(len(bytearray(200_000_000)) and 4))

def bad(model, windows, out):
    raise ValueError(f"not a model: {model}")

def idle(model, windows, out):
    pass
"""
RUNTIME = """
def version():
    return "7"

def load(path):
    if path.read_bytes() == b"broken":
        raise OSError(f"cannot open {path}")
    print("noise that libraries make")
    return lambda window: window[:, :2] * 2
"""


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    for name in ("build_one.py", "clock.py", "serve.py"):
        shutil.copy(steps.HERE / name, tmp_path / name)
    for folder, name, text in (("builders", "fake.py", BUILDER), ("runtimes", "fake.py", RUNTIME)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text)
    monkeypatch.setattr(steps, "HERE", tmp_path)
    monkeypatch.setattr(steps, "RUNTIMES", {"fake": Runtime("fake")})
    return Room(Path(sys.executable), 0, {})


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    (tmp_path / "model.onnx").write_bytes(b"network")
    return Subject("fake", tmp_path, "0", 1, 4, 0, ("a",))


def peer(function: str) -> Peer:
    return Peer("fake", "fake", f"fake:{function}", "onnx", {"made.bin": "fake"}, "")


def test_a_build_has_its_bytes_and_is_equal_twice(room: Room, subject: Subject, tmp_path: Path) -> None:
    found = steps.build(peer("good"), subject, room, tmp_path / "builds" / "key", 2)
    assert found["artefacts"]["made.bin"]["bytes"] == len(b"network")
    assert found["artefacts"]["made.bin"]["path"] == "key/0/made.bin"
    assert found["equal"] is True
    assert found["lines"] == 2


def test_a_build_that_depends_on_the_hash_seed_is_not_equal(room: Room, subject: Subject, tmp_path: Path) -> None:
    assert steps.build(peer("seeded"), subject, room, tmp_path / "builds" / "key", 2)["equal"] is False


def test_memory_is_that_of_the_builder_alone(room: Room, subject: Subject, tmp_path: Path) -> None:
    ballast = bytearray(b"x") * 300_000_000  # of the benchmark's own process, which forks
    small, large = (
        steps.build(peer(name), subject, room, tmp_path / "builds" / name, 1)["peak"] for name in ("good", "large")
    )
    assert small < 100_000_000 < 200_000_000 < large < 300_000_000
    del ballast


def test_a_failure_has_its_reason_and_no_path(room: Room, subject: Subject, tmp_path: Path) -> None:
    found = steps.build(peer("bad"), subject, room, tmp_path / "builds" / "key", 2)
    assert found == {"error": "ValueError: not a model: model.onnx"}
    assert steps.build(peer("idle"), subject, room, tmp_path / "builds" / "key", 1) == {"error": "it wrote no made.bin"}


def test_a_runtime_gets_every_window(room: Room, tmp_path: Path) -> None:
    audio = np.arange(10, dtype=np.float32)
    np.savez(tmp_path / "sound.npz", audio=audio, starts=np.array([0, 3, 6]), window=4)
    (tmp_path / "made.bin").write_bytes(b"network")
    artefact = Artefact(tmp_path / "made.bin", "fake", "0")
    told = steps.run(artefact, room, tmp_path / "sound.npz", tmp_path / "out.npy")
    assert told == {"version": "7"}
    assert np.load(tmp_path / "out.npy").tolist() == [[0, 2], [6, 8], [12, 14]]
    with Server("fake", room) as server:
        number = server.ask("load", path=str(artefact.path))["number"]
        seconds = server.ask("time", number=number, sound=str(tmp_path / "sound.npz"), calls=5)["seconds"]
    assert len(seconds) == 5
    assert min(seconds) > 0


def test_what_a_runtime_refuses_is_an_answer(room: Room, tmp_path: Path) -> None:
    (tmp_path / "made.bin").write_bytes(b"broken")
    artefact = Artefact(tmp_path / "made.bin", "fake", "0")
    told = steps.run(artefact, room, tmp_path / "sound.npz", tmp_path / "out.npy")
    assert told == {"error": "OSError: cannot open made.bin"}


def test_in_a_race_one_that_fails_stops_no_other(room: Room, tmp_path: Path) -> None:
    np.savez(tmp_path / "sound.npz", audio=np.zeros(10, np.float32), starts=np.array([0, 3, 6]), window=4)
    for name, content in (("good", b"network"), ("bad", b"broken")):
        (tmp_path / name).write_bytes(content)
    artefacts = {name: Artefact(tmp_path / name, "fake", name) for name in ("bad", "good")}
    found = steps.race(artefacts, {"fake": room}, tmp_path / "sound.npz", 3, lambda _: None)["microseconds"]
    assert found["bad"] == {"error": "OSError: cannot open bad"}
    assert len(found["good"]["rounds"]) == 3
    assert 0 < found["good"]["median"] <= found["good"]["p99"]
