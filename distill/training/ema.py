"""The exponential moving average of a student's weights: calmer than the last ones.

Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

if TYPE_CHECKING:
    from distill.students.network import Student
    from distill.training.batches import Batch


class Average(AveragedModel):
    """Follows ``student``, quickly at first: the decay grows to its own as ``(1 + n) / (10 + n)`` (as TensorFlow's).

    Statistics of batch norms are averaged as weights are, which is near enough to look at a run; :meth:`settle` makes
    them right.
    """

    def __init__(self, student: Student, decay: float) -> None:
        def follow(averages: Sequence[Tensor], latest: Sequence[Tensor], count: Tensor | int) -> None:
            share = 1 - min(decay, (1 + int(count)) / (10 + int(count)))
            for average, tensor in zip(averages, latest, strict=True):
                if average.is_floating_point():
                    average.lerp_(tensor, share)
                else:
                    average.copy_(tensor)

        super().__init__(student, multi_avg_fn=follow, use_buffers=True)
        self._student = (student,)  # in a tuple: no part of the state

    @property
    def student(self) -> Student:
        """The student of averaged weights."""
        return cast("Student", self.module)

    def follow(self) -> None:
        """Take a step towards the student as it is."""
        self.update_parameters(self._student[0])

    def settle(self, batches: Iterable[Batch], heard: Callable[[Batch], Tensor]) -> None:
        """Take the statistics of batch norms anew: the average of statistics is not that of averaged weights.

        Args:
            batches: some, as in training.
            heard: the audio of a batch ``[batch, samples]`` that the student hears.
        """
        norms = [module for module in self.modules() if isinstance(module, nn.BatchNorm1d)]
        usual = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean over batches
        self.student.train()
        with torch.no_grad():
            for batch in batches:
                self.student.sequence(heard(batch))
        for norm, momentum in zip(norms, usual, strict=True):
            norm.momentum = momentum
