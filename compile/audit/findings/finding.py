"""A way to make an artefact smaller, or a reason to look at it again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What the auditor noticed.

    Attributes:
        rule: a stable name in kebab-case, such as ``duplicate-tensors``.
        what: is the matter, with names and figures; one sentence without a full stop.
        fix: how to win the bytes; an imperative sentence without a full stop.
        saves: bytes to be won of the file; 0 where that cannot be said.
        layers: that it is about, at most a few.
    """

    rule: str
    what: str
    fix: str
    saves: int
    layers: tuple[str, ...] = ()
