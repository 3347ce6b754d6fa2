"""Ready-made curves: Live Link Face recordings (CSV) and arrays (NPZ), at any frame rate.

A Live Link Face CSV has a timecode ``hours:minutes:seconds:frame.fraction`` a row, on the clock of the recording
device, and nowhere says its frame rate: the numbers that frames reach before the second turns tell it. An NPZ has
``curves`` [frames, controls], ``frame_rate`` in Hz, and ``controls``, the names of the last axis.
"""

from __future__ import annotations

import csv
import re
from array import array
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError
from distill.arrays import open_npz
from distill.controls import ARKIT

LARGEST = 2 * 10**9  # bytes of a CSV; hours of it
RATES = (24, 25, 30, 48, 50, 60, 90, 100, 120, 240)  # what cameras do
DAY = 86_400
LONGEST_GAP = 0.5  # seconds between two frames that are still taken for neighbours
FAR_OUT = 1.0  # how far beyond [0, 1] a shape is still taken for one that a calibration has stretched
_TIMECODE = re.compile(r"(\d{1,3}):([0-5]?\d):([0-5]?\d)[:;.](\d{1,3}(?:\.\d+)?)")


@dataclass(frozen=True)
class Recording:
    """Curves float32 [frames, controls] at ``times`` [frames], in seconds from the first, in order."""

    times: NDArray[np.float64]
    curves: NDArray[np.float32]
    controls: tuple[str, ...]

    def at(self, times: NDArray[np.float64]) -> NDArray[np.float32]:
        """The curves at other times, linear between frames, held beyond the ends: ``[times, controls]``."""
        if not len(times):
            return np.zeros((0, len(self.controls)), np.float32)
        first, last = np.searchsorted(
            self.times, (times.min(), times.max())
        )  # a piece of an hour is not an hour's work
        near = slice(min(max(first - 1, 0), len(self.times) - 1), last + 1)
        columns = [np.interp(times, self.times[near], column) for column in self.curves[near].T]
        return np.stack(columns, axis=1).astype(np.float32)


def read(path: Path) -> Recording:
    """Read a ``.csv`` or an ``.npz``.

    Raises:
        UserError: it is missing, malformed, too large, or has a value that is no number; names the line of a CSV.
    """
    try:
        return _read_npz(path) if path.suffix.lower() == ".npz" else _read_csv(path)
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}", where=str(path)) from error


def _read_npz(path: Path) -> Recording:
    archive = open_npz(path)
    curves, names, rate = (archive.read(name) for name in ("curves", "controls", "frame_rate"))
    if curves.ndim != 2 or curves.dtype.kind not in "fiu" or not len(curves):
        raise UserError(f"'curves' is {curves.dtype} {list(curves.shape)}, not [frames, controls]", where=str(path))
    if rate.size != 1 or rate.dtype.kind not in "fiu" or not 1 <= float(rate.reshape(())) <= 1000:
        raise UserError("'frame_rate' is no number from 1 to 1000", where=str(path))
    controls = tuple(str(name) for name in names) if names.ndim == 1 and names.dtype.kind == "U" else ()
    if len(controls) != curves.shape[1] or len(set(controls)) != len(controls) or "" in controls:
        raise UserError(f"'controls' must be {curves.shape[1]} different names", where=str(path))
    with np.errstate(over="ignore"):
        curves = curves.astype(np.float32)
    if not np.isfinite(curves).all():
        frame = int(np.argmin(np.isfinite(curves).all(axis=1)))
        raise UserError(f"frame {frame} of 'curves' is NaN or infinite", where=str(path))
    if set(controls) <= set(ARKIT):
        if np.abs(curves - 0.5).max() > 0.5 + FAR_OUT:
            raise UserError(
                "a shape of ARKit's lies outside of 0 to 1", where=str(path), fix="give weights, not percent"
            )
        curves = np.clip(curves, 0, 1)
    return Recording(np.arange(len(curves)) / float(rate.reshape(())), curves, controls)


def _read_csv(path: Path) -> Recording:
    if not path.is_file():
        raise UserError("there is no such file", where=str(path))
    if path.stat().st_size > LARGEST:
        raise UserError(f"larger than {LARGEST:,} bytes", where=str(path), fix="divide it")
    marks: list[tuple[float, float]] = []
    values = array("f")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            names = [_plain(name) for name in next(rows, [])]
            columns = _columns(names, path)
            for row in rows:
                if row:
                    marks.append(_mark(row[columns[0]], path, rows.line_num))
                    values.extend(_values([row[column] for column in columns[1:]], path, rows.line_num))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"not a CSV: {error}", where=str(path)) from error
    except IndexError as error:
        raise UserError(f"line {rows.line_num} has fewer columns than the first", where=str(path)) from error
    if not marks:
        raise UserError("it has no frames", where=str(path))
    curves = np.array(values, np.float32).reshape(-1, len(ARKIT))
    return Recording(_times(marks, path), np.clip(curves, 0, 1), ARKIT)


def _plain(name: str) -> str:
    """``JawOpen``, ``jawOpen`` and ``blendShapes.JawOpen`` are one."""
    return name.strip().lower().removeprefix("blendshapes.")


def _columns(names: list[str], path: Path) -> list[int]:
    """Where the time and the 52 shapes are."""
    wanted = ["timecode", *(name.lower() for name in ARKIT)]
    missing = [name for name in ("Timecode", *ARKIT) if name.lower() not in names]
    if missing:
        raise UserError(f"not a Live Link Face recording: no column {missing[0]}", where=str(path))
    return [names.index(name) for name in wanted]


def _values(texts: list[str], path: Path, line: int) -> list[float]:
    try:
        values = [float(text) for text in texts]
    except ValueError as error:
        raise UserError(f"line {line} has a value that is no number", where=str(path)) from error
    if not all(-FAR_OUT <= value <= 1 + FAR_OUT for value in values):  # so NaN is none, either
        raise UserError(
            f"line {line} has a shape outside of 0 to 1", where=str(path), fix="export weights, not percent"
        )
    return values


def _mark(text: str, path: Path, line: int) -> tuple[float, float]:
    """A timecode as (seconds, frame); plain seconds, which other tools write, are taken as they are."""
    match = _TIMECODE.fullmatch(text.strip())
    try:
        hours, minutes, seconds, frame = (float(part) for part in match.groups()) if match else (0, 0, float(text), 0)
    except ValueError as error:
        raise UserError(f"line {line} has no timecode but '{text[:20]}'", where=str(path)) from error
    total = hours * 3600 + minutes * 60 + seconds
    if not 0 <= total < 1000 * 3600:
        raise UserError(f"line {line} has no timecode but '{text[:20]}'", where=str(path))
    return total, frame


def _times(marks: list[tuple[float, float]], path: Path) -> NDArray[np.float64]:
    """Seconds from the first frame."""
    seconds, frames = np.array(marks).T
    seconds[1:] += DAY * np.cumsum(np.diff(seconds) < -DAY / 2)  # past midnight
    if frames.any():
        if seconds[0] == seconds[-1]:
            raise UserError(
                "shorter than a second: its timecodes do not tell its frame rate",
                where=str(path),
                fix="give an .npz of curves, frame_rate and controls",
            )
        reached = int(np.floor(frames.max())) + 1
        seconds += frames / next((rate for rate in RATES if reached <= rate <= reached + 1), reached)
    times = seconds - seconds[0]
    steps = np.diff(times, append=times[-1])
    if steps.min() < 0:
        raise UserError(f"frame {int(np.argmin(steps)) + 2} is earlier than the one before", where=str(path))
    if steps.max() > LONGEST_GAP:
        at = int(np.argmax(steps))
        what = f"{steps[at]:.2f} seconds are missing after frame {at + 1}"
        raise UserError(what, where=str(path), fix="divide it there")
    return np.asarray(times)
