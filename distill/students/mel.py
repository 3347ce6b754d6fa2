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
    """Waveform to the logarithm of the power in mel bands, normalised by running statistics (a batch norm).

    The transform is split once, as Cooley and Tukey do (1965): that of the even samples and that of the odd ones give
    by their sum a frequency, by their difference its mirror image at half the sample rate. So half the numbers do.
    """

    waves: Tensor
    mels: Tensor
    floor: Tensor

    def __init__(self, before: int, bands: int, kernel: int, stride: int) -> None:
        super().__init__()
        if before != 1:
            raise Bug(f"log-mels are of a waveform, not of {before} channels")
        if kernel % 4:
            raise Bug(f"a transform that is split once takes a multiple of 4 samples, not {kernel}")
        self.stride = stride
        # Not persistent: a formula needs no place in a file.
        self.register_buffer("waves", torch.from_numpy(waves(kernel)), persistent=False)
        self.register_buffer("mels", torch.from_numpy(mels(bands, kernel))[:, :, None], persistent=False)
        self.register_buffer("floor", torch.full((bands,), FLOOR), persistent=False)  # a bias, which costs no operator
        self.norm = nn.BatchNorm1d(bands)

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, 1, time]`` to ``[batch, bands, (time - kernel) // stride + 1]``."""
        with torch.autocast(x.device.type, enabled=False):  # eight bits of mantissa hold no spectrum
            cosines, sines = (self.squares(x.float(), even, odd) for even, odd in self.waves)
            levels = torch.log(nn.functional.conv1d(cosines + sines, self.mels, self.floor))
        normal: Tensor = self.norm(levels)
        return normal

    def squares(self, x: Tensor, even: Tensor, odd: Tensor) -> Tensor:
        """Of the answers to one kind of waves, in the order of ``mels``: ``[batch, kernel / 2, frames]``."""
        second = nn.functional.conv1d(x[:, :, 1:], odd[:, None], stride=self.stride, dilation=2)
        first = nn.functional.conv1d(x, even[:, None], stride=self.stride, dilation=2)[:, :, : second.shape[2]]
        parts = torch.cat((first + second, first - second), dim=1)
        return parts * parts


def waves(size: int) -> NDArray[np.float32]:
    """Cosines and sines of the frequencies 1 to ``size / 4``, in multiples of the lowest, under a Hann window.

    Returns:
        ``[2, 2, size / 4, size / 2]``: cosines and sines; at even and at odd samples; frequency; sample. What the
        squares of a frequency's cosine and sine make of white noise is on average ``SCALE**2`` times its variance.
    """
    time = np.arange(size)
    window = np.sin(np.pi * (time + 0.5) / size) ** 2
    angle = 2 * np.pi * np.outer(np.arange(1, size // 4 + 1), time) / size
    both = SCALE * np.stack((np.cos(angle), np.sin(angle))) * window / np.sqrt(np.sum(window**2))
    return np.ascontiguousarray(np.stack((both[:, :, ::2], both[:, :, 1::2]), axis=1), np.float32)


def mels(bands: int, size: int) -> NDArray[np.float32]:
    """Triangles even in mel, ``[bands, size / 2]``; a mean over each band.

    In the order of what the transform gives: frequencies 1 to ``size / 4``, then the mirror image of each. The middle
    is its own, and counts half each time; those at the ends, 0 and half the sample rate, are in no band.
    """
    edges = _hertz(np.linspace(_mel(LOWEST), _mel(SAMPLE_RATE / 2), bands + 2))
    lower = np.arange(1, size // 4 + 1)
    bins = np.concatenate((lower, size // 2 - lower))
    counts = np.where(bins == size // 4, 0.5, 1.0)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    hertz = bins * SAMPLE_RATE / size
    rows = counts * np.clip(np.minimum((hertz - low) / (middle - low), (high - hertz) / (high - middle)), 0, None)
    rows /= rows.sum(axis=1, keepdims=True)
    return np.asarray(rows, np.float32)


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))
