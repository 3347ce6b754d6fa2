"""What grew between two artefacts, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Change:
    """Bytes under one label, before and after; 0 where the label is absent."""

    label: str
    old: int
    new: int


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
