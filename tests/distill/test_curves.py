"""Curves from windowed predictors: timing, padding, ensemble; and the picture."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from compile.errors import UserError
from distill import curves
from distill.corpus.espeak import Phone


def at(sample: int):  # type: ignore[no-untyped-def]
    """A predictor that answers with one sample of its window, 52 times."""
    return lambda windows: np.repeat(windows[:, sample : sample + 1], 52, axis=1)


def test_frame_k_is_at_k_hops() -> None:
    audio = np.linspace(0, 1, 3210, dtype=np.float32)
    result = curves.frames(audio, at(8192 - 4096), window=8192)
    assert result.shape == (11, 52)
    np.testing.assert_array_equal(result[:, 0], audio[::320])


def test_silence_surrounds_the_audio() -> None:
    audio = np.ones(640, np.float32)
    assert curves.frames(audio, at(0), window=8192).max() == 0
    assert curves.frames(audio, at(8191), window=8192).max() == 0


@pytest.mark.parametrize("look_ahead", [0, 1024, 4096])
def test_any_look_ahead(look_ahead: int) -> None:
    audio = np.random.default_rng(0).random(5000).astype(np.float32)
    result = curves.frames(audio, at(8191 - look_ahead + 1 if look_ahead else 8191), 8192, look_ahead=look_ahead)
    expected = audio[::320] if look_ahead else np.concatenate(([0], audio[319::320]))[: len(result)]
    np.testing.assert_array_equal(result[:, 0], expected)


@pytest.mark.parametrize("rate", [1.0, 23.976, 24.0, 25.0, 29.97, 30.0, 50.0, 59.94, 60.0, 90.0, 120.0, 333.3])
@pytest.mark.parametrize("sample_rate", [16_000, 22_050])
def test_any_frame_rate_and_none_drifts(rate: float, sample_rate: int) -> None:
    seconds = 7.3
    audio = np.linspace(0, seconds, round(seconds * sample_rate), endpoint=False, dtype=np.float64)  # says its own time
    result = curves.frames(
        (audio / 10).astype(np.float32), at(4096), 8192, rate, look_ahead=4096, sample_rate=sample_rate
    )
    times = np.arange(len(result)) / rate
    assert times[-1] < len(audio) / sample_rate <= times[-1] + 1 / rate + 1e-9
    # a frame's window lies at the nearest sample: at most half a sample away
    np.testing.assert_allclose(10 * result[:-1, 0], times[:-1], atol=0.5 / sample_rate + 1e-6)


@pytest.mark.parametrize("rate", [0.0, -24.0, float("nan"), float("inf"), 16_001.0])
def test_what_is_no_frame_rate(rate: float) -> None:
    with pytest.raises(UserError, match="is no frame rate"):
        curves.frames(np.zeros(320, np.float32), at(0), 8192, rate)


def test_what_is_not_bounded_is_not_clipped() -> None:
    audio = np.array([-3.0, 3.0] * 320, np.float32)
    result = curves.frames(audio, at(4096), 8192, bounded=False)
    assert result.min() == -3
    result = curves.frames(audio, lambda windows: np.full((len(windows), 2), 7.0, np.float32), 8192, bounded=False)
    assert (result == 7).all()


def test_values_are_clipped() -> None:
    audio = np.array([-3.0, 3.0] * 320, np.float32)
    result = curves.frames(audio, lambda windows: np.full((len(windows), 52), 7.0, np.float32), 8192)
    assert result.max() == 1
    assert curves.frames(audio, at(4096), 8192).min() == 0


def test_the_ensemble_is_the_mean_of_three_taps() -> None:
    audio = np.random.default_rng(0).random(6400).astype(np.float32)
    result = curves.frames(audio, at(4096), 8192, ensemble=True)
    k, shift = 10, 267  # 16.7 ms
    expected = (audio[k * 320 - shift] + audio[k * 320] + audio[k * 320 + shift]) / 3
    assert result[k, 0] == pytest.approx(expected, abs=1e-6)


def test_batches_change_nothing() -> None:
    audio = np.random.default_rng(0).random(6400).astype(np.float32)
    sizes: list[int] = []

    def predictor(windows: np.ndarray) -> np.ndarray:
        sizes.append(len(windows))
        return np.repeat(windows[:, :1], 52, axis=1)

    one = curves.frames(audio, predictor, 8192, batch=1)
    seven = curves.frames(audio, predictor, 8192, batch=7)
    np.testing.assert_array_equal(one, seven)
    assert sizes == [1] * 20 + [7, 7, 6]


def whole(audio: np.ndarray, predict, window: int, rate: float, look_ahead: int, shift: int, batch: int) -> np.ndarray:
    """The curves by the book: all audio padded at once, each tap by itself, in batches as they are promised."""
    count = int(np.ceil(len(audio) * rate / 16_000))
    starts = np.round(np.arange(count) * (16_000 / rate)).astype(np.int64)
    silence = np.zeros(2 * window + 2 * shift, np.float32)
    padded = np.concatenate([np.zeros(window - look_ahead + shift, np.float32), audio, silence])
    taps = [
        np.concatenate(
            [predict(np.stack([padded[s + tap : s + tap + window] for s in group])) for group in _groups(starts, batch)]
        )
        for tap in sorted({0, shift, 2 * shift})
    ]
    return np.asarray(np.mean(taps, axis=0), np.float32).clip(0, 1)


def _groups(starts: np.ndarray, batch: int) -> list[np.ndarray]:
    return [starts[at : at + batch] for at in range(0, len(starts), batch)]


@pytest.mark.parametrize("seed", range(60))
def test_in_blocks_of_any_size_to_the_last_bit(seed: int) -> None:
    """A predictor whose bits depend on what else is in its batch, as those of a matrix product may."""
    rng = np.random.default_rng(seed)
    window = int(rng.integers(1, 900))
    look_ahead, batch = int(rng.integers(0, window + 1)), int(rng.integers(1, 20))
    rate = float(rng.choice([1, 23.976, 24, 29.97, 30, 50, 59.94, 60, 90, 333.3, 16_000]))
    audio = rng.random(int(rng.integers(1, 40_000 if rate < 1_000 else 300))).astype(np.float32)
    ensemble = bool(rng.integers(2))
    matrix = rng.random((window, 3)).astype(np.float32) / window

    def predict(windows: np.ndarray) -> np.ndarray:
        return np.asarray(windows @ matrix + len(windows) * 1e-3, np.float32)

    options = {"frame_rate": rate, "look_ahead": look_ahead, "ensemble": ensemble, "batch": batch}
    wanted = whole(audio, predict, window, rate, look_ahead, 267 if ensemble else 0, batch)
    assert curves.frames(audio, predict, window, **options).tobytes() == wanted.tobytes()
    cuts = np.sort(rng.integers(0, len(audio) + 1, int(rng.integers(0, 40))))  # some blocks are empty
    made = list(curves.stream(iter(np.split(audio, cuts)), predict, window, **options))
    assert np.concatenate(made).tobytes() == wanted.tobytes()
    assert {len(block) for block in made[:-1]} <= {batch}


def test_an_hour_in_blocks_takes_the_memory_of_a_minute() -> None:
    def peak(seconds: int) -> int:
        blocks = (np.zeros(16_000, np.float32) for _ in range(seconds))
        tracemalloc.start()
        try:
            count = sum(map(len, curves.stream(blocks, at(0), 8192, 5.0, ensemble=True)))
            assert count == 5 * seconds
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(3600) < peak(60) + 100_000  # its samples are 230 MB


def test_no_audio() -> None:
    with pytest.raises(UserError, match="no audio"):
        curves.frames(np.zeros(0, np.float32), at(0), 8192)


def test_plot_is_a_png_and_repeatable(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rng = np.random.default_rng(0)
    audio = rng.normal(0, 0.1, 16000).astype(np.float32)
    face = rng.random((50, 52)).astype(np.float32)
    phones = (Phone("p", 0.1, 0.2), Phone("a", 0.2, 0.5), Phone("_", 0.5, 1.0))
    for name in ("a.png", "b.png"):
        curves.plot(tmp_path / name, face, audio, phones=phones, title="pa")
    data = (tmp_path / "a.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert data == (tmp_path / "b.png").read_bytes()
    curves.plot(tmp_path / "bare.png", face, audio)
    assert (tmp_path / "bare.png").read_bytes() != data


def test_a_rig_without_a_mouth_is_drawn_all_the_same(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rng = np.random.default_rng(0)
    names = [f"face_{index}" for index in range(7)]
    face = (rng.normal(size=(30, 7)) * np.arange(7)).astype(np.float32)
    curves.plot(tmp_path / "a.png", face, np.zeros(16_000, np.float32), controls=names, frame_rate=30.0)
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    labels = [label for label, _, _ in curves._lines(face, names)]
    assert labels == ["face_6", "face_5", "face_4", "face_3", "face_2"]  # what moves most
