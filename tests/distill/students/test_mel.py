"""Log-mels as layers: against numpy's FFT, and against bands drawn by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from compile.errors import Bug

torch = pytest.importorskip("torch")

from distill.students import mel  # noqa: E402 (needs torch)


def fresh() -> mel.LogMel:
    return mel.LogMel(1, 40, 256, 160).eval()  # its norm does nothing yet


@pytest.mark.parametrize("samples", [256, 415, 416, 8191, 8192])
def test_it_is_the_logarithm_of_the_power_spectrum_in_bands(samples: int) -> None:
    """For any number of samples, also where one more would make the even ones enough for another frame."""
    audio = np.random.default_rng(0).normal(0, 0.1, samples).astype(np.float32)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(256) + 0.5) / 256)
    frames = np.lib.stride_tricks.sliding_window_view(audio, 256)[::160] * window
    power = np.abs(np.fft.rfft(frames)) ** 2 / np.sum(window**2)  # of white noise: its variance
    edges = np.linspace(2595 * np.log10(1 + 60 / 700), 2595 * np.log10(1 + 8000 / 700), 42)
    hertz = 700 * (10 ** (edges / 2595) - 1)
    bins = np.arange(129) * 62.5
    levels = []
    for low, middle, high in zip(hertz, hertz[1:], hertz[2:], strict=False):
        triangle = np.interp(bins, [low, middle, high], [0, 1, 0])
        levels.append(np.log(256 * power @ triangle / triangle.sum() + 2.0**-12))
    with torch.no_grad():
        ours = fresh()(torch.from_numpy(audio[None, None]))[0].numpy()
    np.testing.assert_allclose(ours, np.stack(levels), atol=2e-3)  # float32 sums of 256; batch norm's epsilon


@pytest.mark.parametrize("shape", [np.sin, lambda angle: np.sign(np.sin(angle))], ids=["sine", "square"])
@pytest.mark.parametrize("hertz", [62.5, 1000, 4000, 7937.5])
def test_powers_fit_float16(hertz: float, shape: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> None:
    """At full scale, of tones in the middle of a frequency; and of digital silence."""
    time = np.arange(8192) / 16_000
    loud = torch.from_numpy(shape(2 * np.pi * hertz * time + 0.1).astype(np.float32))[None, None]
    layer = fresh()
    with torch.no_grad():
        cosines, sines = (layer.squares(loud, even, odd) for even, odd in layer.waves)
        silence = layer(torch.zeros(1, 1, 8192))
    assert float((cosines + sines).max()) < 65_504 / 1.5  # the largest, with the room that Core ML's precision wants
    assert mel.FLOOR > 2.0**-14  # the smallest normal one
    torch.testing.assert_close(silence, torch.full_like(silence, float(np.log(2.0**-12))), rtol=1e-4, atol=0)


def test_a_transform_is_split_into_halves_that_are_even() -> None:
    with pytest.raises(Bug, match="multiple of 4"):
        mel.LogMel(1, 40, 402, 160)


def test_it_computes_in_float32_whatever_the_rest_does() -> None:
    audio = 0.1 * torch.randn(1, 1, 8192)
    layer = fresh()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        half = layer(audio)
    with torch.no_grad():
        torch.testing.assert_close(half.float(), layer(audio), rtol=1e-5, atol=1e-4)


def test_only_a_waveform_has_mels() -> None:
    with pytest.raises(Bug, match="not of 3 channels"):
        mel.LogMel(3, 40, 256, 160)
