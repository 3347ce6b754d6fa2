"""Log-mels as network layers that do not learn: what a waveform student is compared with.

The discrete Fourier transform is a convolution, the mel bands a product with the squares of what it gives, so the
front exports, streams and compiles like the rest. Source of the scale: O'Shaughnessy 1987, ``2595 log10(1 + f / 700)``.
Like ``network``, this module imports torch at its top and is imported when needed.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from compile.errors import Bug
from distill.audio import SAMPLE_RATE

LOWEST = 60.0  # Hz
SCALE = 16.0  # of the waves; so that the power of a loud tone and of near silence are both float16 numbers
FLOOR = 2.0**-12  # added to a band's power; that is -60 dB of white noise at full scale


class LogMel(nn.Module):
    """Waveform to the logarithm of the power in mel bands, normalised by running statistics (a batch norm)."""

    waves: Tensor
    mels: Tensor

    def __init__(self, before: int, bands: int, kernel: int, stride: int) -> None:
        super().__init__()
        if before != 1:
            raise Bug(f"log-mels are of a waveform, not of {before} channels")
        self.stride = stride
        # Not persistent: a formula needs no place in a file.
        self.register_buffer("waves", torch.from_numpy(waves(kernel))[:, None], persistent=False)
        self.register_buffer("mels", torch.from_numpy(mels(bands, kernel))[:, :, None], persistent=False)
        self.norm = nn.BatchNorm1d(bands)

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, 1, time]`` to ``[batch, bands, (time - kernel) // stride + 1]``."""
        with torch.autocast(x.device.type, enabled=False):  # eight bits of mantissa hold no spectrum
            parts = nn.functional.conv1d(x.float(), self.waves, stride=self.stride)
            power = nn.functional.conv1d(parts * parts, self.mels)
            levels = torch.log(power + FLOOR)
        normal: Tensor = self.norm(levels)
        return normal


def waves(size: int) -> NDArray[np.float32]:
    """Cosines, then sines, of the whole frequencies up to half of ``size``, under a Hann window: ``[2 bins, size]``.

    The squares of a frequency's two answers to white noise sum to ``SCALE**2`` times its variance on average.
    """
    time = np.arange(size)
    window = np.sin(np.pi * (time + 0.5) / size) ** 2
    angle = 2 * np.pi * np.outer(np.arange(size // 2 + 1), time) / size
    both = np.concatenate((np.cos(angle), np.sin(angle))) * window
    return np.asarray(SCALE * both / np.sqrt(np.sum(window**2)), np.float32)


def mels(bands: int, size: int) -> NDArray[np.float32]:
    """Triangles even in mel, for the squares of cosines, then of sines: ``[bands, 2 bins]``; a mean over each band."""
    edges = _hertz(np.linspace(_mel(LOWEST), _mel(SAMPLE_RATE / 2), bands + 2))
    bins = np.arange(size // 2 + 1) * SAMPLE_RATE / size
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rows = np.clip(np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)), 0, None)
    rows /= rows.sum(axis=1, keepdims=True)
    return np.asarray(np.tile(rows, 2), np.float32)


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))
