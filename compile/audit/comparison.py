"""Two builds or two artefacts, one against the other, wherever they are kept: ``phiz diff``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from compile.audit.baseline import GIT, Baseline, read
from compile.audit.breakdown import BY
from compile.audit.difference import difference
from compile.audit.report import Report, Row
from compile.audit.sizes import METRICS, Sizes
from compile.audit.stored import Old, Stored
from compile.errors import UserError
from targets.base import Dissection

_NOTHING = Dissection({}, (), (), {})
_ZERO: dict[str, int | None] = dict.fromkeys(METRICS, 0)


def compare(new: str, old: str, folder: Path) -> Report:
    """A row for each artefact of ``new``, with its difference from that of ``old``; and one for each that is gone.

    Args:
        new: what ``baseline.read`` takes, with bytes; a revision needs its path.
        old: the same; a revision without a path means the path of ``new``.
        folder: that relative paths start from.

    Raises:
        UserError: one of them is nothing that can be compared, or the bytes of a new artefact are not at hand.
    """
    fresh = read(new, folder)
    if fresh.text:
        raise UserError("which artefact of that revision?", where=new, fix=f"name it: {new}:build/student.onnx")
    if new.startswith(GIT) and old.startswith(GIT) and ":" not in old.removeprefix(GIT):
        old = f"{old}:{new.removeprefix(GIT).partition(':')[2]}"
    past = read(old, folder)
    rows, met = [], set()
    for stored in fresh.stored:
        row = _row(stored, fresh.folder)
        found = _counterpart(row, fresh, past)
        met.add((found.target, found.path))
        rows.append(replace(row, difference=difference(row, found)))
    gone = [stored for stored in past.stored if (stored.target, stored.path) not in met]
    return Report(fresh.model or new, (*rows, *(_removed(stored.read()) for stored in gone)))


def _row(stored: Stored, folder: str) -> Row:
    sizes, arena, dissection = stored.examine()
    return Row(stored.target, stored.path, sizes, dissection=dissection, arena=arena, folder=folder)


def _counterpart(row: Row, fresh: Baseline, past: Baseline) -> Old:
    """What ``row`` is compared with: artefacts named one against the other are, whatever they are."""
    if (found := past.of(row)) is not None:
        return found
    if len(fresh.stored) == len(past.stored) == 1:
        return past.stored[0].read()
    return Old(past.name, row.target, "", _ZERO, {by: {} for by in BY})


def _removed(was: Old) -> Row:
    """A row without bytes: all of ``was`` is gone."""
    row = Row(was.target, was.path, Sizes(0, 0, 0, 0, 0, brotli=0), dissection=_NOTHING)
    lost = replace(difference(row, was), new="")
    return Row(was.target, was.path, None, difference=lost, notes=(f"it is gone: {was.name} had it",))
