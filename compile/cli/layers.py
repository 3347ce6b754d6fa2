"""What ``phiz compile --errors`` prints: where the error comes from, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from compile.quantize.layers import Layer, LayerErrors

_BAR = 20  # characters for the largest share
_WIDE = 120  # columns that the whole table fits


def show_errors(report: LayerErrors, console: Console) -> None:
    """Print one plan's report and what to do about it; on less than 120 columns without operators and bars."""
    wide = console.width >= _WIDE
    title = Text(f"layers of {', '.join(report.targets)}")
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2 if wide else 1, 0, 0))
    columns = [column for column in _COLUMNS if wide or not column.extra]
    for column in columns:
        table.add_column(column.heading, justify=column.justify, overflow="fold")
    largest = max((layer.share for layer in report.layers), default=0.0)
    for layer in report.layers:
        table.add_row(*(Text(column.cell(layer, largest)) for column in columns))
    console.print(table)
    console.print(
        "before, after: SQNR of what the layer reads and of what it makes. error: the share of the error at the "
        "network's output that its own rounding causes, measured alone, and how much of that is by its weights, its "
        f"input and its output. Together they are {report.explained:.2f} of the whole error, which lies "
        f"{report.sqnr_db:.1f} dB below the signal.",
        markup=False,
    )
    console.print(f"{report.advice}\n", style="bold", markup=False, soft_wrap=True)  # rules can be copied


@dataclass(frozen=True)
class _Column:
    """What it says of a layer, given the largest share of any; ``extra`` ones are left out where there is no room."""

    heading: str
    cell: Callable[[Layer, float], str]
    justify: Literal["left", "right"] = "right"
    extra: bool = False


def _name(layer: Layer, _: float) -> str:
    return f"{layer.node} ({layer.source})" if layer.source not in ("", layer.node) else layer.node


def _bar(layer: Layer, largest: float) -> str:
    return "█" * round(_BAR * layer.share / largest) if largest else ""


def _decibel(value: float) -> str:
    return "exact" if value == math.inf else f"{value:.1f} dB"


def _by(kind: str) -> _Column:
    def cell(layer: Layer, _: float) -> str:
        shares = {by.value: share for by, share in layer.shares.items()}
        return f"{shares[kind]:.1%}" if kind in shares else ""

    return _Column(kind, cell)


_COLUMNS = (
    _Column("layer", _name, "left"),
    _Column("operator", lambda layer, _: layer.operator, "left", extra=True),
    _Column("scheme", lambda layer, _: layer.scheme, "left"),
    _Column("before", lambda layer, _: _decibel(layer.before_db)),
    _Column("after", lambda layer, _: _decibel(layer.after_db)),
    _Column("error", lambda layer, _: f"{layer.share:.1%}"),
    *map(_by, ("weights", "input", "output")),
    _Column("", _bar, "left", extra=True),
)
