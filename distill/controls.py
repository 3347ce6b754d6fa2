"""The 52 face controls, and the CSV that artists exchange them in.

The names are ARKit's blendshapes, each in [0, 1]. Their order is the one of Epic's Live Link Face app, whose
recordings are the studios' common currency: left eye, right eye, jaw, mouth, brows, cheeks, nose, tongue.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError
from compile.files import write_atomically

ARKIT: tuple[str, ...] = (
    "eyeBlinkLeft",
    "eyeLookDownLeft",
    "eyeLookInLeft",
    "eyeLookOutLeft",
    "eyeLookUpLeft",
    "eyeSquintLeft",
    "eyeWideLeft",
    "eyeBlinkRight",
    "eyeLookDownRight",
    "eyeLookInRight",
    "eyeLookOutRight",
    "eyeLookUpRight",
    "eyeSquintRight",
    "eyeWideRight",
    "jawForward",
    "jawRight",
    "jawLeft",
    "jawOpen",
    "mouthClose",
    "mouthFunnel",
    "mouthPucker",
    "mouthRight",
    "mouthLeft",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthDimpleLeft",
    "mouthDimpleRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthShrugLower",
    "mouthShrugUpper",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "browDownLeft",
    "browDownRight",
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "cheekPuff",
    "cheekSquintLeft",
    "cheekSquintRight",
    "noseSneerLeft",
    "noseSneerRight",
    "tongueOut",
)


# Live Link Face's columns: a time, how many values follow, the shapes with a capital, and nine rotations in radians.
ROTATIONS = tuple(f"{part}{axis}" for part in ("Head", "LeftEye", "RightEye") for axis in ("Yaw", "Pitch", "Roll"))
LIVE_LINK_FACE = ("Timecode", "BlendShapeCount", *(name[0].upper() + name[1:] for name in ARKIT), *ROTATIONS)


LIPS = ("mouthClose", "mouthPressLeft", "mouthPressRight")


def has_lips(controls: Sequence[str]) -> bool:
    """Whether :func:`closure` can be measured with these controls."""
    return set(LIPS) <= set(controls)


def closure(curves: NDArray[np.float32], controls: Sequence[str] = ARKIT) -> NDArray[np.float32]:
    """How far lips close: ``mouthClose`` plus the mean of ``mouthPress``, [...] for ``curves`` [..., controls]."""
    close, left, right = (controls.index(name) for name in LIPS)
    return np.asarray(curves[..., close] + (curves[..., left] + curves[..., right]) / 2, np.float32)


def write_csv(path: Path, curves: NDArray[np.float32], frame_rate: float = 50.0) -> None:
    """Write ``curves`` [frames, 52] in the layout of Live Link Face: head and eyes at rest, times from 00:00:00:00.

    A time is ``hours:minutes:seconds:frame.fraction``; the frame counts at ``frame_rate``, rounded to a whole number.

    Raises:
        UserError: the curves have another shape or are not finite, or the file cannot be written.
    """
    if curves.ndim != 2 or curves.shape[1] != len(ARKIT) or not np.isfinite(curves).all():
        raise UserError(f"a face needs finite curves [frames, {len(ARKIT)}], not {list(curves.shape)}", where=str(path))
    rate = max(1, round(frame_rate))
    count = str(len(ARKIT) + len(ROTATIONS))
    rest = ["0.000000"] * len(ROTATIONS)
    buffer = io.StringIO()
    rows = csv.writer(buffer, lineterminator="\n")
    rows.writerow(LIVE_LINK_FACE)
    for index, frame in enumerate(curves):
        seconds, part = divmod(index, rate)
        time = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{part:02d}.000"
        rows.writerow([time, count, *(f"{value:.6f}" for value in frame), *rest])
    write_atomically(path, buffer.getvalue().encode())


def write_table(path: Path, curves: NDArray[np.float32], controls: Sequence[str], frame_rate: float = 50.0) -> None:
    """Write ``curves`` [frames, controls] of any rig: a column of seconds, then one for each control by its name.

    Raises:
        UserError: the curves have another shape or are not finite, or the file cannot be written.
    """
    if curves.ndim != 2 or curves.shape[1] != len(controls) or not np.isfinite(curves).all():
        raise UserError(
            f"a face needs finite curves [frames, {len(controls)}], not {list(curves.shape)}", where=str(path)
        )
    buffer = io.StringIO()
    rows = csv.writer(buffer, lineterminator="\n")
    rows.writerow(("seconds", *controls))
    rows.writerows(
        [f"{index / frame_rate:.6f}", *(f"{value:.6f}" for value in frame)] for index, frame in enumerate(curves)
    )
    write_atomically(path, buffer.getvalue().encode())


def read_csv(path: Path) -> NDArray[np.float32]:
    """Read the shapes of a Live Link Face recording: ``[frames, 52]`` in :data:`ARKIT` order, whatever the file's.

    Raises:
        UserError: it cannot be read, lacks a column, or has a value that is no number; names the line.
    """
    try:
        table = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"cannot be read: {error}", where=str(path)) from error
    names = [name.strip().lower() for name in table[0]] if table else []
    missing = [name for name in ARKIT if name.lower() not in names]
    if missing:
        raise UserError(f"not a Live Link Face recording: no column {missing[0]}", where=str(path))
    columns = [names.index(name.lower()) for name in ARKIT]
    curves = np.empty((len(table) - 1, len(ARKIT)), np.float32)
    for index, row in enumerate(table[1:]):
        try:
            curves[index] = [float(row[column]) for column in columns]
        except (ValueError, IndexError) as error:
            raise UserError(f"line {index + 2} is not {len(table[0])} numbers", where=str(path)) from error
    return curves
