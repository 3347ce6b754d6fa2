"""What a pass did, and what it declined to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """The result of one pass: one line for each rewrite and one for each refusal, with its reason."""

    rewrites: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
