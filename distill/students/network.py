"""The student network: raw waveform → 1-D convolutions → fully connected → face controls.

This module imports torch at its top; ``distill.students.folder.build`` imports it when needed.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from compile.errors import Bug
from distill.students.architectures import Architecture, fitted
from distill.students.mel import LogMel

if TYPE_CHECKING:
    from distill.rigs import Rig
    from distill.training.batches import Span


class Student(nn.Module):
    """One network, two forms over the same weights: a window a frame, or a whole sequence at once.

    Every convolution is *valid* (no padding) and the strides multiply to the hop, so that frame ``k`` of a sequence
    is exactly the window that starts at sample ``k * hop``, and a stream could compute each hop once.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        first = LogMel if architecture.front == "mel" else Convolution
        widths = (1, *architecture.channels)
        width = widths[-1]
        self.front = nn.ModuleList(
            (Convolution if index else first)(before, after, kernel, stride)
            for index, (before, after, kernel, stride) in enumerate(
                zip(widths, widths[1:], architecture.kernels, architecture.strides, strict=False)
            )
        )
        self.trunk = nn.ModuleList(Temporal(width, kernel) for kernel in architecture.temporal)
        flat = (width * architecture.span, *architecture.hidden)
        self.hidden = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(flat))
        self.head = nn.Linear(flat[-1], architecture.outputs)

    def sequence(self, audio: Tensor) -> Tensor:
        """Map ``[batch, samples]`` to ``[batch, frames, outputs]``, ``frames = (samples - window) // hop + 1``."""
        return self.features(audio)[0]

    def features(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`sequence`, and what the last layer reads: ``[batch, frames, width]``, for the feature loss."""
        spans = self._frames(audio).unfold(2, self.architecture.span, 1)  # [batch, width, frames, span]
        features = self._hidden(spans.transpose(1, 2).flatten(2))
        return self.head(features), features

    def slice_of(self, audio: Tensor, span: Span, shift: int = 0) -> Tensor:
        """This student's part of a batch that was cut for several networks.

        Args:
            audio: ``[batch, span.past + (span.frames - 1) * hop + span.future]``.
            span: how the batch was cut.
            shift: samples by which this student is to be asked about another time, negative for earlier ones; see
                ``losses.lead``.

        Returns:
            ``[batch, past + (span.frames - 1) * hop + look_ahead]``: what :meth:`sequence` makes ``span.frames`` of.
        """
        shape = self.architecture
        first = span.past - shape.past + shift
        last = span.past + (span.frames - 1) * shape.hop + shape.look_ahead + shift
        if first < 0 or last > audio.shape[-1]:
            raise Bug(f"a batch of {audio.shape[-1]} samples lacks those from {first} to {last}")
        return audio[..., first:last]

    def forward(self, window: Tensor) -> Tensor:
        """Map windows ``[batch, window]`` to controls ``[batch, outputs]``; the form that is exported."""
        controls: Tensor = self.head(self._hidden(torch.flatten(self._frames(window), 1)))
        return controls

    def _frames(self, audio: Tensor) -> Tensor:
        x = audio.unsqueeze(1)  # [batch, 1, samples]
        for layer in (*self.front, *self.trunk):
            x = layer(x)
        return x  # [batch, width, frames]

    def _hidden(self, x: Tensor) -> Tensor:
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return x


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


@torch.no_grad()
def standardise(student: Student, mean: Tensor, deviation: Tensor) -> None:
    """Undo :func:`destandardise` in place, so that a trained student can be trained on; where nothing moves, say 0."""
    moving = deviation > 0
    scale = torch.where(moving, 1 / torch.where(moving, deviation, 1), 0)
    student.head.weight.mul_(scale[:, None])
    student.head.bias.sub_(mean).mul_(scale)


class Projection(nn.Linear):
    """From a student's features to its guide's, for ``losses.feature_loss``; learnt beside the student, never saved."""

    def __init__(self, student: Architecture, guide: Architecture) -> None:
        super().__init__(student.width, guide.width)


@torch.no_grad()
def drive(student: Student, rig: Rig) -> Student:
    """A trained student of the rig's source controls as one of the rig's own: the map is folded into its last layer.

    Args:
        student: speaks in its controls' own units, in the order of ``rig.source``.
        rig: what is to be driven.
    """
    driven = Student(fitted(student.architecture, rig))
    matrix, offset = torch.from_numpy(rig.matrix), torch.from_numpy(rig.offset)
    state = student.state_dict()
    head = {
        "head.weight": matrix @ state["head.weight"],
        "head.bias": matrix @ state["head.bias"] + offset,
    }
    driven.load_state_dict(state | head)
    return driven.train(student.training)
