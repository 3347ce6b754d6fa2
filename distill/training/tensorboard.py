"""What TensorBoard shows: the terms of the loss, the learning rate, and how the held-out speech fares."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from compile.errors import MissingExtra, UserError

if TYPE_CHECKING:
    from distill.training.loop import Step

EVERY = 10  # steps


class Events:
    """Writes one run's events into a folder, as steps come; after a resumption, what was beyond it is hidden."""

    def __init__(self, folder: Path) -> None:
        """Look for the library; the file is opened at the first step.

        Raises:
            MissingExtra: tensorboardX is not installed.
        """
        try:
            from tensorboardX import SummaryWriter
        except ModuleNotFoundError as error:
            raise MissingExtra("writing events for TensorBoard", "tensorboard", "tensorboardX") from error
        self._open = SummaryWriter
        self._folder = folder
        self._writer: SummaryWriter | None = None

    def __call__(self, step: Step) -> None:
        """Note every tenth step, and each that looked at the held-out speech."""
        try:
            if self._writer is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._writer = self._open(str(self._folder), purge_step=step.done)
            if step.done % EVERY == 0 or step.done == step.total:
                self._note(step.done, {"loss/total": step.loss, "learning rate": step.rate})
                self._note(step.done, {f"loss/{name}": value for name, value in step.terms.items()})
            if step.judged == step.done:
                self._note(step.done, {f"held-out/{name}": value for name, value in step.held_out.items()})
        except OSError as error:
            raise UserError(f"cannot write events: {error.strerror}", where=str(self._folder)) from error

    def close(self) -> None:
        """Write what is still in memory."""
        if self._writer is not None:
            self._writer.close()

    def _note(self, step: int, values: dict[str, float]) -> None:
        assert self._writer is not None
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
