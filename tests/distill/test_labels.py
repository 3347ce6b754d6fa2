"""The label cache: content-addressed, resumable after a kill, never half-written, honest about what it skips."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from compile.errors import UserError
from distill import corpus, labels
from distill.audio import decode, write_wav
from distill.labelling import place

SLOW_RUN = """
import sys, time
from pathlib import Path
from distill import corpus, labels
from distill.teachers.phonetic import PhoneticTeacher

class Slow(PhoneticTeacher):
    def curves(self, utterance):
        time.sleep(0.3)
        return super().curves(utterance)

sources = corpus.find([sys.argv[1]])
labels.label(sources, Slow(), Path(sys.argv[2]), progress=lambda done, total: print(done, flush=True))
"""


def test_arrays_come_back(spoken, counting_teacher, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    made, summary = labels.label(spoken, counting_teacher(), tmp_path)
    assert (summary.done, summary.cached, summary.skipped) == (6, 0, ())
    read = labels.load(tmp_path)
    assert read == made
    assert [entry.split for entry in read.entries] == ["train"] * 4 + ["held-out"] * 2
    audio, curves = read.arrays(read.entries[0])
    np.testing.assert_allclose(audio / 32767, decode(spoken[0].path), atol=1 / 32767)
    assert curves[7, 3] == pytest.approx(0.007, rel=1e-3)  # stored as float16


def test_a_second_run_asks_the_teacher_nothing(spoken, counting_teacher, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    labels.label(spoken, counting_teacher(), tmp_path)
    again = counting_teacher()
    made, summary = labels.label(spoken, again, tmp_path)
    assert again.calls == 0
    assert (summary.done, summary.cached) == (0, 6)
    assert len(made.entries) == 6


def test_another_version_or_other_phones_are_labelled_anew(spoken, counting_teacher, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    labels.label(spoken, counting_teacher(), tmp_path)
    newer = counting_teacher()
    newer.version = "2"
    labels.label(spoken, newer, tmp_path)
    assert newer.calls == 6
    without = [corpus.Source(source.path) for source in spoken]
    third = counting_teacher()
    labels.label(without, third, tmp_path)
    assert third.calls == 6


def test_an_interrupted_run_goes_on(spoken, counting_teacher, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(KeyboardInterrupt):
        labels.label(spoken, counting_teacher(fail_after=4), tmp_path)
    rest = counting_teacher()
    _, summary = labels.label(spoken, rest, tmp_path)
    assert (summary.done, summary.cached, rest.calls) == (2, 4, 2)


def test_a_killed_run_leaves_whole_files_and_goes_on(spoken, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from distill.teachers.phonetic import PhoneticTeacher

    command = [sys.executable, "-c", SLOW_RUN, str(spoken[0].path.parent), str(tmp_path / "cache")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline().strip() == "1"
        assert process.stdout.readline().strip() == "2"
        time.sleep(0.1)
        os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(UserError, match="not a labels folder"):
        labels.load(tmp_path / "cache")
    made, summary = labels.label(spoken, PhoneticTeacher(), tmp_path / "cache")
    assert summary.cached >= 2
    assert summary.done + summary.cached == 6
    for entry in made.entries:
        made.arrays(entry)


def test_bad_audio_is_skipped_with_its_reason(spoken, counting_teacher, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "noise.wav").write_bytes(b"no audio")
    sources = [corpus.Source(tmp_path / "missing.wav"), corpus.Source(tmp_path / "noise.wav"), *spoken]
    seen: list[tuple[int, int]] = []
    made, summary = labels.label(sources, counting_teacher(), tmp_path / "l", progress=lambda *done: seen.append(done))
    assert [Path(name).name for name, _ in summary.skipped] == ["missing.wav", "noise.wav"]
    assert "no such audio file" in summary.skipped[0][1]
    assert len(made.entries) == 6
    assert seen[-1] == (8, 8)


@pytest.mark.parametrize(
    "returned", [np.zeros((3, 52), np.float32), np.zeros((50, 51), np.float32), np.full((50, 52), np.nan, np.float32)]
)
def test_a_teacher_that_returns_nonsense(returned: np.ndarray, counting_teacher, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("av")
    write_wav(tmp_path / "one.wav", np.ones(16000, np.int16))
    teacher = counting_teacher()
    teacher.curves = lambda _: returned
    with pytest.raises(UserError, match=r"none of 1 .*one\.wav"):
        labels.label([corpus.Source(tmp_path / "one.wav")], teacher, tmp_path / "l")
    assert not (tmp_path / "l").exists()


def test_an_empty_corpus(counting_teacher, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UserError, match="empty corpus"):
        labels.label([], counting_teacher(), tmp_path / "l")


def test_damaged_files_are_named(spoken, counting_teacher, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    made, _ = labels.label(spoken[:1], counting_teacher(), tmp_path)
    path = place(tmp_path, made.entries[0].key)
    whole = path.read_bytes()
    for damage in (b"", whole[: len(whole) // 2], b"x" * 100):
        path.write_bytes(damage)
        with pytest.raises(UserError, match="not a label file"):
            made.arrays(made.entries[0])
    np.savez(path, audio=np.zeros(320, np.int16), curves=np.zeros((2, 52), np.float16))
    with pytest.raises(UserError, match="do not fit"):
        made.arrays(made.entries[0])
    np.savez(path, audio=np.array([object()]), curves=np.zeros((1, 52)))
    with pytest.raises(UserError, match="not a label file"):  # a pickle is not opened
        made.arrays(made.entries[0])
    (tmp_path / labels.INDEX).write_text("{}")
    with pytest.raises(UserError, match="not a labels index"):
        labels.load(tmp_path)
