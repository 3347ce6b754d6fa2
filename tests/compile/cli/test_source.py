"""Speech to calibrate on: hours of it give what they would give in memory."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from compile import capture
from compile.cli import source


def test_speech_that_does_not_stay_in_memory_is_the_same_speech(tiny_path, tmp_path: Path, monkeypatch) -> None:
    for number in range(5):
        samples = np.random.default_rng(number).normal(scale=3000, size=2000 + number)
        with wave.open(str(tmp_path / f"{number}.wav"), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
            file.writeframes(samples.astype("<i2").tobytes())
    model = capture.from_onnx(tiny_path)
    held = source.read_samples(model, [str(tmp_path)], 8)
    for kept in (0, 4500):
        monkeypatch.setattr(source, "KEPT", kept)
        read = source.read_samples(model, [str(tmp_path)], 8)
        np.testing.assert_array_equal(read.calibrate["x"], held.calibrate["x"])
        np.testing.assert_array_equal(read.judge["x"], held.judge["x"])
