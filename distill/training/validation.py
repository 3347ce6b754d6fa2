"""How training fares, on speech that it never hears: loss, R2, and whether lips close when the teacher's do.

Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from distill.audio import as_float
from distill.controls import has_lips
from distill.corpus.sources import HELD_OUT
from distill.evaluate.agreement import fit
from distill.evaluate.closures import match, middles
from distill.evaluate.face import CLOSURE, measured
from distill.students.folder import predict
from distill.students.network import destandardise

if TYPE_CHECKING:
    from distill.labels.cache import Labels
    from distill.rigs import Rig
    from distill.students.network import Student
    from distill.training.objective import Objective

Curves = NDArray[np.float32]
PIECES = 40  # of each labels folder, at most


class Watch:
    """Looks at a student in training, and changes nothing.

    - **loss**: as in training, without the guide's; a mean over frames.
    - **R2**: against the teacher, every control that moves counting alike (``evaluate.fit``).
    - **closure**: F1 of closures, the teacher's being the truth (``evaluate.closures``); not for controls without lips.
    """

    def __init__(
        self, labels: Sequence[Labels], objective: Objective, student: Student, spread: tuple[Curves, Curves], rig: Rig
    ) -> None:
        self._labels, self._objective, self._student, self._rig = labels, objective, student, rig
        self._shift, self._deviation = map(torch.from_numpy, spread)

    def __call__(self) -> dict[str, float]:
        """The figures by name; none where nothing is held out."""
        student = deepcopy(self._student).cpu().eval()
        destandardise(student, self._shift, self._deviation)
        ours: list[Curves] = []
        theirs: list[Curves] = []
        loss = 0.0
        for audio, labels in self._pieces():
            curves = predict(student, audio)
            terms = self._objective.distance(torch.from_numpy(curves)[None], labels[None])
            loss += len(curves) * sum(map(float, terms.values()))
            ours.append(curves)
            theirs.append(self._rig.map(labels))
        if not ours:
            return {}
        figures = {"loss": loss / sum(map(len, ours)), "R2": fit(ours, theirs)}
        if has_lips(self._rig.controls):
            figures["closure"] = agreement(ours, theirs, self._rig.controls)
        return figures

    def _pieces(self) -> Iterator[tuple[Curves, Curves]]:
        """Held-out audio [samples] and its labels, evenly over each folder."""
        for labels in self._labels:
            entries = labels.split(HELD_OUT)
            for entry in entries[:: -(-len(entries) // PIECES) or 1]:
                audio, curves = labels.arrays(entry)
                yield as_float(audio), curves


def agreement(ours: Sequence[Curves], theirs: Sequence[Curves], controls: Sequence[str]) -> float:
    """F1 of closures, the others' middles being the events; 1 where neither closes."""
    hits = total = 0
    for mine, yours in zip(ours, theirs, strict=True):
        truth = middles(measured(yours, controls, CLOSURE))
        found = match(middles(measured(mine, controls, CLOSURE)), [(middle, middle) for middle in truth])
        hits += found.hits
        total += found.events + found.closures
    return 2 * hits / total if total else 1.0
