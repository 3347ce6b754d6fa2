"""``phiz distill``: a student learns the labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compile.cli.console import Stages, screen

if TYPE_CHECKING:
    from distill.train import Step


def distill(
    labels: Annotated[Path, typer.Argument(help="Folder that `phiz label` wrote.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the student.")] = Path("students/tiny"),
    student: Annotated[str, typer.Option(help="Architecture: tiny or small.")] = "tiny",
    steps: Annotated[int | None, typer.Option(min=1, help="Optimizer steps. Default: the recipe's.")] = None,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal students.")] = 0,
) -> None:
    """Train a student on labels; an interrupted run resumes from its checkpoint."""
    from dataclasses import replace

    from distill import labels as cache
    from distill.students import architecture
    from distill.train import Recipe, train

    recipe = Recipe(seed=seed)
    if steps is not None:
        recipe = replace(recipe, steps=steps)
    with Stages() as stages:
        train(cache.load(labels), architecture(student), recipe, out, lambda step: show_step(stages, step))
    screen().print(f"wrote {out}/", markup=False)


def show_step(stages: Stages, step: Step) -> None:
    """One tick of training progress."""
    stages("train", step.done, step.total, f"loss {step.loss:.3f}")
