"""What ``phiz compile`` prints of a build."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from compile.build import Built
    from compile.fallback import Borrowed


def describe(built: Built | Borrowed, console: Console) -> None:
    """Print what a build did: which road it took, and the auditor's table."""
    from compile.audit.table import show
    from compile.build import Built

    if isinstance(built, Built):
        _describe_direct(built, console)
    else:
        console.print(f"\nconverted by litert-torch, for {built.because}", markup=False, style="yellow")
        console.print(f"scheme: {built.scheme.value} throughout, by ai-edge-quantizer", style="bold")
        for target in built.left_out:
            console.print(f"  left out: {target}, this road leads to TFLite only", markup=False, style="yellow")
        console.print()
    show(built.report, console)
    console.print(f"{'rejected' if built.failures else 'wrote'} {built.folder}/", markup=False)


def _describe_direct(built: Built, console: Console) -> None:
    """Simplify's report, the schemes, and what each layer costs where that was asked for."""
    from compile.cli.layers import show_errors

    done = built.simplified
    console.print(f"\nsimplify: {len(done.rewrites)} rewrites, {len(done.refusals)} refused", style="bold")
    for line in done.rewrites:
        console.print(f"  {line}", markup=False)
    for line in done.refusals:
        console.print(f"  refused: {line}", markup=False, style="yellow")
    count: dict[str, int] = {}
    for decision in built.plan.decisions.values():
        count[decision.scheme.value] = count.get(decision.scheme.value, 0) + 1
    console.print(
        "schemes: " + ", ".join(f"{number} nodes {name}" for name, number in sorted(count.items())), style="bold"
    )
    for name, decision in built.plan.decisions.items():
        if decision.because.startswith(("rule", "alone")):
            console.print(f"  {name}: {decision.scheme.value}, {decision.because}", markup=False)
    console.print()
    for report in built.errors:
        show_errors(report, console)
