"""Curves as JSON, for scripts: what the numbers are, and then a row a frame.

    {"format": "phiz curves 1", "title": "…", "frame_rate": 50.0, "controls": ["jawOpen", …],
     "times": [0.000000, 0.020000, …], "frames": [[0.25, …], …]}

``times`` are in seconds; ``frames`` has a row for each of them and in it a number for each control. Nine digits tell
every float32 from its neighbours, so the numbers are those that were baked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FORMAT = "phiz curves 1"
_BEGINNING = b'{"format": "phiz curves '
_AT_ONCE = 1000  # times


def encode(
    blocks: Iterable[NDArray[np.float32]], frames: int, controls: Sequence[str], frame_rate: float, title: str
) -> Iterator[bytes]:
    """The file, piece by piece; arguments as of :data:`distill.animation.formats.Encode`."""
    facts = {"format": FORMAT, "title": title, "frame_rate": float(frame_rate), "controls": list(controls)}
    yield json.dumps(facts)[:-1].encode() + b',\n"times": ['
    for first in range(0, frames, _AT_ONCE):
        times = (f"{index / frame_rate:.6f}" for index in range(first, min(first + _AT_ONCE, frames)))
        yield (", " * (first > 0) + ", ".join(times)).encode()
    yield b'],\n"frames": ['
    row = "\n[" + ", ".join(["%.9g"] * len(controls)) + "]"
    between = ""
    for block in blocks:
        yield (between + ",".join(row % tuple(frame) for frame in block.tolist())).encode()
        between = ","
    yield b"\n]}\n"


def is_ours(path: Path) -> bool:
    """Whether a file begins as these do: much other JSON lies beside audio, notes with phone times for one."""
    try:
        with path.open("rb") as file:
            return file.read(len(_BEGINNING)) == _BEGINNING
    except OSError:
        return False
