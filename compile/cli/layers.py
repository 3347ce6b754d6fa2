"""What ``phiz compile --errors`` prints: where the error comes from, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from compile.quantize.layers import LayerErrors

_BAR = 20  # characters for the largest share


def show_errors(report: LayerErrors, console: Console) -> None:
    """Print one plan's report, and what to do about it at the end."""
    table = Table(
        title=Text(f"layers of {', '.join(report.targets)}"), title_justify="left", box=None, padding=(0, 2, 0, 0)
    )
    for column in ("layer", "operator", "scheme", "before", "after", "error", "of it by", ""):
        table.add_column(column, justify="right" if column in ("before", "after", "error") else "left")
    largest = max((layer.share for layer in report.layers), default=0.0)
    for layer in report.layers:
        name = f"{layer.node} ({layer.source})" if layer.source not in ("", layer.node) else layer.node
        table.add_row(
            *map(Text, (name, layer.operator, layer.scheme, f"{layer.before_db:.1f} dB", f"{layer.after_db:.1f} dB")),
            *map(Text, (f"{layer.share:.1%}", _kinds({kind.value: share for kind, share in layer.shares.items()}))),
            Text("█" * round(_BAR * layer.share / largest) if largest else ""),
        )
    console.print(table)
    console.print(
        "before, after: SQNR of what the layer reads and makes. error: the share of the error at the network's output "
        "that its own rounding causes, measured alone; together they are "
        f"{report.explained:.2f} of the whole error, which is {report.sqnr_db:.1f} dB down.",
        markup=False,
    )
    console.print(f"{report.advice}\n", style="bold", markup=False)


def _kinds(shares: Mapping[str, float]) -> str:
    total = sum(shares.values())
    return ", ".join(f"{kind} {share / total:.0%}" for kind, share in shares.items()) if total else ""
