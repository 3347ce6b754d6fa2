"""What grew between two artefacts, and where: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from compile.audit.alignment import aligned
from compile.audit.breakdown import BY, breakdown
from compile.audit.formats import of_target
from compile.audit.sizes import METRICS
from targets.base import Dissection

if TYPE_CHECKING:  # a row holds its difference
    from compile.audit.report import Row
    from compile.audit.stored import Old

COMMON = ("section",)  # of breakdown.BY: what files of two formats can be compared by
_OTHER_FORMAT = "it is of another format, where layers, operators and dtypes have other names: compared by section only"


@dataclass(frozen=True)
class Change:
    """Bytes under one label, before and after; 0 where the label is absent."""

    label: str
    old: int
    new: int

    @property
    def growth(self) -> int:
        """In bytes; negative where it shrank."""
        return self.new - self.old


@dataclass(frozen=True)
class Difference:
    """A new artefact against an old one.

    Attributes:
        old: what it was compared with, for people: a path, or ``git:main (1a2b3c4)``.
        new: the path.
        metrics: by name, (old, new) bytes; None where it is not known of one, as a manifest knows only files.
        changes: by one of ``breakdown.BY``, only labels whose bytes differ, largest absolute change first; without
            entries where the old one's bytes are not at hand.
        stale: why the comparison may mislead; empty when nothing does.
    """

    old: str
    new: str
    metrics: Mapping[str, tuple[int | None, int | None]]
    changes: Mapping[str, tuple[Change, ...]] = field(default_factory=dict)
    stale: str = ""


def difference(row: Row, old: Old) -> Difference:
    """``row`` against ``old``; under each of ``changes``, growth sums to that of the file."""
    alike = _family(old.target) == _family(row.target)
    stale = old.stale if alike else f"{old.stale}; {_OTHER_FORMAT}".removeprefix("; ")
    changes = {}
    if row.dissection is not None and old.shares:
        changes = {by: _changes(row.dissection, old.shares[by], by) for by in (BY if alike else COMMON)}
    metrics = {name: (old.metrics.get(name), row.sizes.metric(name) if row.sizes else None) for name in METRICS}
    return Difference(old.name, row.path, metrics, changes, stale)


def top(changes: Sequence[Change], count: int) -> tuple[Change, ...]:
    """The first ``count`` changes, and the rest as one, ``[K others]``; one alone keeps its name."""
    if len(changes) <= count + 1:
        return tuple(changes)
    rest = changes[count:]
    others = Change(f"[{len(rest):,} others]", sum(change.old for change in rest), sum(change.new for change in rest))
    return (*changes[:count], others)


def _family(target: str) -> str:
    """What reads it: a Core ML package and a model file are of one."""
    known = of_target(target)
    return known.module if known else target


def _changes(new: Dissection, before: Mapping[str, int], by: str) -> tuple[Change, ...]:
    after = {share.label: share.size for share in breakdown(new, by)}
    if by == "layer":
        before, after = aligned(before, after)
    found = (Change(label, before.get(label, 0), after.get(label, 0)) for label in sorted({*before, *after}))
    return tuple(sorted((change for change in found if change.growth), key=lambda change: -abs(change.growth)))
