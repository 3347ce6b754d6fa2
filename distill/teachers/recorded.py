"""The teacher ``curves``: labels that are there already, captured by a camera or made by another tool.

The curves of ``take.wav`` are ``take.csv`` (Live Link Face), ``take.npz`` or ``take.json`` (as `phiz bake` writes it),
beside the audio or anywhere in a folder of their own. Both begin at the same moment; ``--offset`` puts right what does
not.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError
from distill import recordings
from distill.animation import json
from distill.audio import HOP, SAMPLE_RATE, frame_count
from distill.controls import ARKIT
from distill.digests import digest
from distill.recordings import Recording
from distill.teachers.base import Utterance

KINDS = (".csv", ".npz", ".json")
SLACK = 0.5  # seconds by which curves may begin late or end early; the nearest frame is held


class RecordedTeacher:
    """Reads curves and resamples them to 50 Hz.

    Args:
        folder: where the curves are, at any depth; None for beside the audio. The first file there tells the
            controls; beside the audio they are ARKit's.

    Raises:
        UserError: the folder holds no curves, or the first of them is malformed.
    """

    name = "curves"
    version = "1"

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._files: dict[str, list[Path]] = {}
        self._last: tuple[Path, Recording] | None = None  # a long file is asked for piece by piece
        self.controls = ARKIT
        if folder is not None:
            for path in _curves_in(folder):
                self._files.setdefault(path.stem, []).append(path)
            if not self._files:
                raise UserError(
                    "it holds no curves", where=str(folder), fix="give a folder of .csv, .npz or .json files"
                )
            self.controls = self._recording(next(iter(self._files.values()))[0]).controls

    def curves(self, utterance: Utterance) -> NDArray[np.float32]:
        """``[frame_count(samples), controls]`` at 50 Hz; see :class:`distill.teachers.base.Teacher`.

        Raises:
            UserError: there are no curves for the audio, several, malformed ones, ones that lack a control, or such
                as do not cover it.
        """
        if utterance.path is None:
            raise UserError("ready-made curves are found by the name of an audio file, and this speech has none")
        path = self.origin(utterance.path)
        recording = self._recording(path)
        missing = [name for name in self.controls if name not in recording.controls]
        if missing:
            raise UserError(f"it has no control '{missing[0]}'", where=str(path), fix=self._other_controls)
        times = utterance.start + np.arange(frame_count(len(utterance.audio))) * HOP / SAMPLE_RATE
        end = float(recording.times[-1])
        if len(times) and (times[0] < -SLACK or times[-1] > end + SLACK):
            raise UserError(
                f"it has curves for {end:.2f} s; the audio goes from {times[0]:.2f} to {times[-1]:.2f} s",
                where=str(path),
                fix="give curves for the whole of it; --offset moves them",
            )
        columns = [recording.controls.index(name) for name in self.controls]
        return recording.at(times)[:, columns]

    def evidence(self, path: Path) -> str:
        """The digest of the curves that belong to the audio file ``path``; raises as :meth:`curves`."""
        return digest([self.origin(path)])

    def origin(self, audio: Path) -> Path:
        """The curves of an audio file: of several with its name, the one whose folders are called alike."""
        found = self._files.get(audio.stem, [])
        if self._folder is None:
            found = [path for kind in KINDS if _has_curves(path := audio.with_suffix(kind))]
        if not found:
            where = f"in {self._folder}" if self._folder else "beside it"
            raise UserError(f"there is no {audio.stem}.csv, .npz or .json {where}", where=str(audio))
        alike = [_common_parents(path, audio) for path in found]
        best = [path for path, depth in zip(found, alike, strict=True) if depth == max(alike)]
        if len(best) > 1:
            raise UserError(f"it could be {best[0]} or {best[1]}", where=str(audio), fix="leave one of them")
        return best[0]

    def _recording(self, path: Path) -> Recording:
        if self._last is None or self._last[0] != path:
            self._last = None  # two at once would be twice the memory
            self._last = path, recordings.read(path)
        return self._last[1]

    @property
    def _other_controls(self) -> str:
        if self._folder is None:
            return "name the folder of the curves with --teacher-path; then its first file tells the controls"
        return "keep curves of other controls in another folder"


def _curves_in(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise UserError("there is no such folder", where=str(folder), fix="check --teacher-path")
    return filter(_has_curves, sorted(folder.rglob("*")))


def _has_curves(path: Path) -> bool:
    """Whether a file is taken for curves; much other JSON lies about, notes with phone times for one."""
    kind = path.suffix.lower()
    return kind in KINDS and path.is_file() and (kind != ".json" or json.is_ours(path))


def _common_parents(one: Path, other: Path) -> int:
    """How many folders above both files are called alike, counted from the files up."""
    depth = 0
    for ours, theirs in zip(reversed(one.parent.parts), reversed(other.parent.parts), strict=False):
        if ours != theirs:
            break
        depth += 1
    return depth
