"""What a teacher is: speech in, face curves out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError
from distill.corpus.espeak import Phone


@dataclass(frozen=True)
class Utterance:
    """What a teacher hears.

    Attributes:
        audio: mono float32 [time] at 16 kHz, in [-1, 1].
        phones: with times from the first sample, where they are known.
        path: the file that the audio was decoded from, if it was.
        start: seconds of the first sample within that file: long files are labelled in pieces.
        text: what is said in it; empty where that is not known, or of more than this piece.
        language: its code, ``de``; empty when unknown.
    """

    audio: NDArray[np.float32]
    phones: tuple[Phone, ...] | None = None
    path: Path | None = None
    start: float = 0.0
    text: str = ""
    language: str = ""


@dataclass(frozen=True)
class Hearing:
    """What a teacher heard in an utterance whose phones are not known.

    Attributes:
        phones: that the face says.
        recognised: by ear alone; the same where no text helped.
        remark: what the user should know about it, such as why its text did not help.
    """

    phones: tuple[Phone, ...]
    recognised: tuple[Phone, ...]
    remark: str = ""


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
        """The face at times ``k / 50`` seconds: float32 ``[frame_count(samples), controls]``, ARKit's in [0, 1].

        Raises:
            UserError: this teacher cannot label this utterance; the caller skips it and keeps the reason.
        """
        ...


def evidence(teacher: Teacher, path: Path) -> str:
    """What labels of an audio file depend on besides its sound, its phones and the teacher's version.

    Empty, unless the teacher has a method ``evidence(path) -> str``, as one that reads ready-made curves beside the
    audio must: the digest of those curves. Labels are cached by it.

    Raises:
        UserError: what it takes is not there; the caller skips the file and keeps the reason.
    """
    ask = getattr(teacher, "evidence", None)
    return "" if ask is None else str(ask(path))


def origin(teacher: Teacher, path: Path) -> Path | None:
    """The file that the curves of an audio file are read from; None of a teacher without a method ``origin``.

    Raises:
        UserError: there is none, or it is not known which.
    """
    ask = getattr(teacher, "origin", None)
    return None if ask is None else ask(path)


def require_own_origins(teacher: Teacher, audio: Iterable[Path]) -> None:
    """Curves are found by name, and names are used again: two recordings must not get the curves of one.

    Raises:
        UserError: two would; a recording in two formats, side by side, is one.
    """
    owners: dict[Path, Path] = {}
    for path in audio:
        try:
            found = origin(teacher, path)
        except UserError:
            continue  # it will be skipped, with this reason
        if found is None:
            return
        owner = owners.setdefault(found, path)
        if owner.with_suffix("") != path.with_suffix(""):
            raise UserError(
                f"it and {owner} would both get the curves {found}",
                where=str(path),
                fix="put curves into folders that are called as those of their audio",
            )


def listens(teacher: Teacher) -> bool:
    """Whether a teacher goes by phones, and takes a text as help: it has a method ``hear(utterance) -> Hearing``."""
    return hasattr(teacher, "hear")


def hearing(teacher: Teacher, utterance: Utterance) -> Hearing | None:
    """What a teacher that :func:`listens` hears in an utterance without phones, so that labels keep it; else None.

    Raises:
        UserError: as :meth:`Teacher.curves`.
    """
    if utterance.phones is not None or not listens(teacher):
        return None
    heard: Hearing = teacher.hear(utterance)  # type: ignore[attr-defined]  # it has one, or it does not listen
    return heard
