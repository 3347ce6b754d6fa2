"""What to build: everything that decides what a build folder holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from compile.audit.budget import Budget
from compile.quantize.ranges import OUTPUT, Method
from compile.quantize.recipe import Profile
from compile.samples import Split
from targets.catalogue import Target

Progress = Callable[[str, int, int], None]  # (stage, done, total)


@dataclass(frozen=True)
class Request:
    """What to build.

    Attributes:
        targets: in order.
        profile: recipe of quantisation, and how far it may be refined.
        samples: to calibrate and to judge.
        budget: of the auditor; its limits are in bytes.
        min_sqnr: dB that every target must reach; None for no gate.
        max_steps: overrides the built-in limits between targets.
        out: the build folder.
        ranges: how much of each activation is worth covering.
        bias_correction: whether biases take back what rounding shifts.
        errors: whether to measure every layer's error, and write ``errors.json``.
        page: whether to write ``report.html``, which tells these errors, too.
    """

    targets: tuple[Target, ...]
    profile: Profile
    samples: Split
    budget: Budget
    min_sqnr: float | None
    max_steps: float | None
    out: Path
    ranges: Method = OUTPUT
    bias_correction: bool = True
    errors: bool = False
    page: bool = False
