"""``phiz distill``: a student learns the labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compile.cli.console import Stages, screen

if TYPE_CHECKING:
    from distill.loop import Step


def distill(
    labels: Annotated[
        Path, typer.Argument(metavar="LABELS", help="Folder that `phiz label` wrote.", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FOLDER", help="Folder of the student. Default: students/ARCHITECTURE."),
    ] = None,
    student: Annotated[str, typer.Option(metavar="ARCHITECTURE", help="tiny, small or reference.")] = "tiny",
    steps: Annotated[
        int | None, typer.Option(min=1, metavar="COUNT", help="Optimizer steps. Default: the recipe's, 2500.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="NUMBER", help="Equal seeds give equal students.")] = 0,
) -> None:
    """Train a student on labels; an interrupted run resumes from its checkpoint."""
    from dataclasses import replace

    from compile.files import plain_folder
    from distill import labels as cache
    from distill.students import architecture
    from distill.train import Recipe, is_finished, train

    shape = architecture(student)
    folder = plain_folder(Path("students") / shape.name if out is None else out)
    speech = cache.load(labels)
    recipe = Recipe(seed=seed)
    if steps is not None:
        recipe = replace(recipe, steps=steps)
    if is_finished(speech, shape, recipe, folder):
        screen().print(f"{folder}/ is this very student already; delete it to train again", markup=False)
        return
    with Stages() as stages:
        train(speech, shape, recipe, folder, lambda step: show_step(stages, step))
    screen().print(f"wrote {folder}/", markup=False)


def show_step(stages: Stages, step: Step) -> None:
    """One tick of training progress."""
    stages("train", step.done, step.total, f"loss {step.loss:.3f}")
