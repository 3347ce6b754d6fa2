"""What ``phiz compile`` prints of a build."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from compile.build import Built
    from compile.fallback import Borrowed
    from compile.quantize.lifting import Step

ROWS = 12  # of the price list


def describe(built: Built | Borrowed, console: Console) -> None:
    """Print what a build did: which road it took, and the auditor's table."""
    from compile.audit.render.terminal import show
    from compile.build import Built
    from compile.landing import PAGE

    if isinstance(built, Built):
        _describe_direct(built, console)
    else:
        console.print(f"\nconverted by litert-torch, because {built.because}", markup=False, style="yellow")
        console.print(f"scheme: {built.scheme.value} throughout, by ai-edge-quantizer", style="bold")
        for target in built.left_out:
            console.print(f"  left out: {target}, this road leads to TFLite only", markup=False, style="yellow")
        console.print()
    show(built.report, console)
    console.print(f"{'rejected' if built.failures else 'wrote'} {built.folder}/", markup=False)
    if (page := built.folder / PAGE).exists():
        console.print(f"the page: {page}", markup=False)


def _describe_direct(built: Built, console: Console) -> None:
    """Simplify's report, the schemes, and what each layer costs where that was asked for."""
    from compile.cli.layers import show_errors
    from compile.units import counted

    done = built.simplified
    console.print(f"\nsimplify: {counted(len(done.rewrites), 'rewrite')}, {len(done.refusals)} refused", style="bold")
    for line in done.rewrites:
        console.print(f"  {line}", markup=False)
    for line in done.refusals:
        console.print(f"  refused: {line}", markup=False, style="yellow")
    count: dict[str, int] = {}
    for decision in built.plan.decisions.values():
        count[decision.scheme.value] = count.get(decision.scheme.value, 0) + 1
    schemes = ", ".join(f"{counted(number, 'node')} {name}" for name, number in sorted(count.items()))
    console.print(f"schemes: {schemes}", style="bold")
    for name, decision in built.plan.decisions.items():
        if decision.because.startswith(("rule", "lifted", "int8 steps")):
            console.print(f"  {name}: {decision.scheme.value}, {decision.because}", markup=False)
    if built.prices:
        show_prices(built.prices, console)
    console.print()
    for report in built.errors:
        show_errors(report, console)


def show_prices(steps: Sequence[Step], console: Console) -> None:
    """What could be lifted to reach the quality asked for, and what each step would bring and cost."""
    from rich.table import Table

    console.print("\nwhat each further step would bring and cost, best value first:", style="bold")
    table = Table(box=None)
    for column in ("lift", "to", "brings", "file", "memory", "time, about"):
        table.add_column(column, justify="left" if column in ("lift", "to") else "right", no_wrap=column != "lift")
    for step in steps[:ROWS]:
        names, schemes = zip(*step.schemes, strict=True)
        wanted = ", ".join(dict.fromkeys(scheme.value for scheme in schemes))
        cost = step.cost
        sizes = (f"{size:+,} B" for size in (cost.bytes, cost.memory))
        table.add_row(", ".join(names), wanted, step.brings, *sizes, f"{cost.microseconds:+.0f} us")
    console.print(table)
    if len(steps) > ROWS:
        console.print(f"and {len(steps) - ROWS} more")
