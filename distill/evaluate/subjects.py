"""Who is judged: anything that maps audio to curves; and the floors, which any student must be above."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError
from distill.audio import frame_count
from distill.evaluate.face import CLOSURE, has

Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Mono float32 audio [time] at 16 kHz to curves ``[frames, controls]`` at 50 Hz."""


@dataclass(frozen=True)
class Subject:
    """A predictor, what reports call it, and its controls in its own order."""

    name: str
    controls: tuple[str, ...]
    predict: Predict

    def curves(self, audio: NDArray[np.float32], controls: Sequence[str], where: str) -> NDArray[np.float32]:
        """What it says about ``audio``: ``[frame_count(samples), controls]`` in the order of ``controls``.

        Raises:
            UserError: it moves another face, or gave another shape, NaN or infinity; ``where`` names the audio.
        """
        order = self._order(tuple(controls))
        found = self.predict(audio)
        due = (frame_count(len(audio)), len(self.controls))
        if found.shape != due:
            raise UserError(f"{self.name} gave {list(found.shape)} where {list(due)} was due", where=where)
        if not np.isfinite(found).all():
            raise UserError(f"{self.name} gave curves that are NaN or infinite", where=where, fix="train it again")
        return found if order is None else found[:, order]

    def _order(self, controls: tuple[str, ...]) -> list[int] | None:
        if controls == self.controls:
            return None
        lacks = [name for name in controls if name not in self.controls]
        more = [name for name in self.controls if name not in controls]
        if lacks or more:
            what = f"it has no control '{lacks[0]}'" if lacks else f"its teacher has no control '{more[0]}'"
            raise UserError(
                f"it moves another face than these labels: {what}",
                where=self.name,
                fix="evaluate it on labels of its own rig, or name the rig with --rig",
            )
        return [self.controls.index(name) for name in controls]


def floors(mean: NDArray[np.float32], controls: Sequence[str]) -> list[Subject]:
    """Faces that never move: the teacher's mean ``[controls]``, and the same with closed lips, where there are lips."""
    names = tuple(controls)
    found = [Subject("always mean", names, _still(mean))]
    if has(controls, CLOSURE):
        closed = mean.copy()
        closed[[names.index(name) for name in CLOSURE]] = 1.0
        found.append(Subject("always closed", names, _still(closed)))
    return found


def _still(face: NDArray[np.float32]) -> Predict:
    return lambda audio: np.repeat(face[None], frame_count(len(audio)), axis=0)
