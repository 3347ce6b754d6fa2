"""Ready-made curves: Live Link Face recordings and other tables (CSV), arrays (NPZ) and JSON, at any frame rate.

A Live Link Face CSV has a timecode ``hours:minutes:seconds:frame.fraction`` a row, on the clock of the recording
device, and nowhere says its frame rate: the numbers that frames reach before the second turns tell it, and how evenly
they then follow each other. An NPZ has
``curves`` [frames, controls], ``frame_rate`` in Hz, and ``controls``, the names of the last axis. JSON has the same by
the names that ``distill/animation/json.py`` describes, and a table of any rig begins with a column of seconds.
"""

from __future__ import annotations

import csv
import json
import re
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError
from distill.arrays import open_npz
from distill.controls import ARKIT

LARGEST = 2 * 10**9  # bytes of a CSV; hours of it
LARGEST_JSON = 25 * 10**7  # bytes; while it is read it takes six times as much
RATES = (24, 25, 30, 48, 50, 60, 90, 100, 120, 240)  # what cameras do
DAY = 86_400
LONGEST_GAP = 0.5  # seconds between two frames that are still taken for neighbours, and
WIDEST = 1.5  # usual steps, where frames are few; these are
SLOWEST, FASTEST = 1, 1000  # frames a second
EVEN = 0.1  # of the usual step, by which steps differ that count as even
SLIP = 1e-3  # seconds by which times may lie beside those of their frame rate
MOST = 1e30  # of any control, well within float32
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
    """Read a ``.csv``, a ``.json`` or an ``.npz``.

    Raises:
        UserError: it is missing, malformed, too large, or has a value that is no number; names the line of a CSV.
    """
    try:
        if not path.is_file():
            raise UserError("there is no such file", where=str(path))
        return {".npz": _read_npz, ".json": _read_json}.get(path.suffix.lower(), _read_csv)(path)
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}", where=str(path)) from error


def _read_npz(path: Path) -> Recording:
    archive = open_npz(path)
    curves, names, rate = (archive.read(name) for name in ("curves", "controls", "frame_rate"))
    if rate.size != 1 or rate.dtype.kind not in "fiu":
        raise UserError("'frame_rate' is no number", where=str(path))
    controls = tuple(str(name) for name in names) if names.ndim == 1 and names.dtype.kind == "U" else ()
    return _steady(path, "curves", curves, controls, float(rate.reshape(())))


def _read_json(path: Path) -> Recording:
    _require_size(path, LARGEST_JSON, "give an .npz")
    try:
        facts: Any = json.loads(path.read_bytes(), parse_constant=_refuse)
        names, rate, rows = facts["controls"], float(facts["frame_rate"]), np.array(facts["frames"])
        controls = tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else ()
        recording = _steady(path, "frames", rows, controls, rate)
        given = np.array(facts.get("times", recording.times), np.float64)
    except (ValueError, KeyError, TypeError, OverflowError, AttributeError, RecursionError) as error:
        what = f"not curves in JSON: {error!r}"
        raise UserError(what, where=str(path), fix="give an object with controls, frame_rate and frames") from error
    if given.shape != recording.times.shape or not np.abs(given - given[0] - recording.times).max() < SLIP:
        raise UserError("'times' are not those of 'frame_rate'", where=str(path), fix="leave one of them")
    return recording


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _steady(path: Path, where: str, curves: NDArray[Any], controls: tuple[str, ...], rate: float) -> Recording:
    """Curves at one frame rate; ``where`` they are in the file."""
    if curves.ndim != 2 or curves.dtype.kind not in "fiu" or not len(curves):
        raise UserError(f"'{where}' is {curves.dtype} {list(curves.shape)}, not [frames, controls]", where=str(path))
    if not SLOWEST <= rate <= FASTEST:
        raise UserError(f"'frame_rate' is no number from {SLOWEST} to {FASTEST}", where=str(path))
    if len(controls) != curves.shape[1] or len(set(controls)) != len(controls) or "" in controls:
        raise UserError(f"'controls' must be {curves.shape[1]} different names", where=str(path))
    with np.errstate(over="ignore"):
        curves = curves.astype(np.float32)
    if not np.isfinite(curves).all():
        frame = int(np.argmin(np.isfinite(curves).all(axis=1)))
        raise UserError(f"frame {frame} of '{where}' is NaN or infinite", where=str(path))
    if set(controls) <= set(ARKIT):
        if np.abs(curves - 0.5).max() > 0.5 + FAR_OUT:
            raise UserError(
                "a shape of ARKit's lies outside of 0 to 1", where=str(path), fix="give weights, not percent"
            )
        curves = np.clip(curves, 0, 1)
    return Recording(np.arange(len(curves)) / rate, curves, controls)


def _require_size(path: Path, most: int, fix: str) -> None:
    if path.stat().st_size > most:
        raise UserError(f"larger than {most:,} bytes", where=str(path), fix=fix)


def _read_csv(path: Path) -> Recording:
    _require_size(path, LARGEST, "divide it")
    marks: list[tuple[float, float]] = []
    values = array("f")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            columns, controls = _layout(next(rows, []), path)
            bounded = set(controls) <= set(ARKIT)
            for row in rows:
                if row:
                    marks.append(_mark(row[columns[0]], path, rows.line_num))
                    values.extend(_values([row[column] for column in columns[1:]], bounded, path, rows.line_num))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"not a CSV: {error}", where=str(path)) from error
    except IndexError as error:
        raise UserError(f"line {rows.line_num} has fewer columns than the first", where=str(path)) from error
    if not marks:
        raise UserError("it has no frames", where=str(path))
    curves = np.array(values, np.float32).reshape(-1, len(controls))
    return Recording(_times(marks, path), np.clip(curves, 0, 1) if bounded else curves, controls)


def _plain(name: str) -> str:
    """``JawOpen``, ``jawOpen`` and ``blendShapes.JawOpen`` are one."""
    return name.strip().lower().removeprefix("blendshapes.")


def _layout(header: list[str], path: Path) -> tuple[list[int], tuple[str, ...]]:
    """Where the time and the controls are, and what these are called: ARKit's 52, or all that follow ``seconds``."""
    names = [_plain(name) for name in header]
    missing = [name for name in ("Timecode", *ARKIT) if name.lower() not in names]
    if not missing:
        return [names.index(name.lower()) for name in ("Timecode", *ARKIT)], ARKIT
    controls = tuple(name.strip() for name in header[1:])
    if names[:1] == ["seconds"] and controls:
        if len(set(controls)) != len(controls) or "" in controls:
            raise UserError("the columns after 'seconds' must have different names", where=str(path))
        return [*range(len(header))], controls
    fix = "or call the first column seconds, and the others by the names of their controls"
    raise UserError(f"not a Live Link Face recording: no column {missing[0]}", where=str(path), fix=fix)


def _values(texts: list[str], bounded: bool, path: Path, line: int) -> list[float]:
    try:
        values = [float(text) for text in texts]
    except ValueError as error:
        raise UserError(f"line {line} has a value that is no number", where=str(path)) from error
    if bounded and not all(-FAR_OUT <= value <= 1 + FAR_OUT for value in values):  # so NaN is none, either
        raise UserError(
            f"line {line} has a shape outside of 0 to 1", where=str(path), fix="export weights, not percent"
        )
    if not all(abs(value) <= MOST for value in values):
        raise UserError(f"line {line} has a value that is no number", where=str(path))
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
        seconds += frames / _rate(seconds, frames)
    times = seconds - seconds[0]
    steps = np.diff(times)
    if not len(steps):
        return np.asarray(times)
    if steps.min() < 0:
        raise UserError(f"frame {int(np.argmin(steps)) + 2} is earlier than the one before", where=str(path))
    if times[-1] == 0:
        raise UserError(f"time stands still: all of its {len(times)} frames have the same time", where=str(path))
    if len(steps) > FASTEST * times[-1] + 0.5:
        what = f"it has {len(steps) / times[-1]:,.0f} frames a second, and at most {FASTEST} are read"
        raise UserError(what, where=str(path), fix="give times in seconds")
    if steps.max() > max(LONGEST_GAP, WIDEST * min(float(np.median(steps)), 1 / SLOWEST)):
        at = int(np.argmax(steps))
        what = f"{steps[at]:.2f} seconds are missing after frame {at + 1}"
        raise UserError(what, where=str(path), fix="divide it there")
    return np.asarray(times)


def _rate(seconds: NDArray[np.float64], frames: NDArray[np.float64]) -> int:
    """How many frames the time codes count to: what they reach, or one more where the last was never seen.

    Of these the one that makes most steps even; of equal ones what cameras do.
    """
    reached = int(np.floor(frames.max())) + 1
    usual = next((rate for rate in RATES if reached <= rate <= reached + 1), reached)

    def even(rate: int) -> int:
        steps = np.diff(seconds + frames / rate)
        step = np.median(steps)
        return int((np.abs(steps - step) < EVEN * step).sum())

    return max((usual, reached, reached + 1), key=even)
