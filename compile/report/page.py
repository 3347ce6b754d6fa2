"""``report.html``: all that is known of a build, as one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compile.audit.render.page import html
from compile.audit.render.page.markup import Markup, tag
from compile.audit.report import Report
from compile.parity import Parity
from compile.quantize.layers import LayerErrors
from compile.report.agreement import agreement
from compile.report.curves import curves
from compile.report.layers import layers
from compile.report.origin import origin
from compile.report.spoken import Spoken


@dataclass(frozen=True)
class Facts:
    """What the page tells.

    Attributes:
        report: of the auditor.
        manifest: as in ``manifest.json``.
        parity: by target.
        errors: layer by layer, one report a plan; empty on a road without a plan.
        spoken: curves of float and compiled.
    """

    report: Report
    manifest: Mapping[str, Any]
    parity: Mapping[str, Parity]
    errors: tuple[LayerErrors, ...]
    spoken: Spoken


def render(facts: Facts) -> bytes:
    """UTF-8; the same build, the same bytes."""
    trusted = bool(facts.manifest["calibration"]["trusted"])
    warning = Markup("") if trusted else tag("p", _UNTRUSTED, class_="reason")
    before = (warning, curves(facts.spoken, trusted), agreement(facts.parity), layers(facts.errors))
    styles = (("compile.audit.render.page", "charts.css"), ("compile.report", "report.css"))
    return html.render(
        facts.report, brand="phiz compile", before=before, after=(origin(facts.manifest),), styles=styles, terms=_TERMS
    )


_UNTRUSTED = "Calibrated on random input: no figure of quality below is to be trusted. Give --calibrate real input."
_TERMS = (
    ("SQNR", "signal to quantisation noise against the float model, in decibels; 6 dB more halve the error."),
    ("Largest error", "as a share of the range of the output in which it occurs."),
    ("Step", "of an output: what one in int8 means; 1/255 of its calibrated range where it stays float."),
    ("Before, after", "SQNR of what a layer reads, and of what it makes."),
)
