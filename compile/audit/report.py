"""The verdict on everything that was audited, as data: every renderer shows the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from compile.audit import claims
from compile.audit.budget import Budget, Check, Status
from compile.audit.difference import Difference
from compile.audit.findings.finding import Finding
from compile.audit.sizes import Sizes
from compile.memory import Plan
from targets.base import Dissection

if TYPE_CHECKING:  # who measures nothing starts without what measures
    from compile.audit.library import Library
    from compile.audit.measured import Measured


@dataclass(frozen=True)
class Row:
    """One artefact.

    Attributes:
        target: its name, or the format's where it is of no target.
        path: of the artefact, relative to what was audited.
        sizes: None when its bytes could not be read as what they claim to be.
        ratio: file size over the least that the weights could take; None when unknown.
        parity: as the manifest says.
        reasons: why it fails apart from budgets: missing, changed, malformed, rejected when it was built.
        checks: what budgets say.
        findings: most bytes first.
        dissection: what its bytes are; None as for ``sizes``.
        arena: where its activations were put, in the order of ``dissection.lifetimes``.
        difference: from its baseline; None without one.
        notes: what people should know and no gate asks for, such as what was not measured and why.
        folder: that ``path`` is relative to, as the user named it; for annotations, never for what is kept.
        measured: in its own runtime; None where it was not asked for, or could not be.
        missing: why a metric, or ``growth``, is not known, and what to do about it, by name.
        alias: what people tell it by in a report where several are of one target; empty where the target does.
    """

    target: str
    path: str
    sizes: Sizes | None
    ratio: float | None = None
    parity: claims.Parity = field(default_factory=claims.Parity)
    reasons: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    findings: tuple[Finding, ...] = ()
    dissection: Dissection | None = None
    arena: Plan | None = None
    difference: Difference | None = None
    notes: tuple[str, ...] = ()
    folder: str = ""
    measured: Measured | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    alias: str = ""

    @property
    def label(self) -> str:
        """What people tell it by."""
        return self.alias or self.target

    def why(self, metric: str) -> str:
        """Why a metric, or ``growth``, is not known, and what to do about it."""
        if metric in self.missing or self.sizes is None or not self.sizes.unknown:
            return self.missing.get(metric, "it was not computed")
        others = f" and {len(self.sizes.unknown) - 1} more" if len(self.sizes.unknown) > 1 else ""
        shapes = any(entry.startswith("the size of activation") for entry in self.sizes.unknown)
        instead = "" if self.sizes.metric("weights") is None else "; limit its file or its weights instead"
        return f"{self.sizes.unknown[0]}{others}{'; give its inputs fixed shapes' if shapes else instead}"

    @property
    def telling(self) -> tuple[Check, ...]:
        """The checks that say something: none of what could not be read, for that is said once, by the reasons."""
        return () if self.sizes is None and self.reasons else self.checks

    @property
    def failures(self) -> tuple[str, ...]:
        """Every reason to fail; those of budgets in the order of the checks."""
        return (*self.reasons, *(check.detail for check in self.telling if check.failed))

    @property
    def warned(self) -> bool:
        """A limit is close."""
        return any(check.status == Status.WARN for check in self.checks)


@dataclass(frozen=True)
class Report:
    """The verdict on everything.

    Attributes:
        name: of what was audited.
        rows: one an artefact.
        budgets: that were applied; empty when there is none.
        library: of the runtime, as the user gave it: a number beside the others, for it is paid once for all models.
    """

    name: str
    rows: tuple[Row, ...]
    budgets: tuple[Budget, ...] = ()
    library: Library | None = None

    @property
    def failures(self) -> tuple[str, ...]:
        """Every reason, with its row's label in front."""
        return tuple(f"{row.label}: {failure}" for row in self.rows for failure in row.failures)

    @property
    def exit_code(self) -> int:
        """0 when every row passes, else 1."""
        return 1 if self.failures else 0
