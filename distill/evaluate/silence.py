"""Whether the face rests where nobody speaks.

Four seconds each of digital silence, of a quiet room's noise and of the hum of the mains are heard; the ends, where the
sound begins and stops, are left out. **Motion** is the root mean square speed of the whole face
(``sqrt(mean over frames of the sum over controls of dx^2)``), relative to the teacher's over the evaluated speech: 0 is
still, 1 moves as much as in speech.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from distill.evaluate.agreement import teacher_speed
from distill.evaluate.face import Array
from distill.evaluate.phones import FRAME_RATE
from distill.evaluate.sounds import silences
from distill.evaluate.subjects import Subject

SETTLE = round(0.6 * FRAME_RATE)  # frames


def in_silence(subject: Subject, controls: Sequence[str], agreement_sums: Array) -> dict[str, float | None]:
    """Motion by ``silence.KIND``; None where the teacher never moves.

    Args:
        subject: to be judged.
        controls: of the labels.
        agreement_sums: of the evaluated speech, see :class:`distill.evaluate.agreement.Agreement`.
    """
    speed = teacher_speed(agreement_sums, len(controls))
    found: dict[str, float | None] = {}
    for kind, audio in silences().items():
        steps = np.diff(subject.curves(audio, controls, f"{kind} silence")[SETTLE:-SETTLE].astype(np.float64), axis=0)
        found[f"silence.{kind}"] = float(np.sqrt(np.mean((steps**2).sum(axis=1)))) / speed if speed else None
    return found
