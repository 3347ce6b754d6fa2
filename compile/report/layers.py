"""Where the error comes from, layer by layer: what ``phiz compile --errors`` prints, as a table with bars."""

from __future__ import annotations

import math
from collections.abc import Iterator

from compile.audit.render.page.markup import Markup, join, tag
from compile.audit.render.words import brief
from compile.quantize.layers import Layer, LayerErrors
from compile.quantize.noise import Kind

_MOST = 100  # layers; of more, those that cause most
_HEADS = ("Layer", "Operator", "Scheme", "Before", "After", "Error", "", *(kind.value.capitalize() for kind in Kind))


def layers(reports: tuple[LayerErrors, ...]) -> Markup:
    """A table for each plan."""
    return join(_table(report) for report in reports)


def _table(report: LayerErrors) -> Markup:
    worst = sorted(report.layers, key=lambda layer: -layer.share)[:_MOST]
    largest = max((layer.share for layer in worst), default=0.0)
    shown = [layer for layer in report.layers if layer in worst]
    rows = (tag("tr", *_cells(layer, largest)) for layer in shown)
    left = len(report.layers) - len(shown)
    rest = tag("p", f"[{left:,} others, which cause less]", class_="rest") if left else Markup("")
    head = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in _HEADS)))
    what = (
        f"Each layer's own rounding, alone, and its share of the error at the output, which lies "
        f"{_decibel(report.sqnr_db)} below the signal. Together they are {report.explained:.2f} of the whole."
    )
    return tag(
        "section",
        tag("h2", "Error by layer ", tag("small", ", ".join(report.targets))),
        tag("p", what, class_="note"),
        tag("div", tag("table", head, tag("tbody", *rows), class_="layers"), class_="scroll"),
        rest,
        tag("p", tag("b", report.advice), class_="advice"),
    )


def _cells(layer: Layer, largest: float) -> Iterator[Markup]:
    source = layer.source if layer.source != layer.node else ""
    yield tag("th", brief(layer.node, 40), tag("small", brief(source, 40)), scope="row")
    yield tag("td", layer.operator)
    yield tag("td", layer.scheme)
    yield tag("td", _decibel(layer.before_db))
    yield tag("td", _decibel(layer.after_db))
    yield tag("td", f"{layer.share:.1%}")
    width = 100 * layer.share / largest if largest else 0
    yield tag("td", tag("div", tag("i", style=f"width:{width:.1f}%"), class_="lane"), aria_hidden="true")
    for kind in Kind:
        yield tag("td", f"{layer.shares[kind]:.1%}" if kind in layer.shares else "")


def _decibel(value: float) -> str:
    return "exact" if value == math.inf else f"{value:.1f} dB"
