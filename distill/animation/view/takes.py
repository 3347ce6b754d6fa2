"""What a page shows: up to four faces, the sound that they speak to, and the phones in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError
from distill.audio import SAMPLE_RATE
from distill.corpus.espeak import Phone

MOST = 4  # faces of a page
LONGEST = 600.0  # seconds of a page; ten minutes are about 18 MB
_NOTHING = 1e-6  # seconds


@dataclass(frozen=True)
class Take:
    """The curves of one face.

    Attributes:
        name: what the page calls it.
        curves: float32 ``[frames, controls]``.
        controls: names of the last axis.
        frame_rate: frames a second.
        start: seconds of the first frame, on the page's clock.
    """

    name: str
    curves: NDArray[np.float32]
    controls: tuple[str, ...]
    frame_rate: float
    start: float = 0.0

    @property
    def times(self) -> NDArray[np.float64]:
        """Seconds of its frames, ``[frames]``."""
        return self.start + np.arange(len(self.curves)) / self.frame_rate

    @property
    def end(self) -> float:
        """Seconds at which its last frame is over."""
        return self.start + len(self.curves) / self.frame_rate

    def at(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """The curves at other times, linear between frames and held beyond the ends: ``[times, controls]``."""
        return np.stack([np.interp(times, self.times, column) for column in self.curves.T], axis=1)

    def between(self, begin: float, end: float) -> Take:
        """What lies in ``[begin, end)`` seconds, from which time counts on; the frame before keeps its first moment.

        Raises:
            UserError: no frame does.
        """
        first = max(int(np.searchsorted(self.times, begin + _NOTHING, side="right")) - 1, 0)
        last = int(np.searchsorted(self.times, end - _NOTHING, side="left"))
        if last <= first or self.end <= begin + _NOTHING:
            what = f"it has no frame from second {begin:g} on: it lasts from {self.start:g} to {self.end:g}"
            raise UserError(what, where=self.name, fix="choose other --from and --to")
        return Take(
            self.name, self.curves[first:last], self.controls, self.frame_rate, float(self.times[first]) - begin
        )


@dataclass(frozen=True)
class View:
    """A page's content.

    Attributes:
        title: the name of the file.
        takes: one to :data:`MOST`; differences are from the first.
        audio: int16 ``[samples]`` at 16 kHz, or None.
        phones: with times on the page's clock; empty where they are not known.
        ear: who heard the phones; empty where they are known exactly.
        begin: seconds of the page's first moment within the audio file; what is shown counts from there.
        text: what is said, where it is known.
    """

    title: str
    takes: tuple[Take, ...]
    audio: NDArray[np.int16] | None = None
    phones: Sequence[Phone] = ()
    ear: str = ""
    begin: float = 0.0
    text: str = ""

    @property
    def seconds(self) -> float:
        """How long the page plays."""
        heard = 0.0 if self.audio is None else len(self.audio) / SAMPLE_RATE
        return max(heard, *(take.end for take in self.takes))


def require_showable(view: View) -> None:
    """Make sure that a page can hold ``view``.

    Raises:
        UserError: it has no faces or too many, is too long, or has curves that are not finite.
    """
    if not 1 <= len(view.takes) <= MOST:
        raise UserError(f"a page shows 1 to {MOST} faces, not {len(view.takes)}", fix="leave some out")
    if view.seconds > LONGEST:
        what = f"{view.seconds:.0f} seconds are too long for a page, which holds {LONGEST:.0f}"
        raise UserError(what, fix="cut with --from and --to")
    for take in view.takes:
        if take.curves.ndim != 2 or take.curves.shape[1] != len(take.controls) or not take.curves.size:
            what = f"curves {list(take.curves.shape)} are none of {len(take.controls)} controls"
            raise UserError(what, where=take.name)
        if not np.isfinite(take.curves).all():
            frame, control = (int(index) for index in np.argwhere(~np.isfinite(take.curves))[0])
            raise UserError(f"frame {frame} of '{take.controls[control]}' is NaN or infinite", where=take.name)
