"""Archives, read back by numpy and zipfile, and by phiz as labels."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from distill import recordings
from distill.animation import npz
from distill.animation.formats import encode, write
from distill.controls import ARKIT


@pytest.mark.parametrize("rate", [24, 23.976, 30, 60.0, 90])
def test_what_is_read_as_labels(tmp_path: Path, rate: float) -> None:
    curves = np.random.default_rng(0).random((1234, 52)).astype(np.float32)
    path = tmp_path / "take.npz"
    write(path, curves, ARKIT, rate)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == ["controls.npy", "curves.npy", "frame_rate.npy"]
    with np.load(path, allow_pickle=False) as found:
        assert found["curves"].dtype == np.float32
        np.testing.assert_array_equal(found["curves"], curves)
        assert found["frame_rate"].shape == ()
        assert found["frame_rate"] == rate
        assert tuple(found["controls"]) == ARKIT
    recording = recordings.read(path)
    np.testing.assert_array_equal(recording.curves, curves)
    np.testing.assert_array_equal(recording.times, np.arange(1234) / rate)


def test_equal_curves_give_equal_bytes_however_they_come() -> None:
    curves = np.random.default_rng(0).random((2500, 2)).astype(np.float32)
    one, many = (
        b"".join(encode("npz", blocks, 2500, "ab", 50)) for blocks in ([curves], np.split(curves, [1, 1, 900]))
    )
    assert one == many


def test_more_than_the_old_format_of_zip_holds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same with a limit of 10 kB in place of 2 GB: sizes of 64 bits from there on."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10_000)
    curves = np.random.default_rng(0).random((3000, 2)).astype(np.float32)
    (tmp_path / "take.npz").write_bytes(b"".join(npz.encode(np.split(curves, 10), 3000, "ab", 50, "")))
    with np.load(tmp_path / "take.npz") as found:
        np.testing.assert_array_equal(found["curves"], curves)
