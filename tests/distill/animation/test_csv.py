"""Tables, read back by the csv module: Live Link Face's columns and time codes at any rate; rigs by their names."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from distill import recordings
from distill.animation.formats import write
from distill.controls import ARKIT

NO_RATE = 1e-9  # of what is equal but for float64


def some_curves(frames: int) -> np.ndarray:
    return np.random.default_rng(0).random((frames, 52)).astype(np.float32)


def rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="") as file:
        yield from csv.DictReader(file)


def test_each_value_stands_under_its_name(tmp_path: Path) -> None:
    curves = some_curves(2)
    write(tmp_path / "take.csv", curves, ARKIT, 50.0)
    _, row = rows(tmp_path / "take.csv")
    for index, name in enumerate(ARKIT):
        column = name[0].upper() + name[1:]
        assert float(row[column]) == pytest.approx(float(curves[1, index]), abs=5e-7)  # six decimals are written
    assert row["BlendShapeCount"] == "61"
    assert float(row["RightEyeRoll"]) == 0


def test_the_order_of_the_controls_does_not_matter(tmp_path: Path) -> None:
    curves = some_curves(3)
    write(tmp_path / "one.csv", curves, ARKIT, 50.0)
    write(tmp_path / "other.csv", curves[:, ::-1], ARKIT[::-1], 50.0)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "other.csv").read_bytes()


def test_to_the_byte(tmp_path: Path) -> None:
    write(tmp_path / "take.csv", np.linspace(0, 1, 104, dtype=np.float32).reshape(2, 52), ARKIT, 24.0)
    _, first, second, end = (tmp_path / "take.csv").read_bytes().split(b"\n")
    assert first.startswith(b"00:00:00:00.000,61,0.000000,0.009709,")
    assert second.startswith(b"00:00:00:01.000,61,0.504854,")
    assert second.endswith(b",1.000000" + b",0.000000" * 9)
    assert end == b""


@pytest.mark.parametrize(
    ("rate", "frame", "timecode"),
    [
        (30.0, 0, "00:00:00:00.000"),
        (30.0, 29, "00:00:00:29.000"),
        (30.0, 30, "00:00:01:00.000"),
        (90.0, 90 * 60 + 89, "00:01:00:89.000"),
        (59.94, 61, "00:00:01:01.061"),  # 1.017684 s: 61 frames of the next whole rate, and a bit
        (23.976, 24, "00:00:01:00.024"),
        (23.976, 24_000, "00:16:41:00.024"),  # by the clock: 1001.001 s
        (2.0, 3661 * 2 + 1, "01:01:01:01.000"),
        (12.5, 27, "00:00:02:02.080"),  # 2.16 s
    ],
)
def test_time_codes_are_by_the_clock(tmp_path: Path, rate: float, frame: int, timecode: str) -> None:
    write(tmp_path / "take.csv", np.zeros((frame + 1, 52), np.float32), ARKIT, rate)
    last = (tmp_path / "take.csv").read_text().splitlines()[-1]
    assert last.split(",", 1)[0] == timecode


@pytest.mark.parametrize("rate", [24, 23.976, 24000 / 1001, 25, 29.97, 30, 50, 59.94, 60, 90, 120])
def test_whoever_does_not_know_the_rate_reads_the_same_times(tmp_path: Path, rate: float) -> None:
    curves = some_curves(2000)
    write(tmp_path / "take.csv", curves, ARKIT, rate)
    codes = [row["Timecode"] for row in rows(tmp_path / "take.csv")]
    parts = np.array([[*map(float, code.split(":"))] for code in codes])
    whole = np.ceil(rate)
    assert parts[:, 3].max() < whole
    times = parts @ [3600, 60, 1, 1 / whole]
    np.testing.assert_allclose(
        times, np.arange(2000) / rate, atol=0.0005 / whole + NO_RATE
    )  # three decimals of a frame
    recording = recordings.read(tmp_path / "take.csv")
    np.testing.assert_allclose(recording.times, times, atol=NO_RATE)
    np.testing.assert_allclose(recording.curves, curves, atol=5e-7)


def test_a_table_of_any_rig(tmp_path: Path) -> None:
    curves = np.array([[0.5, -3.25], [1e-7, 12.0], [0.25, 0.0]], np.float32)
    write(tmp_path / "take.csv", curves, ("jaw, left", "brow"), 24.0)
    assert (tmp_path / "take.csv").read_text().splitlines() == [
        'seconds,"jaw, left",brow',
        "0.000000,0.500000,-3.250000",
        "0.041667,0.000000,12.000000",
        "0.083333,0.250000,0.000000",
    ]
    recording = recordings.read(tmp_path / "take.csv")
    assert recording.controls == ("jaw, left", "brow")
    np.testing.assert_allclose(recording.curves, curves, atol=5e-7)
    np.testing.assert_allclose(recording.times, np.arange(3) / 24, atol=5e-7)
