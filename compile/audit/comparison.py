"""Two builds or two artefacts, one against the other, wherever they are kept: ``phiz diff``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from compile.audit.baseline import GIT, Baseline, read
from compile.audit.breakdown import BY
from compile.audit.difference import difference
from compile.audit.findings.search import search
from compile.audit.report import Report, Row
from compile.audit.sizes import METRICS, Sizes
from compile.audit.stored import Old, Stored
from compile.errors import UserError
from targets.base import Dissection

_NOTHING = Dissection({}, (), (), {})
_ZERO: dict[str, int | None] = dict.fromkeys(METRICS, 0) | {"measured": None}  # nobody runs nothing


def compare(new: str, old: str, folder: Path) -> Report:
    """A row for each artefact of ``new``, with its difference from that of ``old``.

    Of two builds, what one of them lacks is a row, too: all of it is new, or gone.

    Args:
        new: what ``baseline.read`` takes, with bytes; a revision needs its path.
        old: the same; a revision without a path means the path of ``new``.
        folder: that relative paths start from.

    Raises:
        UserError: one of them is nothing that can be compared, they have nothing to be compared, or the bytes of a new
            artefact are not at hand.
    """
    fresh = read(new, folder)
    if fresh.text:
        raise UserError("the path is missing", where=new, fix=f"name what to compare, for example {new}:build")
    if new.startswith(GIT) and old.startswith(GIT) and ":" not in old.removeprefix(GIT):
        old = f"{old}:{new.removeprefix(GIT).partition(':')[2]}"
    past = read(old, folder)
    builds = fresh.build and (past.build or bool(past.text))
    pairs = [(stored, _counterpart(stored, fresh, past)) for stored in fresh.stored]
    met = {(was.target, was.path) for _, was in pairs if was is not None}
    rows = [_row(stored, fresh, was or _none(stored, past)) for stored, was in pairs if was or builds]
    if builds:
        lost = [stored for stored in past.stored if (stored.target, stored.path) not in met]
        rows += [_removed(stored.read()) for stored in lost]
    if not rows:
        raise UserError(f"it has no counterpart of what is in {old}", where=new, fix="name two artefacts")
    return Report(fresh.model or fresh.name, tuple(rows))


def _counterpart(stored: Stored, fresh: Baseline, past: Baseline) -> Old | None:
    """What to compare with: two artefacts that are named are compared, whatever they are."""
    found = past.of(Row(stored.target, stored.path, None, folder=fresh.folder))
    named = not fresh.build and not past.build and len(past.stored) == 1
    return past.stored[0].read() if found is None and named else found


def _none(stored: Stored, past: Baseline) -> Old:
    return Old(past.name, stored.target, "", _ZERO, {by: {} for by in BY})


def _row(stored: Stored, fresh: Baseline, was: Old) -> Row:
    sizes, arena, dissection = stored.examine()
    row = Row(stored.target, stored.path, sizes, dissection=dissection, arena=arena, folder=fresh.folder)
    return replace(row, difference=difference(row, was), findings=search(dissection, stored.files))


def _removed(was: Old) -> Row:
    """A row without bytes: all of ``was`` is gone."""
    row = Row(was.target, was.path, Sizes(0, 0, 0, 0, 0, brotli=0), dissection=_NOTHING)
    lost = replace(difference(row, was), new="")
    return Row(was.target, was.path, None, difference=lost, notes=(f"it is gone: {was.name} had it",))
