"""A way to make an artefact smaller, or a reason to look at it again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SHOWN = 3  # cases of a finding, and names of a case


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


@dataclass(frozen=True)
class Case:
    """One instance of what a rule looks for.

    Attributes:
        text: what is the matter there, as a sentence of a longer one.
        saves: bytes to be won.
        layer: where.
    """

    text: str
    saves: int
    layer: str


def finding(rule: str, cases: Iterable[Case], fix: str, least: int) -> tuple[Finding, ...]:
    """One finding of all ``cases``, which names the largest; none where together they save less than ``least``."""
    ordered = sorted(cases, key=lambda case: -case.saves)
    saves = sum(case.saves for case in ordered)
    if not ordered or saves < least:
        return ()
    texts = [case.text for case in ordered]
    rest = [f"{len(texts) - SHOWN:,} more like it"] if len(texts) > SHOWN else []
    what = "; ".join((*texts[:SHOWN], *rest))
    return (Finding(rule, what, fix, saves, tuple(case.layer for case in ordered[:SHOWN])),)


def listed(names: Sequence[str]) -> str:
    """``'a'``, ``'a' and 'b'``, ``'a', 'b', 'c' and 7 more``."""
    quoted = [f"'{name}'" for name in names[:SHOWN]]
    rest = len(names) - len(quoted)
    last = [f"{rest:,} more"] if rest else [quoted.pop()] if len(quoted) > 1 else []
    return " and ".join((", ".join(quoted), *last))
