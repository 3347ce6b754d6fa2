"""One artefact: its numbers, its bytes as a map, its activations over time, what to do, and what changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from compile.audit.findings.finding import Finding
from compile.audit.measured import INFERENCES
from compile.audit.render.page.bytemap import bytemap
from compile.audit.render.page.changes import changes
from compile.audit.render.page.figures import MINUS, beside, both, pill, size, verdict
from compile.audit.render.page.markup import Markup, tag
from compile.audit.render.page.timeline import timeline
from compile.audit.render.words import brief
from compile.audit.report import Row
from compile.audit.sizes import Sizes
from compile.units import short_size

_NAMED = 5  # of what is unknown
_FINDINGS = 40


def artefact(row: Row, key: str, alone: bool) -> Markup:
    """A section whose ids begin with ``key``; alone, it leaves the verdict to the report."""
    parts = [
        tag("h2", brief(row.label, 96), " ", tag("small", beside(row)), id=f"{key}-name"),
    ]
    if not alone:
        parts.append(tag("p", pill(verdict((row,))), class_="verdict"))
        parts += [tag("p", brief(reason, 1_000), class_="reason") for reason in row.reasons]
    if row.sizes is None:
        parts.append(tag("p", "Its bytes could not be read, so nothing more is known of them.", class_="note"))
    else:
        parts += [tag("dl", *_numbers(row, row.sizes), class_="numbers"), _unknown(row.sizes)]
    if row.difference is not None:
        parts.append(changes(row.difference, key))
    if row.dissection is not None:
        parts += [bytemap(row.dissection, key), timeline(row.dissection, row.arena, key), _findings(row.findings)]
    parts.append(_notes(row))
    return tag("section", *parts, id=key, class_="artefact", aria_labelledby=f"{key}-name")


def _numbers(row: Row, sizes: Sizes) -> Iterator[Markup]:
    ratio = "" if row.ratio is None else f"{row.ratio:.3f} of the least that its weights can take"
    yield _number("File", size(sizes, "file"), ratio)
    brotli = "" if sizes.brotli is None else f"; brotli {short_size(sizes.brotli)} ({sizes.brotli:,})"
    yield _number("Download", size(sizes, "download"), f"deflate{brotli}")
    yield _number("Resident weights", size(sizes, "weights"))
    bound = "the lower bound itself" if sizes.activations == sizes.bound else f"lower bound {sizes.bound:,}"
    yield _number("Peak activations", size(sizes, "activations"), bound)
    yield _number("Footprint", size(sizes, "footprint"), "weights and activations")
    if row.measured is not None:
        found = row.measured
        remark = (
            f"growth of a process after {INFERENCES} runs, ± {short_size(found.spread)}; {brief(found.runtime, 60)}"
        )
        yield _number("Measured", both(found.last), remark)
        if found.machine_code is not None:
            yield _number("Machine code", both(found.machine_code), "as that compiler made it, without constants")
    if row.parity.sqnr_db is not None:
        steps = "" if row.parity.steps is None else f"largest error {row.parity.steps:.2f} quantisation steps"
        yield _number("Parity", (tag("b", f"{row.parity.sqnr_db:.1f} dB"),), steps)


def _number(name: str, values: Iterable[Markup], remark: str = "") -> Markup:
    said = tag("dd", remark, class_="remark") if remark else Markup("")
    return tag("div", tag("dt", name), tag("dd", *values), said)


def _unknown(sizes: Sizes) -> Markup:
    if not sizes.unknown:
        return Markup("")
    shown = [tag("li", brief(reason)) for reason in sizes.unknown[:_NAMED]]
    if len(sizes.unknown) > _NAMED:
        shown.append(tag("li", f"[{len(sizes.unknown) - _NAMED:,} others]"))
    what = "The bytes do not tell these, so that what is marked with ≥ may be more:"
    return tag("div", tag("p", tag("b", "? "), what), tag("ul", *shown), class_="unknown-list")


def _findings(found: Sequence[Finding]) -> Markup:
    heading = tag("h3", "Findings")
    if not found:
        return tag("section", heading, tag("p", "Nothing to be won was found.", class_="note"))
    items = [
        tag(
            "li",
            tag("b", f"{MINUS}{short_size(finding.saves)}" if finding.saves else "", class_="saves"),
            tag(
                "div",
                tag("p", tag("code", brief(finding.rule, 60)), " ", brief(finding.what, 1_000)),
                tag("p", f"→ {brief(finding.fix, 1_000)}", class_="fix"),
            ),
        )
        for finding in found[:_FINDINGS]
    ]
    if len(found) > _FINDINGS:
        items.append(tag("li", tag("b", ""), tag("p", f"[{len(found) - _FINDINGS:,} others]", class_="fix")))
    return tag("section", heading, tag("ol", *items, class_="findings"))


def _notes(row: Row) -> Markup:
    notes = [*row.notes, *(row.dissection.notes if row.dissection else ())]
    if row.parity.status.startswith("not run"):
        notes.append(f"parity {row.parity.status}")
    elif row.parity.evaluated_with:
        notes.append(f"parity evaluated with {row.parity.evaluated_with}; its runtime itself {row.parity.runtime}")
    if not notes:
        return Markup("")
    items = (tag("li", brief(note, 1_000)) for note in dict.fromkeys(notes))
    return tag("section", tag("h3", "Notes"), tag("ul", *items, class_="notes"))
