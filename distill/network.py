"""The student network: raw waveform → 1-D convolutions → fully connected → face controls.

The only module of the package that imports torch at its top; ``distill.students.build`` imports it when needed.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from distill.students import Architecture


class Student(nn.Module):
    """One network, two forms over the same weights: a window a frame, or a whole sequence at once.

    Every convolution is *valid* (no padding) and the strides multiply to the hop, so that frame ``k`` of a sequence
    is exactly the window that starts at sample ``k * hop``, and a stream could compute each hop once.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        widths = (1, *architecture.channels)
        width = widths[-1]
        self.front = nn.ModuleList(
            Convolution(before, after, kernel, stride)
            for before, after, kernel, stride in zip(
                widths, widths[1:], architecture.kernels, architecture.strides, strict=False
            )
        )
        self.trunk = nn.ModuleList(Temporal(width, kernel) for kernel in architecture.temporal)
        flat = (width * architecture.span, *architecture.hidden)
        self.hidden = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(flat))
        self.head = nn.Linear(flat[-1], architecture.outputs)

    def forward(self, window: Tensor) -> Tensor:
        """Map windows ``[batch, window]`` to controls ``[batch, outputs]``; the form that is exported."""
        return self._controls(torch.flatten(self._features(window), 1))

    def sequence(self, audio: Tensor) -> Tensor:
        """Map ``[batch, samples]`` to ``[batch, frames, outputs]``, ``frames = (samples - window) // hop + 1``."""
        spans = self._features(audio).unfold(2, self.architecture.span, 1)  # [batch, width, frames, span]
        return self._controls(spans.transpose(1, 2).flatten(2))

    def _features(self, audio: Tensor) -> Tensor:
        x = audio.unsqueeze(1)  # [batch, 1, samples]
        for layer in (*self.front, *self.trunk):
            x = layer(x)
        return x  # [batch, width, frames]

    def _controls(self, x: Tensor) -> Tensor:
        for layer in self.hidden:
            x = torch.relu(layer(x))
        controls: Tensor = self.head(x)
        return controls


class Convolution(nn.Module):
    """Strided convolution, batch norm, ReLU: what the first layers learn in place of a spectrogram."""

    def __init__(self, before: int, after: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(before, after, kernel, stride, bias=False)
        self.norm = nn.BatchNorm1d(after)

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, before, time]`` to ``[batch, after, (time - kernel) // stride + 1]``."""
        return torch.relu(self.norm(self.convolution(x)))


class Temporal(nn.Module):
    """Convolution over frames with a residual cropped to its valid part (symmetric kernels only)."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.crop = kernel // 2 if kernel % 2 else 0
        self.convolution = nn.Conv1d(width, width, kernel, bias=False)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, width, time]`` to ``[batch, width, time - kernel + 1]``."""
        y = self.norm(self.convolution(x))
        if self.crop:
            y = y + x[:, :, self.crop : -self.crop]
        return torch.relu(y)


@torch.no_grad()
def destandardise(student: Student, mean: Tensor, deviation: Tensor) -> None:
    """Fold ``y * deviation + mean`` (both ``[outputs]``) into the last layer, in place.

    The network then speaks in the controls' own units and its graph has no operator for it.
    """
    student.head.weight.mul_(deviation[:, None])
    student.head.bias.mul_(deviation).add_(mean)
