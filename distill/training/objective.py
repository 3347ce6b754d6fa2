"""What one step of training computes: from a batch of speech and curves to the terms of the loss.

Importing this module imports torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from distill.students.network import Projection
from distill.training import losses, parallel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from distill.rigs import Rig
    from distill.students.network import Student
    from distill.training.batches import Batch, Span
    from distill.training.parallel import World
    from distill.training.stage import Stage


class Objective(nn.Module):
    """A student, the projection of its features to its guide's, and the loss of both.

    Curves are standardised, so that small controls count like large ones, and a control that never moves counts
    nothing: it is learnt by its mean alone.
    """

    def __init__(
        self,
        student: Student,
        guide: Student | None,
        stage: Stage,
        rig: Rig,
        span: Span,
        spread: tuple[NDArray[np.float32], NDArray[np.float32]],
        world: World,
    ) -> None:
        """Take a student that speaks in standardised units, and what it is to learn.

        Args:
            student: to be trained.
            guide: finished; stays as it is. None: without.
            stage: the recipe.
            rig: of the student's controls, made of the labels'.
            span: of the batches.
            spread: mean and deviation ``[controls]`` of the rig's curves.
            world: the processes that train together.
        """
        super().__init__()
        weights = stage.recipe.weights
        self.student = student
        self.projection = Projection(student.architecture, guide.architecture) if guide is not None else None
        self.to(world.device)
        shift, deviation = (torch.from_numpy(values).to(world.device) for values in spread)
        self._columns = deviation.nonzero()[:, 0]
        self._shift, self._deviation = shift[self._columns], deviation[self._columns]
        importance = torch.tensor(losses.importance_of(rig.controls, weights.controls, f"stage '{stage.name}'"))
        self._importance = importance.to(world.device)[self._columns]
        self._guide = (guide.to(world.device).eval(),) if guide is not None else ()  # in a tuple: no part of the state
        self._lead = losses.lead(student.architecture, guide.architecture, stage.alignment) if guide is not None else 0
        self._weights, self._rig, self._span, self._world = weights, rig, span, world
        self._bfloat16 = is_bfloat16(stage.recipe.precision, world.device)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of the loss of this process's rows of a batch."""
        precision = torch.autocast(self._world.device.split(":")[0], torch.bfloat16, enabled=self._bfloat16)
        with precision:
            curves, features = self.student.features(self.heard(batch))
        terms = self._compare(curves.float()[:, :, self._columns], batch.curves)
        for guide in self._guide:
            assert self.projection is not None
            audio = torch.from_numpy(batch.audio).to(self._world.device)
            with torch.no_grad(), precision:
                theirs = guide.features(guide.slice_of(audio, self._span, self._lead))[1].float()
            variance = parallel.variance(theirs, self._world)
            distance = losses.feature_loss(features.float(), theirs, self.projection, variance)
            terms["feature"] = self._weights.feature * distance
        return terms

    def heard(self, batch: Batch) -> Tensor:
        """The audio ``[batch, samples]`` that the student hears of a batch."""
        return self.student.slice_of(torch.from_numpy(batch.audio).to(self._world.device), self._span)

    def distance(self, curves: Tensor, labels: NDArray[np.float32]) -> dict[str, Tensor]:
        """The terms that compare the rig's curves with labels, ``[batch, frames, controls]``, in their own units."""
        return self._compare(self._standardised(curves.to(self._world.device)), labels)

    def _compare(self, curves: Tensor, labels: NDArray[np.float32]) -> dict[str, Tensor]:
        device = self._world.device
        closed = losses.closed_lips(labels, self._rig.source).to(device)
        target = self._standardised(torch.from_numpy(self._rig.map(labels)).to(device))
        return losses.terms(curves, target, closed, self._weights, self._importance)

    def _standardised(self, curves: Tensor) -> Tensor:
        return (curves[:, :, self._columns] - self._shift) / self._deviation


def is_bfloat16(precision: str, device: str) -> bool:
    """Whether to compute in bfloat16: when asked to, or ``auto`` where the device is fast at it."""
    if precision != "auto":
        return precision == "bfloat16"
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device == "cpu" and _knows_bfloat16()


def _knows_bfloat16() -> bool:
    """Whether this machine's processor computes in it, as far as Linux tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(file.read().split())
    except OSError:
        return False
