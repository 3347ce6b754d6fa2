"""The shapes of students, as a table. Importing this module does not import torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from compile.errors import UserError
from distill.audio import SAMPLE_RATE
from distill.controls import ARKIT

if TYPE_CHECKING:
    from distill.rigs import Rig

LONGEST_LOOK_AHEAD = 256  # milliseconds
MOST_CONTROLS = 2048


@dataclass(frozen=True)
class Architecture:
    """The shape of a student.

    Attributes:
        name: as in ``student.json`` and on the command line.
        channels: outputs of the strided convolutions; the last is the width of everything after them.
        look_ahead: samples of the window that lie after the frame's time.
        hidden: widths between the fully connected layers.
        span: frames that the first fully connected layer sees together.
        outputs: number of controls.
        kernels: of the strided convolutions, in samples of their own input.
        strides: of the same; their product is the hop.
        temporal: kernels of the convolutions over frames; odd ones carry a residual.
        front: what the first layer is: ``raw``, a convolution that learns; ``mel``, fixed log-mels.
        bounded: controls are in [0, 1]; what leaves that range is clipped.
    """

    name: str
    channels: tuple[int, ...]
    look_ahead: int = 4096
    hidden: tuple[int, ...] = (80,)
    span: int = 1
    outputs: int = len(ARKIT)
    kernels: tuple[int, ...] = (22, 10, 7, 4)
    strides: tuple[int, ...] = (10, 4, 4, 2)
    temporal: tuple[int, ...] = (5, 5, 5, 5, 5, 4)
    front: str = "raw"
    bounded: bool = True

    @property
    def hop(self) -> int:
        """Samples between two frames."""
        return math.prod(self.strides)

    @property
    def window(self) -> int:
        """Samples that one frame sees: the receptive field, exactly."""
        samples, step = 1, 1
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            samples += (kernel - 1) * step
            step *= stride
        return samples + (sum(kernel - 1 for kernel in self.temporal) + self.span - 1) * step

    @property
    def past(self) -> int:
        """Samples of the window that lie before the frame's time."""
        return self.window - self.look_ahead

    @property
    def width(self) -> int:
        """Features that the last layer reads."""
        return (self.channels[-1] * self.span, *self.hidden)[-1]

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return SAMPLE_RATE / self.hop

    @property
    def look_ahead_ms(self) -> float:
        """Milliseconds of the window after the frame's time."""
        return 1000 * self.look_ahead / SAMPLE_RATE


ARCHITECTURES: Mapping[str, Architecture] = {
    student.name: student
    for student in (
        Architecture("small", channels=(64, 128, 256, 288), hidden=(288,)),  # 3.1 M parameters
        Architecture("tiny", channels=(16, 32, 64, 80)),  # 0.24 M parameters
        Architecture("low-latency", channels=(64, 128, 256, 288), hidden=(288,), look_ahead=1024),
        Architecture("tiny-low-latency", channels=(16, 32, 64, 80), look_ahead=1024),
        # The same behind 40 log-mels of 16 ms, a hundred a second; no number of those makes 512 ms, 49 make 496.
        Architecture("small-mel", (40, 288), hidden=(288,), kernels=(256, 3), strides=(160, 2), front="mel"),
        Architecture("tiny-mel", (40, 80), kernels=(256, 3), strides=(160, 2), front="mel"),
        # 8 convolutions and 3 fully connected layers, 0.86 M parameters: what the compiler is measured by.
        Architecture("reference", (24, 48, 96, 128), hidden=(296, 128), span=12, temporal=(4, 4, 4, 4)),
    )
}


def architecture(name: str, look_ahead_ms: float | None = None) -> Architecture:
    """Look up an architecture by name, and give it another look-ahead: the window stays, its place in time moves.

    Args:
        name: of :data:`ARCHITECTURES`.
        look_ahead_ms: 0 to 256, a whole number of samples (1/16 ms). None: the architecture's own.

    Raises:
        UserError: there is none of that name, or no such look-ahead.
    """
    if name not in ARCHITECTURES:
        raise UserError(f"unknown architecture '{name}'", fix=f"choose one of: {', '.join(ARCHITECTURES)}")
    shape = ARCHITECTURES[name]
    if look_ahead_ms is None:
        return shape
    possible = 0 <= look_ahead_ms <= LONGEST_LOOK_AHEAD
    samples = look_ahead_ms * SAMPLE_RATE / 1000 if possible else 0.5
    if samples != round(samples):
        raise UserError(
            f"a student cannot look {look_ahead_ms} ms ahead",
            fix=f"choose 0 to {LONGEST_LOOK_AHEAD} ms in steps of {1000 / SAMPLE_RATE} ms",
        )
    return replace(shape, look_ahead=round(samples))


def fitted(shape: Architecture, rig: Rig) -> Architecture:
    """An architecture that drives ``rig``."""
    return replace(shape, outputs=len(rig.controls), bounded=rig.bounded)
