"""Files of any length and number, through a face that is made up: what it hears is what it shows."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from compile.errors import UserError
from distill import audio
from distill.animation import crew
from distill.animation.baking import Order
from distill.animation.crew import bake
from distill.corpus.sources import Source

RATE = 8_000


def echo(blocks: Iterable[np.ndarray], scale: float = 1.0) -> Iterator[np.ndarray]:
    """Two controls a frame of 80 samples: the loudest of them, and how many there are."""
    for block in blocks:
        frames = np.pad(block, (0, -len(block) % 80)).reshape(-1, 80)
        yield np.stack([scale * frames.max(axis=1), np.full(len(frames), len(block) / 1e5)], axis=1).astype(np.float32)


def nan(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    for frames in echo(blocks):
        yield frames * np.float32("nan")


def opened(scale: float):  # type: ignore[no-untyped-def]
    return partial(echo, scale=scale)


def refused():  # type: ignore[no-untyped-def]
    raise UserError("its runtime is gone", where="student.onnx")


@pytest.fixture
def order(tmp_path: Path) -> Order:
    return Order(tmp_path / "out", ("csv", "npz", "json"), ("loud", "long"), RATE, 100.0)


@pytest.fixture
def speech(tmp_path: Path) -> list[Source]:
    """Seven files of different lengths."""
    paths = [tmp_path / f"{name}.wav" for name in "abcdefg"]
    for index, path in enumerate(paths):
        audio.write_wav(path, np.random.default_rng(index).normal(0, 0.1, 4_000 * (1 + index % 3)), RATE)
    return [Source(path) for path in paths]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_several_processes_write_the_bytes_of_one(speech, order, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(crew, "WORTH", 1)  # byte: else one process is enough for these
    told: list[tuple[int, float]] = []
    one = bake(speech, opened(2.0), order, progress=lambda *now: told.append(now))
    alone = contents(order.out)
    assert sorted(alone) == sorted(f"{name}.{form}" for name in "abcdefg" for form in order.formats)
    assert [each.written for each in one] == [
        tuple(order.out / f"{source.path.stem}.{form}" for form in order.formats) for source in speech
    ]
    seconds = sum(len(audio.decode(source.path, RATE)) for source in speech) / RATE
    assert told[-1] == (6, pytest.approx(seconds))
    assert told == sorted(told)
    others = Order(tmp_path / "others", order.formats, order.controls, RATE, 100.0)
    many = bake(speech, refused, others, jobs=3, reopen=partial(opened, 2.0))  # type: ignore[arg-type]
    assert contents(others.out) == alone
    assert [each.complaint for each in many] == [""] * 7


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_cannot_be_baked_is_told_and_the_others_are(speech, order, tmp_path: Path, monkeypatch, jobs: int) -> None:
    monkeypatch.setattr(crew, "WORTH", 1)
    speech[1].path.write_bytes(b"no audio at all")
    speech[3].path.unlink()
    (order.out / "f.npz").mkdir(parents=True)  # in the way
    baked = bake(speech, opened(1.0), order, jobs=jobs, reopen=partial(opened, 1.0))
    assert [bool(each.written) for each in baked] == [True, False, True, False, True, False, True]
    for index, name, complaint in ((1, "b.wav", "cannot be read as audio"), (3, "d.wav", "there is no such audio")):
        assert f"{tmp_path / name}: " in baked[index].complaint
        assert complaint in baked[index].complaint
    assert f"{tmp_path / 'f.wav'}: its curves cannot be written: Is a directory" in baked[5].complaint
    left = {"f.npz", "f.csv"}  # which came before what is in the way
    assert {*os.listdir(order.out)} == {f"{name}.{form}" for name in "aceg" for form in order.formats} | left


def test_a_face_that_does_not_open_in_a_process(speech, order, monkeypatch) -> None:
    monkeypatch.setattr(crew, "WORTH", 1)
    baked = bake(speech[:2], opened(1.0), order, jobs=2, reopen=refused)
    assert [each.complaint for each in baked] == ["student.onnx: its runtime is gone"] * 2
    assert not order.out.exists()


def test_a_face_that_is_no_number(speech, order, tmp_path) -> None:
    (baked,) = bake(speech[:1], nan, replace(order, out=tmp_path / "deep/deeper/out"))
    assert f"{speech[0].path}: a face needs finite curves" in baked.complaint
    assert not (tmp_path / "deep").exists()


def test_no_folder_to_write_to(speech, order) -> None:
    order.out.write_bytes(b"a file")
    with pytest.raises(UserError, match="out: cannot create the folder: File exists"):
        bake(speech[:1], opened(1.0), order)
    assert order.out.read_bytes() == b"a file"


def test_a_folder_that_cannot_be(speech, order, tmp_path) -> None:
    with pytest.raises(UserError, match="cannot create the folder: File name too long"):
        bake(speech[:1], opened(1.0), replace(order, out=tmp_path / "deep" / ("x" * 300)))
    assert not (tmp_path / "deep").exists()


def test_a_folder_that_was_there_stays(speech, order) -> None:
    order.out.mkdir()
    bake(speech[:1], nan, order)
    assert os.listdir(order.out) == []


def test_a_process_is_only_begun_where_there_is_work_for_it(speech, order) -> None:
    baked = bake(speech, opened(1.0), order, jobs=8, reopen=refused)
    assert not any(each.complaint for each in baked)


def test_ten_minutes_take_the_memory_of_one(order, tmp_path: Path, monkeypatch) -> None:
    """Memory as Python and numpy ask for it; the samples of nine more minutes are 17 MB, their JSON 1 MB."""

    def peak(seconds: int) -> int:
        monkeypatch.setattr(audio, "blocks", lambda *_: (np.zeros(4_000, np.float32) for _ in range(2 * seconds)))
        tracemalloc.start()
        try:
            (baked,) = bake([Source(tmp_path / "long.wav")], opened(1.0), order)
            assert not baked.complaint
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(60)  # what is imported and kept
    minute, ten = peak(60), peak(600)
    assert ten < minute + 200_000
    with np.load(order.out / "long.npz") as found:
        assert found["curves"].shape == (60_000, 2)
