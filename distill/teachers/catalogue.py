"""The teachers that ``--teacher`` can name, and how each is opened."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

from compile.errors import UserError
from compile.factory import is_reference
from distill.teachers.base import Teacher


def open_teacher(name: str, path: Path | None = None, offset: float = 0.0) -> Teacher:
    """Open a teacher by name.

    Args:
        name: ``phonetic``, ``audio2face``, ``hubert``, ``curves``, or ``package.module:factory``, a function of the
            user's own that returns a teacher.
        path: the folder of its files. ``audio2face`` and ``hubert`` need one; ``curves`` looks beside the audio
            without one; the others have none.
        offset: seconds by which its curves are late (early: below zero); the labels are moved back by as much.

    Raises:
        UserError: there is no such teacher, its files are missing or malformed, or the factory fails.
        MissingExtra: a package that it needs is not installed.
    """
    if not math.isfinite(offset) or abs(offset) > LONGEST_OFFSET:
        raise UserError(f"{offset} seconds are no offset", where="--offset", fix=f"give at most {LONGEST_OFFSET:g}")
    if name in TEACHERS:
        teacher = TEACHERS[name](path)
    elif is_reference(name):
        _require_no_path(name, path)
        from distill.teachers.custom import CustomTeacher

        teacher = CustomTeacher(name)
    else:
        raise UserError(
            f"unknown teacher '{name}'",
            where="--teacher",
            fix=f"choose from: {', '.join(TEACHERS)}, or give your own as package.module:factory",
        )
    if offset == 0:
        return teacher
    from distill.teachers.shifted import ShiftedTeacher

    return ShiftedTeacher(teacher, offset)


def _phonetic(path: Path | None) -> Teacher:
    from distill.teachers.phonetic import PhoneticTeacher

    _require_no_path("phonetic", path)
    return PhoneticTeacher()


def _audio2face(path: Path | None) -> Teacher:
    from distill.teachers.audio2face import Audio2FaceTeacher

    return Audio2FaceTeacher(_required("audio2face", path))


def _hubert(path: Path | None) -> Teacher:
    from distill.teachers.hubert import HubertTeacher

    return HubertTeacher(_required("hubert", path))


def _curves(path: Path | None) -> Teacher:
    from distill.teachers.recorded import RecordedTeacher

    return RecordedTeacher(path)


def _required(name: str, path: Path | None) -> Path:
    if path is None:
        raise UserError(f"the teacher '{name}' needs its folder", where="--teacher", fix="name it with --teacher-path")
    return path


def _require_no_path(name: str, path: Path | None) -> None:
    if path is not None:
        raise UserError(f"the teacher '{name}' has no files", where="--teacher-path", fix="leave it out")


LONGEST_OFFSET = 10.0  # seconds; a teacher that is later than this is no teacher of this speech
TEACHERS: Mapping[str, Callable[[Path | None], Teacher]] = {
    "phonetic": _phonetic,
    "audio2face": _audio2face,
    "hubert": _hubert,
    "curves": _curves,
}
