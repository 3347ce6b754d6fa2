"""16-bit WAV without PyAV: the same samples as with it, at any rate, and what it is not for."""

from __future__ import annotations

import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from compile.errors import MissingExtra, UserError
from distill import audio, wav


def write(path: Path, channels: np.ndarray, rate: int, width: int = 2) -> Path:
    """``channels`` [time, channels] in [-1, 1]."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(np.round(channels * 32767).astype("<i2").tobytes())
    return path


def tones(rate: int, seconds: float = 0.5) -> np.ndarray:
    time = np.arange(round(rate * seconds)) / rate
    return 0.3 * np.sin(2 * np.pi * 440 * time) + 0.2 * np.sin(2 * np.pi * 2900 * time + 1)


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_tones_are_what_they_were(rate: int) -> None:
    ours = wav.resample(tones(rate).astype(np.float32), rate, 16_000)
    assert len(ours) == 8000
    inside = slice(200, -200)  # at the ends, silence outside rings
    # the Kaiser window leaves 80 dB, 1e-4 of a tone
    np.testing.assert_allclose(ours[inside], tones(16_000)[inside], atol=5e-5)


def test_what_the_rate_cannot_hold_is_filtered_out() -> None:
    time = np.arange(24_000) / 48_000
    high = np.sin(2 * np.pi * 10_000 * time).astype(np.float32)  # would fold to 6 kHz
    assert np.abs(wav.resample(high, 48_000, 16_000)[200:-200]).max() < 2e-4  # 75 dB down


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_it_agrees_with_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: int) -> None:
    pytest.importorskip("av")
    path = write(tmp_path / "a.wav", np.stack([tones(rate), -0.5 * tones(rate)], axis=1), rate)
    theirs = audio.decode(path)
    monkeypatch.setitem(sys.modules, "av", None)
    ours = audio.decode(path)
    if rate == 16_000:
        np.testing.assert_array_equal(ours, theirs)
    else:
        np.testing.assert_allclose(ours[200:-200], theirs[200 : len(ours) - 200], atol=1e-4)  # two filters


def test_a_file_that_ends_early_gives_what_is_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.ones((1000, 2)) / 2, 16_000)
    path.write_bytes(path.read_bytes()[: 44 + 4 * 300 + 3])
    found = wav.read(path)
    assert found is not None
    assert len(found[0]) == 300
    assert found[0][0] == pytest.approx(0.5, abs=1 / 32768)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda p: write(p, np.zeros((10, 1)), 16_000, width=1), "pip install 'phiz"),
        (lambda p: p.write_bytes(b"fLaC" * 20), "other than 16-bit WAV needs the Python package"),
        (lambda p: p.write_bytes(b""), "other than 16-bit WAV needs"),
        (lambda p: write(p, np.zeros((0, 1)), 16_000), "it has no samples"),
        (Path.exists, "there is no such audio file"),
    ],
)
def test_what_it_does_not_read(tmp_path: Path, monkeypatch, make, complaint: str) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setitem(sys.modules, "av", None)
    make(tmp_path / "a.wav")
    with pytest.raises((UserError, MissingExtra), match=complaint):
        audio.decode(tmp_path / "a.wav")
