"""Budgets, and what they say of an artefact: pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from compile.audit.sizes import Sizes
from compile.units import format_size


@dataclass(frozen=True)
class Amount:
    """So many bytes, or such a share of something; exactly one of the two is given."""

    bytes: int | None = None
    share: float | None = None


@dataclass(frozen=True)
class Limit:
    """One line of a budget.

    Attributes:
        subject: one of ``sizes.METRICS``, or a section's name (``metadata``, ``graph`` …).
        most: bytes; or a share, of the file for a section and of the baseline's value for growth.
        growth: it limits the increase over the baseline instead of the value.
        origin: where it is set, for people: ``phiz.toml, [budget.mobile] file`` or ``--cap``.
    """

    subject: str
    most: Amount
    growth: bool = False
    origin: str = "the caps given"

    @property
    def name(self) -> str:
        """``file``, ``metadata``, ``growth of file``."""
        return f"growth of {self.subject}" if self.growth else self.subject


@dataclass(frozen=True)
class Budget:
    """Limits for some artefacts.

    Attributes:
        name: ``mobile`` of ``[budget.mobile]``; empty for one without a file.
        limits: for every artefact that it covers.
        files: globs relative to the configuration's folder; none: whatever is audited.
        targets: limits that replace, for one target, those with the same name.
        warn: from this share of a limit on it warns.
        message: whom to ask, or what to do, when it does not hold.
        baseline: what to compare with: a path, or ``git:REV``; empty for none.
        dtype: that weights should have; empty for any.
        origin: where it is written.
    """

    name: str = ""
    limits: tuple[Limit, ...] = ()
    files: tuple[str, ...] = ()
    targets: Mapping[str, tuple[Limit, ...]] = field(default_factory=dict)
    warn: float | None = None
    message: str = ""
    baseline: str = ""
    dtype: str = ""
    origin: str = "the caps given"


class Status(str, Enum):
    """How a limit came out. Unknown is not a pass."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Check:
    """One limit, and what was found.

    Attributes:
        budget: its name.
        subject: the limit's name, such as ``growth of file``.
        status: of it.
        measured: bytes found; None where unknown.
        limit: in bytes; None where it cannot be said, as growth over a baseline that is missing.
        detail: one sentence for people, without a full stop; complete for what fails.
        origin: where the limit is set.
        message: of the budget.
    """

    budget: str
    subject: str
    status: Status
    measured: int | None
    limit: int | None
    detail: str
    origin: str
    message: str = ""

    @property
    def failed(self) -> bool:
        """It does not hold, or cannot be known to."""
        return self.status in (Status.FAIL, Status.UNKNOWN)


def caps(limits: Mapping[str, int | None], origin: str = "the caps given") -> Budget:
    """A budget of bytes by metric; None for no limit."""
    given = (Limit(subject, Amount(most), origin=origin) for subject, most in limits.items() if most is not None)
    return Budget(limits=tuple(given), origin=origin)


def judge(budget: Budget, sizes: Sizes) -> Iterator[Check]:
    """What each limit of ``budget`` says."""
    for limit in budget.limits:
        most, measured = limit.most.bytes, sizes.metric(limit.subject)
        status, detail = Status.PASS, ""
        if measured is None:
            others = f" and {len(sizes.unknown) - 1} more" if len(sizes.unknown) > 1 else ""
            status = Status.UNKNOWN
            detail = f"its {limit.name} is not known, and unknown is not a pass: {sizes.unknown[0]}{others}"
        elif most is not None and measured > most:
            excess = format_size(measured - most)
            status = Status.FAIL
            detail = f"its {limit.name} of {format_size(measured)} exceeds the cap of {format_size(most)} by {excess}"
        yield Check(budget.name, limit.name, status, measured, most, detail, limit.origin, budget.message)
