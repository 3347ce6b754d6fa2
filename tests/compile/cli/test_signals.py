"""Stopped in the middle: the exit code of the signal, one line, nothing half-written, and the same command goes on."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PHIZ = (sys.executable, "-m", "compile.cli")
INTERRUPTED = "phiz: interrupted; nothing is half-written, and the same command begins again or goes on\n"


def stopped(number: int, started: str, *arguments: object, wait: float = 0.3) -> tuple[int, str]:
    """Run phiz, send a signal ``wait`` s after standard error says ``started``; what it returns, what it says after."""
    command = [*PHIZ, *map(str, arguments)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr is not None
        for line in run.stderr:
            if line.startswith(f"phiz: {started}"):
                break
        time.sleep(wait)
        run.send_signal(number)
        rest = run.stderr.read()
    return run.returncode, rest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_speaking_is_stopped_and_goes_on(phiz, tmp_path: Path, number: int) -> None:
    pytest.importorskip("espeakng_loader")
    pytest.importorskip("av")
    code, complaint = stopped(number, "synthesise", "label", "--synthetic", 3000, "-o", tmp_path / "labels")
    assert code == 128 + number
    assert complaint == INTERRUPTED
    assert os.listdir(tmp_path / "labels") == []
    assert phiz("label", "--synthetic", 2, "-o", tmp_path / "labels").out.startswith("2 labelled, 0 already there")
    assert phiz("label", "--synthetic", 2, "-o", tmp_path / "labels").out.startswith("0 labelled, 2 already there")


def whole(out: Path) -> bytes:
    """The manifest of a build, every file of which is there with the digest that the manifest gives."""
    manifest = (out / "manifest.json").read_bytes()
    for artifact in json.loads(manifest)["artifacts"].values():
        for name, file in artifact["files"].items():
            assert hashlib.sha256((out / name).read_bytes()).hexdigest() == file["sha256"]
    return manifest


def test_a_stopped_build_leaves_one_whole_build(phiz, tiny_path: Path, tmp_path: Path) -> None:
    """The last good one; or the new one, where the signal came between its rename and the end of the process."""
    out = tmp_path / "out"
    assert phiz("compile", tiny_path, "-t", "onnx", "-o", out).code == 0
    before = whole(out)
    for wait in (0.0, 0.1, 0.2, 0.4):
        code, complaint = stopped(
            signal.SIGINT, "capture", "compile", tiny_path, "-t", "onnx", "--scheme", "float", "-o", out, wait=wait
        )
        if code == 130:
            assert complaint.endswith(INTERRUPTED)
        else:  # a fast machine may be done before the signal comes, Python about to exit
            assert code in (0, -signal.SIGINT)
        assert sorted(os.listdir(tmp_path)) == ["out", "tiny.onnx"]
        if whole(out) != before:  # the signal came after the rename, and a later one would again
            break


def test_stopped_while_still_importing() -> None:
    with subprocess.Popen([*PHIZ, "--help"], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        time.sleep(0.15)
        run.send_signal(signal.SIGINT)
        _, complaint = run.communicate()
    assert run.returncode in (0, 130, -signal.SIGINT)  # the last: before the first line of phiz
    if run.returncode == 130:
        assert "Traceback" not in complaint


def test_who_ignores_a_signal_keeps_ignoring_it(phiz, tmp_path: Path) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        assert phiz("doctor").code == 0
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_reader_who_leaves_is_no_verdict(tiny_path: Path, form: str) -> None:
    """The exit code of a program that SIGPIPE ended; 1 would say that a limit does not hold."""
    gone, writing = os.pipe()
    os.close(gone)
    with subprocess.Popen(
        [*PHIZ, "audit", tiny_path, "--format", form], stdout=writing, stderr=subprocess.PIPE, text=True
    ) as run:
        os.close(writing)
        _, complaint = run.communicate()
    assert run.returncode == 128 + signal.SIGPIPE
    assert "Traceback" not in complaint
