"""Budgets, and what they say of an artefact: pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

from compile.audit.findings.dtype import complaint, unlike
from compile.audit.findings.evidence import stored
from compile.units import format_share, format_size, short_size
from targets.base import Kind

if TYPE_CHECKING:
    from decimal import Decimal

    from compile.audit.report import Row

SECTIONS: Mapping[str, Kind] = {
    "weights": Kind.WEIGHTS,
    "quantisation": Kind.QUANTIZATION,
    "graph": Kind.GRAPH,
    "metadata": Kind.METADATA,
    "padding": Kind.PADDING,
    "unmapped": Kind.UNMAPPED,
}

_NOUNS = {"measured": " memory", "brotli": " download"}


@dataclass(frozen=True)
class Amount:
    """So many bytes, or such a share of something; exactly one of the two is given."""

    bytes: int | None = None
    share: float | None = None

    @property
    def text(self) -> str:
        """For people: ``3.40 MB``, ``2 %``."""
        return short_size(self.bytes) if self.bytes is not None else format_share(self.share or 0.0)

    def of(self, whole: int) -> int:
        """In bytes, where a share is one of ``whole`` bytes; rounded down, exactly."""
        if self.bytes is not None:
            return self.bytes
        return int(_portion(self.share or 0.0, whole))


@dataclass(frozen=True)
class Limit:
    """One line of a budget.

    Attributes:
        subject: one of ``sizes.METRICS``; or of ``SECTIONS``, if it limits a section.
        most: bytes; or a share, of the file for a section and of the baseline's value for growth.
        growth: it limits the increase over the baseline instead of the value.
        origin: where it is set, for people: ``phiz.toml, [budget.mobile] file`` or ``--cap``.
        section: it limits the bytes of a section of the file.
    """

    subject: str
    most: Amount
    growth: bool = False
    origin: str = "the caps given"
    section: bool = False

    @property
    def name(self) -> str:
        """``file``, ``metadata section``, ``growth of file``."""
        return f"growth of {self.subject}" if self.growth else self.subject + " section" * self.section

    @property
    def spoken(self) -> str:
        """What a sentence calls it: ``measured memory``."""
        return self.name + _NOUNS.get(self.subject, "")


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

    @property
    def empty(self) -> bool:
        """It limits nothing."""
        return not self.limits and not any(self.targets.values()) and not self.dtype

    def of_target(self, target: str) -> tuple[Limit, ...]:
        """Its limits, where a target's own replace the general ones of their name; a form is a target of its own."""
        own = {limit.name: limit for limit in (*self.limits, *self.targets.get(target, ()))}
        return tuple(own.values())

    def limits_growth(self, target: str) -> bool:
        """Whether it needs a baseline for artefacts of ``target``."""
        return any(limit.growth for limit in self.of_target(target))

    def without(self, subjects: tuple[str, ...]) -> Budget:
        """The same, where nothing limits these metrics as such; their growth may still be limited."""

        def rest(limits: tuple[Limit, ...]) -> tuple[Limit, ...]:
            return tuple(limit for limit in limits if limit.name not in subjects)

        return replace(self, limits=rest(self.limits), targets={name: rest(own) for name, own in self.targets.items()})


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


def judge(budget: Budget, row: Row) -> Iterator[Check]:
    """What each limit of ``budget`` says of ``row``; growth is that of ``row.difference``."""
    for limit in budget.of_target(row.target):
        found = _found(limit, row)
        most = found.most if found.most is not None else limit.most.bytes
        if found.size is None or most is None:
            status = Status.UNKNOWN
            detail = f"its {limit.spoken} is not known, and unknown is not a pass: {found.unknown}"
        elif found.size > most:
            status, detail = Status.FAIL, _excess(limit, found.size, most, row)
        elif budget.warn is not None and 0 < found.size >= _portion(budget.warn, most):
            of = f"{100 * found.size // most} %"
            allowed = f"what may be added, {format_size(most)}" if limit.growth else f"the cap of {format_size(most)}"
            status = Status.WARN
            detail = f"its {limit.spoken} of {format_size(found.size)} is {of} of {allowed}"
        else:
            status, detail = Status.PASS, ""
        yield Check(budget.name, limit.name, status, found.size, most, detail, limit.origin, budget.message)
    if budget.dtype:
        yield _dtype(budget, row)


def _dtype(budget: Budget, row: Row) -> Check:
    """Bytes of weights in another dtype than ``budget`` asks for, of which there may be none."""
    origin = f"{budget.origin} dtype"
    if row.dissection is None or row.sizes is None or row.sizes.metric("weights") is None:
        why = row.why("weights") if row.sizes else "its bytes could not be read; build it anew"
        detail = f"the dtype of its weights is not known, and unknown is not a pass: {why}"
        return Check(budget.name, "dtype", Status.UNKNOWN, None, 0, detail, origin, budget.message)
    wrong = unlike(row.dissection.constants, budget.dtype)
    status = Status.FAIL if wrong else Status.PASS
    detail = complaint(wrong, budget.dtype) if wrong else ""
    return Check(budget.name, "dtype", status, sum(map(stored, wrong)), 0, detail, origin, budget.message)


@dataclass(frozen=True)
class _Found:
    """What a limit is about: bytes found, bytes allowed where that is a share, and why one of them is not known."""

    size: int | None = None
    most: int | None = None
    unknown: str = ""


def _found(limit: Limit, row: Row) -> _Found:
    if row.sizes is None:
        return _Found(unknown="its bytes could not be read; build it anew")
    if limit.growth:
        return _growth(limit, row)
    if limit.section:
        return _section(limit, row)
    size = row.sizes.metric(limit.subject)
    return _Found(size, unknown="" if size is not None else row.why(limit.subject))


def _growth(limit: Limit, row: Row) -> _Found:
    if row.difference is None:
        return _Found(unknown=row.why("growth"))
    old, new = row.difference.metrics.get(limit.subject, (None, None))
    if new is None:
        return _Found(unknown=row.why(limit.subject))
    if old is None:
        return _Found(unknown=f"{row.difference.old} does not tell it; compare with the artefact itself")
    return _Found(new - old, limit.most.of(old))


def _section(limit: Limit, row: Row) -> _Found:
    file = row.sizes.metric("file") if row.sizes else None
    if file is None or row.dissection is None:
        return _Found(unknown=row.why("file"))
    kind = SECTIONS[limit.subject]
    size = sum(section.end - section.start for section in row.dissection.sections if section.kind == kind)
    return _Found(size, limit.most.of(file))


def _portion(share: float, whole: int) -> Decimal:
    """Exactly: 29 % of 100 bytes are 29 bytes, and not 28.999999999999996."""
    from decimal import Decimal

    return Decimal(str(share)) * whole


def _excess(limit: Limit, size: int, most: int, row: Row) -> str:
    beyond = format_size(size - most)
    if not limit.growth:
        return f"its {limit.spoken} of {format_size(size)} exceeds the cap of {format_size(most)} by {beyond}"
    over = row.difference.old if row.difference else ""
    allowed = f"{limit.most.text}, {format_size(most)}" if limit.most.share is not None else format_size(most)
    what = limit.spoken.removeprefix("growth of ")
    return f"its {what} grew by {format_size(size)} over {over}, {beyond} more than the {allowed} allowed"
