"""One artefact: its numbers, its bytes as a map, its activations over time, what to do, and what changed."""

from __future__ import annotations

from collections.abc import Iterator

from compile.audit.render.page.bytemap import bytemap
from compile.audit.render.page.changes import MINUS, changes
from compile.audit.render.page.markup import Markup, elide, join, tag
from compile.audit.render.page.overview import both, pill, verdict
from compile.audit.render.page.timeline import timeline
from compile.audit.report import Row
from compile.audit.sizes import Sizes
from compile.units import short_size

_NAMED = 8  # of what is unknown


def artefact(row: Row, key: str) -> Markup:
    """A section whose ids begin with ``key``."""
    parts = [
        tag("h2", elide(row.target, 60), " ", tag("small", elide(row.path)), id=f"{key}-name"),
        tag("p", pill(verdict((row,))), class_="verdict"),
    ]
    if row.sizes is None:
        parts += [tag("p", reason, class_="reason") for reason in row.reasons]
        parts.append(tag("p", "Its bytes could not be read, so nothing is known of them.", class_="note"))
    else:
        parts.append(tag("dl", *_numbers(row, row.sizes), class_="numbers"))
        parts.append(_unknown(row.sizes))
    if row.difference is not None:
        parts.append(changes(row.difference, key))
    if row.dissection is not None:
        parts.append(bytemap(row.dissection, key))
        parts.append(timeline(row.dissection, row.arena, key))
        parts.append(_findings(row))
    parts.append(_notes(row))
    return tag("section", *parts, id=key, class_="artefact", aria_labelledby=f"{key}-name")


def _numbers(row: Row, sizes: Sizes) -> Iterator[Markup]:
    least = "≥ " if sizes.unknown else ""
    ratio = "" if row.ratio is None else f"{row.ratio:.3f} of the least that its weights can take"
    yield _number("File", both(sizes.file), ratio)
    brotli = "" if sizes.brotli is None else f"; brotli {short_size(sizes.brotli)} ({sizes.brotli:,})"
    yield _number("Download", both(sizes.download), f"deflate{brotli}")
    yield _number("Resident weights", both(sizes.weights))
    bound = "the lower bound itself" if sizes.activations == sizes.bound else f"lower bound {sizes.bound:,}"
    yield _number("Peak activations", both(sizes.activations, least), bound)
    yield _number("Footprint", both(sizes.footprint, least), "weights and activations")
    if sizes.measured is not None:
        yield _number("Measured", both(sizes.measured), "growth of a fresh process")
    if row.parity.sqnr_db is not None:
        steps = "" if row.parity.steps is None else f"largest error {row.parity.steps:.2f} quantisation steps"
        yield _number("Parity", (tag("b", f"{row.parity.sqnr_db:.1f} dB"),), steps)


def _number(name: str, values: Iterator[Markup] | tuple[Markup, ...], remark: str = "") -> Markup:
    said = tag("dd", remark, class_="remark") if remark else Markup("")
    return tag("div", tag("dt", name), tag("dd", *values), said)


def _unknown(sizes: Sizes) -> Markup:
    if not sizes.unknown:
        return Markup("")
    shown = [tag("li", elide(reason, 160)) for reason in sizes.unknown[:_NAMED]]
    if len(sizes.unknown) > _NAMED:
        shown.append(tag("li", f"[{len(sizes.unknown) - _NAMED:,} others]"))
    what = "The bytes do not tell, so that what is given with ≥ may be more:"
    return tag("div", tag("p", tag("b", "? "), what), tag("ul", *shown), class_="unknown-list")


def _findings(row: Row) -> Markup:
    heading = tag("h3", "Findings")
    if not row.findings:
        return tag("section", heading, tag("p", "Nothing to be won was found.", class_="note"))
    items = (
        tag(
            "li",
            tag("b", f"{MINUS}{short_size(finding.saves)}" if finding.saves else "", class_="saves"),
            tag(
                "div",
                tag("p", tag("code", finding.rule), " ", finding.what),
                tag("p", f"→ {finding.fix}", class_="fix"),
            ),
        )
        for finding in row.findings
    )
    return tag("section", heading, tag("ol", *items, class_="findings"))


def _notes(row: Row) -> Markup:
    notes = [*row.notes]
    if row.parity.status.startswith("not run"):
        notes.append(f"Parity: {row.parity.status}.")
    elif row.parity.evaluated_with:
        notes.append(f"Parity: evaluated with {row.parity.evaluated_with}; its runtime {row.parity.runtime}.")
    if not notes:
        return Markup("")
    return tag("section", tag("h3", "Notes"), tag("ul", join(tag("li", note) for note in notes)))
