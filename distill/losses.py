"""What a student is punished for: distance, wrong speed, and lips that should have closed.

All terms are on standardised curves ``[batch, frames, controls]``, so that small controls count like large ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Weights:
    """How much each term counts; ``closure`` is added to the weight 1 of controls while the lips are fully closed."""

    velocity: float = 4.0
    closure: float = 2.0


def loss(prediction: Tensor, target: Tensor, closed: Tensor, weights: Weights) -> Tensor:
    """Mean squared error of values and of frame differences; a scalar.

    Args:
        prediction: ``[batch, frames, controls]``, standardised.
        target: the same, from the teacher.
        closed: ``[batch, frames]`` in [0, 1], how far the teacher closes the lips.
        weights: of the terms.
    """
    emphasis = (1 + weights.closure * closed)[:, :, None]
    error = prediction - target
    speed_error = error[:, 1:] - error[:, :-1]
    return (emphasis * error.square()).mean() + weights.velocity * (emphasis[:, 1:] * speed_error.square()).mean()
