"""What the labels are like before training starts: mean and spread of every control, and the face at rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from distill.audio import HOP
from distill.training.sampler import PCM, Piece, Speaker, decode

if TYPE_CHECKING:
    from distill.rigs import Rig

PIECES = 4000  # at most so many are read, evenly over all speech: a day of it
STILL = 1e-4  # a control that deviates less does not move
QUIET_DB = -35.0  # of a hop, relative to the speech around it: nobody speaks
SETTLED = 6  # frames on both sides of a quiet one that are quiet, too, before the face in it counts as resting
LOOKED_AT = 24  # such frames of a piece


@dataclass(frozen=True)
class Survey:
    """Over everything that is drawn, each ``[controls]``.

    Attributes:
        mean: of the curves.
        deviation: of the same; 0 for a control that never moves.
        rest: the median in silence: the face while nobody speaks; 0 where no label is silent.
    """

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    rest: NDArray[np.float32]


def survey(speakers: Sequence[Speaker], chances: NDArray[np.float64], rig: Rig | None = None) -> Survey:
    """Read the pieces of ``speakers``, each counting as often as it is drawn; with a ``rig``, of its controls.

    Raises:
        UserError: a label file is missing or damaged.
    """
    controls = len(speakers[0].labels.controls if rig is None else rig.controls)
    every = -(-sum(len(speaker.entries) for speaker in speakers) // PIECES)
    total, first, second = 0.0, np.zeros(controls), np.zeros(controls)
    still: list[NDArray[np.float32]] = []
    for speaker, chance in zip(speakers, chances, strict=True):
        entries = speaker.entries[::every]
        weight = float(chance) / sum(entry.frames for entry in entries)
        for entry in entries:
            piece = decode(speaker.labels, entry)
            if rig is not None:
                piece = replace(piece, curves=rig.map(piece.curves))
            curves = piece.curves.astype(np.float64)
            total += weight * len(curves)
            first += weight * curves.sum(0)
            second += weight * np.square(curves).sum(0)
            still.append(_resting(piece))
    mean = first / total
    deviation = np.sqrt(np.maximum(second / total - mean**2, 0))
    silence = np.concatenate(still)
    rest = np.median(silence, axis=0) if len(silence) else np.zeros(controls)
    return Survey(
        mean.astype(np.float32),
        np.where(deviation > STILL, deviation, 0).astype(np.float32),
        rest.astype(np.float32),
    )


def _resting(piece: Piece) -> NDArray[np.float32]:
    """Some of the faces [frames, controls] that have been in silence for a while, and will be."""
    levels = np.sqrt(np.mean((piece.audio.reshape(-1, HOP) * PCM) ** 2, axis=1))
    loud = np.pad(levels > piece.level * 10 ** (QUIET_DB / 20), SETTLED, constant_values=True)
    around = np.lib.stride_tricks.sliding_window_view(loud, 2 * SETTLED + 1).any(1)
    quiet = np.flatnonzero(~around)
    return piece.curves[quiet[:: -(-len(quiet) // LOOKED_AT) or 1]]
