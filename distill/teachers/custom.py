"""A user's own teacher: ``package.module:factory``, a function without arguments that returns one.

What it returns is another's code: every promise of ``Teacher`` is checked, and whatever it raises is told with the
file at which it did.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compile.errors import PhizError, UserError
from compile.factory import call, first_line
from distill.audio import frame_count
from distill.corpus import manifest
from distill.students.architectures import MOST_CONTROLS
from distill.teachers.base import Utterance, evidence

_CONTRACT = "a teacher has name, version, controls and curves(utterance); see docs/teachers.md"


class CustomTeacher:
    """The teacher that a factory makes, held to the contract.

    Args:
        reference: ``package.module:factory``; importable, or in the current folder. Its code is run.

    Raises:
        UserError: it is not there, fails, or returns no teacher.
    """

    def __init__(self, reference: str) -> None:
        self._reference = reference
        self._teacher: Any = call(reference)
        if isinstance(self._teacher, type) or not callable(self._ask("curves")):
            raise UserError(f"the factory returned {_brief(self._teacher)}, no teacher", where=reference, fix=_CONTRACT)
        self.name = self._text("name")
        # The reference is part of it, so that no label of another teacher of that name is taken for one of this.
        self.version = f"{reference} {self._text('version')}"
        self.controls = self._controls()

    def curves(self, utterance: Utterance) -> NDArray[np.float32]:
        """``[frame_count(samples), controls]`` at 50 Hz; see :class:`distill.teachers.base.Teacher`.

        Raises:
            UserError: the teacher raises, or returns something else; names the file.
        """
        where = str(utterance.path or self._reference)
        expected = (frame_count(len(utterance.audio)), len(self.controls))
        try:
            curves = np.asarray(self._teacher.curves(utterance))
        except PhizError:
            raise
        except (Exception, SystemExit) as error:  # the user's code may raise anything
            raise UserError(
                f"the teacher '{self.name}' raises {type(error).__name__}: {first_line(error)}", where=where
            ) from error
        if curves.shape != expected or curves.dtype.kind not in "fiub":
            found = f"{curves.dtype} {list(curves.shape)}"
            raise UserError(
                f"the teacher '{self.name}' gave {found} where float32 {list(expected)} was due", where=where
            )
        with np.errstate(over="ignore"):
            curves = curves.astype(np.float32)
        if not np.isfinite(curves).all():
            raise UserError(f"the teacher '{self.name}' gave values that are NaN or infinite", where=where)
        return curves

    def evidence(self, path: Path) -> str:
        """What the teacher says; see :func:`distill.teachers.base.evidence`."""
        try:
            return evidence(self._teacher, path)
        except PhizError:
            raise
        except (Exception, SystemExit) as error:
            raise UserError(
                f"the teacher '{self.name}' raises {type(error).__name__}: {first_line(error)}", where=str(path)
            ) from error

    def _ask(self, attribute: str) -> Any:
        try:
            return getattr(self._teacher, attribute, None)
        except Exception as error:  # a property of the user's may raise anything
            what = f"the teacher's '{attribute}' raises {type(error).__name__}: {first_line(error)}"
            raise UserError(what, where=self._reference) from error

    def _text(self, attribute: str) -> str:
        value = self._ask(attribute)
        if not isinstance(value, str) or not value:
            raise UserError(f"the teacher's '{attribute}' is {_brief(value)}, not a text", where=self._reference)
        return value

    def _controls(self) -> tuple[str, ...]:
        value = self._ask("controls")
        names = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else ()
        try:
            return manifest.names([*names], MOST_CONTROLS)
        except ValueError as error:
            what = f"the teacher's 'controls' must be different names, in order: {error}"
            raise UserError(what, where=self._reference) from error


def _brief(value: object) -> str:
    return "None" if value is None else f"the {type(value).__name__} {str(value)[:40]!r}"
