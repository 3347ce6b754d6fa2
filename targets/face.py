"""What a runtime must know to drive a face; it travels in every artefact as ``phiz.*`` metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from compile.errors import UserError

LONGEST = 600  # seconds of a window: what claims more is corrupt


@dataclass(frozen=True)
class Face:
    """What a runtime must know to drive a face with a student.

    Attributes:
        sample_rate: of the input waveform, Hz.
        frame_rate: output frames a second at the student's natural stride.
        window: input samples that one frame sees.
        look_ahead_ms: how much of the window lies after the frame's time, in milliseconds.
        controls: names of the outputs' last axis, in order.
        bounded: the controls are in [0, 1]; whoever drives a face clips what leaves it. Metadata say so where not.
    """

    sample_rate: int
    frame_rate: float
    window: int
    look_ahead_ms: float
    controls: tuple[str, ...]
    bounded: bool = True

    def to_metadata(self) -> dict[str, str]:
        """As the ``phiz.*`` strings that travel in every artefact."""
        facts = {
            "phiz.sample_rate": str(self.sample_rate),
            "phiz.frame_rate": repr(float(self.frame_rate)),
            "phiz.window": str(self.window),
            "phiz.look_ahead_ms": repr(float(self.look_ahead_ms)),
            "phiz.controls": json.dumps(self.controls, separators=(",", ":")),
        }
        return facts if self.bounded else facts | {"phiz.bounded": "false"}

    def _check(self) -> None:
        """Raise ValueError where it is none that could be driven."""
        if not all(self.controls) or len(set(self.controls)) != len(self.controls) or not self.controls:
            raise ValueError(f"{len(self.controls)} controls, which have no names of their own")
        if not 0 < self.frame_rate <= self.sample_rate:
            raise ValueError(f"{self.frame_rate:g} frames of {self.sample_rate} samples a second")
        if not 0 < self.window <= LONGEST * self.sample_rate:
            raise ValueError(f"a window of {self.window} samples")
        if not 0 <= self.look_ahead_ms * self.sample_rate <= 1000 * self.window:
            raise ValueError(f"a look-ahead of {self.look_ahead_ms:g} ms in a window of {self.window} samples")

    @staticmethod
    def from_metadata(metadata: Mapping[str, str], where: str) -> Face:
        """Read back :meth:`to_metadata`.

        Raises:
            UserError: an entry is missing or malformed; ``where`` names the artefact.
        """
        try:
            controls = json.loads(metadata["phiz.controls"])
            if not (isinstance(controls, list) and all(isinstance(name, str) for name in controls)):
                raise ValueError("controls is not a list of names")
            bounded = {"true": True, "false": False}[metadata.get("phiz.bounded", "true")]
            face = Face(
                sample_rate=int(metadata["phiz.sample_rate"]),
                frame_rate=float(metadata["phiz.frame_rate"]),
                window=int(metadata["phiz.window"]),
                look_ahead_ms=float(metadata["phiz.look_ahead_ms"]),
                controls=tuple(controls),
                bounded=bounded,
            )
            face._check()
        except (KeyError, ValueError) as error:
            raise UserError(
                f"not a speech-to-face model: its metadata lacks or garbles {error}",
                where=where,
                fix="compile it from a phiz student, or set the phiz.* metadata",
            ) from error
        return face
