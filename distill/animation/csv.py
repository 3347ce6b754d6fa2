"""Curves as a table of text: as Epic's Live Link Face records them, or of other rigs by the names of their controls.

A time code is ``hours:minutes:seconds:frame.fraction`` from 00:00:00:00.000 on, by the clock, as the app's are: frames
count up to the next whole rate, and where the rate is none (23.976, 29.97) the fraction says by how much a frame lies
beside its number. So a time code means the same time to whoever does not know the rate, which the file nowhere says.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import count

import numpy as np
from numpy.typing import NDArray

from distill.controls import ARKIT, LIVE_LINK_FACE, ROTATIONS

FINEST = 1000  # parts of a frame


def encode(
    blocks: Iterable[NDArray[np.float32]], frames: int, controls: Sequence[str], frame_rate: float, title: str
) -> Iterator[bytes]:
    """The file, piece by piece; arguments as of :data:`distill.animation.formats.Encode`.

    With all of ARKit's controls and no others, head and eyes are at rest and the columns in Live Link Face's order.
    """
    del frames, title  # there is no place for them
    if set(controls) == set(ARKIT):
        columns = [controls.index(name) for name in ARKIT]
        head, before, after = LIVE_LINK_FACE, f",{len(ARKIT) + len(ROTATIONS)},", ",0.000000" * len(ROTATIONS)
        times = _time_codes(frame_rate)
    else:
        columns = [*range(len(controls))]
        head, before, after = ("seconds", *controls), ",", ""
        times = _seconds(frame_rate)
    row = "%s" + before + ",".join(["%.6f"] * len(columns)) + after + "\n"
    yield _line(head)
    for block in blocks:
        yield "".join(row % (next(times), *frame) for frame in block[:, columns].tolist()).encode()


def _line(names: Sequence[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(names)
    return line.getvalue().encode()


def _time_codes(frame_rate: float) -> Iterator[str]:
    above, below = frame_rate.as_integer_ratio()  # a sum of floats would drift
    whole = math.ceil(frame_rate)
    for index in count():
        parts = (2 * index * whole * FINEST * below + above) // (2 * above)  # the nearest
        seconds, rest = divmod(parts, whole * FINEST)
        frame, part = divmod(rest, FINEST)
        yield f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{frame:02d}.{part:03d}"


def _seconds(frame_rate: float) -> Iterator[str]:
    return (f"{index / frame_rate:.6f}" for index in count())
