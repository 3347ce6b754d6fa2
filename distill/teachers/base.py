"""What a teacher is: speech in, face curves out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from distill.espeak import Phone


@dataclass(frozen=True)
class Utterance:
    """What a teacher hears: mono float32 ``audio`` [time] at 16 kHz, and the phones in it where they are known."""

    audio: NDArray[np.float32]
    phones: tuple[Phone, ...] | None = None


class Teacher(Protocol):
    """Labels speech with face curves.

    Attributes:
        name: short, for folders and reports.
        version: changes whenever equal speech would get other curves; labels are cached by it.
        controls: names of the curves' last axis, in order.
    """

    name: str
    version: str
    controls: tuple[str, ...]

    def curves(self, utterance: Utterance) -> NDArray[np.float32]:
        """The face at times ``k / 50`` seconds: ``[frame_count(samples), controls]``, each in [0, 1].

        Raises:
            UserError: this teacher cannot label this utterance; the caller skips it and keeps the reason.
        """
        ...
