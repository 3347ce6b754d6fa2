"""How far the artefacts stand from the float model, from the quantised graph, and from each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from compile.audit.render.page.markup import Markup, tag
from compile.audit.render.words import brief
from compile.parity import HUB, RARE, Parity


def agreement(results: Mapping[str, Parity]) -> Markup:
    """A row an artefact; distances in quantisation steps of the output."""
    others = [name for name in (HUB, *results) if any(name in result.steps for result in results.values())]
    heads = ("Artefact", "SQNR", "Largest error", *(f"to {name}" for name in others))
    head = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in heads)))
    rows = (tag("tr", *_cells(name, result, others)) for name, result in results.items())
    return tag(
        "section",
        tag("h2", "Parity", id="parity"),
        tag(
            "p",
            "On input that calibration never saw: against the float model, and in quantisation steps of the output "
            "against the quantised graph (hub) and against each other, where they have one plan; below the largest "
            f"distance stands that of all values but one in {RARE}.",
            class_="note",
        ),
        tag("div", tag("table", head, tag("tbody", *rows), class_="parity"), class_="scroll"),
        *(tag("p", brief(line, 1_000), class_="reason") for result in results.values() for line in result.failures),
    )


def _cells(name: str, result: Parity, others: list[str]) -> Iterator[Markup]:
    yield tag("th", name, tag("small", "" if result.status == "run" else brief(result.status, 200)), scope="row")
    yield tag("td", _or_none(result.sqnr_db, "{:.1f} dB", "exact"))
    yield tag("td", _or_none(result.error, "{:.2%}"))
    for other in others:
        usual = _or_none(result.usual.get(other), "{:.2f}")
        yield tag("td", _or_none(result.steps.get(other), "{:.2f}"), tag("small", usual))


def _or_none(value: float | None, form: str, endless: str = "") -> str:
    if value is None:
        return ""
    return endless if value == float("inf") else form.format(value)
