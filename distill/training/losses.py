"""What a student is punished for: distance, wrong speed, lips that should have closed, a face that should be still.

Curves are standardised, ``[batch, frames, controls]``, so that small controls count like large ones. Where frames
matter more, their errors of value and of speed weigh more, and nothing else changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

from compile.errors import UserError
from distill.controls import closure, has_lips

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from distill.students.architectures import Architecture

REST = 0.02  # deviations a frame: a control that moves less rests
AROUND = 2  # frames before and after that must rest too

Alignment = Literal["face", "heard"]
"""At which times a student's features are held against its guide's, see :func:`lead`."""


@dataclass(frozen=True)
class Weights:
    """How much each term counts.

    Attributes:
        velocity: of the error of frame differences; that of values has 1.
        closure: added to the weight 1 of frames in which the lips are fully closed.
        stability: added to the weight 1 of frames in which the target rests; there an error of value is an offset,
            and one of speed is motion.
        feature: of the distance to the guide's features.
        controls: weights of controls by pattern, ``{"mouth*": 2, "eye*": 0}``; the last that matches counts, others
            have 1.
    """

    velocity: float = 4.0
    closure: float = 2.0
    stability: float = 0.0
    feature: float = 0.0
    controls: Mapping[str, float] = field(default_factory=dict)


def loss(
    prediction: Tensor, target: Tensor, closed: Tensor, weights: Weights, importance: Tensor | None = None
) -> Tensor:
    """The sum of :func:`terms`, a scalar."""
    import torch

    return torch.stack([*terms(prediction, target, closed, weights, importance).values()]).sum()


def terms(
    prediction: Tensor, target: Tensor, closed: Tensor, weights: Weights, importance: Tensor | None = None
) -> dict[str, Tensor]:
    """Weighted mean squared errors of values and of frame differences, by name; all with their weights, scalars.

    ``value`` and ``velocity`` are over all frames. What closed lips add to both is ``closure``, what rest adds is
    ``stability``.

    Args:
        prediction: ``[batch, frames, controls]``, standardised.
        target: the same, from the teacher.
        closed: ``[batch, frames]`` in [0, 1], how far the teacher closes the lips; zeros where that is not known.
        weights: of the terms.
        importance: ``[controls]``, see :func:`importance_of`; None: all alike.
    """
    error = prediction - target
    value, speed = error.square(), (error[:, 1:] - error[:, :-1]).square()
    if importance is not None:
        value, speed = value * importance, speed * importance
    value, speed = value.mean(2), speed.mean(2)  # [batch, frames], [batch, frames - 1]
    found = {"value": value.mean(), "velocity": weights.velocity * speed.mean()}
    for name, weight, frames in (
        ("closure", weights.closure, closed),
        ("stability", weights.stability, resting(target) if weights.stability else closed),
    ):
        if weight:
            found[name] = weight * ((frames * value).mean() + weights.velocity * (frames[:, 1:] * speed).mean())
    return found


def closed_lips(curves: NDArray[np.float32], controls: Sequence[str]) -> Tensor:
    """How far ``curves`` [batch, frames, controls] close the lips: ``[batch, frames]`` in [0, 1].

    Zeros where the controls have no lips.
    """
    import torch

    if not has_lips(controls):
        return torch.zeros(curves.shape[:2])
    return torch.from_numpy(closure(curves, controls)).clamp(0, 1)


def resting(target: Tensor) -> Tensor:
    """1 where no control of ``target`` [batch, frames, controls] moves, nor just before or after; ``[batch, frames]``.

    A sequence of one frame does not rest: nobody knows.
    """
    import torch

    if target.shape[1] < 2:
        return target.new_zeros(target.shape[:2])
    motion = (target[:, 1:] - target[:, :-1]).abs().amax(2)  # between neighbours
    widest = torch.nn.functional.max_pool1d(motion[:, None], 2 * AROUND, stride=1, padding=AROUND)[:, 0]
    return (widest < REST).to(target.dtype)


def importance_of(controls: Sequence[str], patterns: Mapping[str, float], where: str = "controls") -> list[float]:
    """The weight of each control by the patterns of :class:`Weights`.

    Raises:
        UserError: a weight is negative or not finite, or a pattern matches no control; ``where`` names the recipe.
    """
    found = [1.0] * len(controls)
    for pattern, weight in patterns.items():
        if not 0 <= weight < float("inf"):
            raise UserError(f"the weight of '{pattern}' is {weight}", where=where, fix="give a number from 0")
        matches = [index for index, control in enumerate(controls) if fnmatchcase(control, pattern)]
        if not matches:
            raise UserError(f"no control is called like '{pattern}'", where=where, fix="mind capital letters")
        for index in matches:
            found[index] = float(weight)
    return found


def feature_loss(ours: Tensor, theirs: Tensor, projection: nn.Module, variance: Tensor | None = None) -> Tensor:
    """Mean squared distance of projected features to the guide's, over the guide's variance: 1 for its mean; a scalar.

    Args:
        ours: ``[batch, frames, width]`` of the student.
        theirs: ``[batch, frames, width]`` of the frozen guide, which gets no gradient.
        projection: from the former width to the latter (``network.Projection``).
        variance: of the guide's features, where these are a part of the batch; None: take it from these.
    """
    theirs = theirs.detach()
    if variance is None:
        variance = (theirs - theirs.mean((0, 1))).square().mean()
    distance: Tensor = (projection(ours) - theirs).square().mean() / variance.clamp(min=1e-8)
    return distance


def lead(student: Architecture, guide: Architecture, alignment: Alignment) -> int:
    """Samples by which the guide is to be asked about another time than the student (``Student.slice_of``).

    ``face``: both tell of the same time, and a guide that looks further ahead knows more. ``heard``: both have heard
    the same future, so the guide tells of an earlier time, and what is asked of the student is in its window.
    """
    return 0 if alignment == "face" else student.look_ahead - guide.look_ahead


def reach(student: Architecture, guide: Architecture | None = None, alignment: Alignment = "face") -> tuple[int, int]:
    """Samples (past, future) around its frames that a batch needs for a student and its guide (``speech.Span``)."""
    if guide is None:
        return student.past, student.look_ahead
    shift = lead(student, guide, alignment)
    return max(student.past, guide.past - shift), max(student.look_ahead, guide.look_ahead + shift)
