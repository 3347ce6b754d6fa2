"""``phiz distill``: a student learns the labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compile.cli.console import screen
from compile.cli.progress import Stages
from compile.errors import UserError

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
    student: Annotated[
        str | None, typer.Option(metavar="ARCHITECTURE", help="tiny, small or reference. Default: tiny.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, metavar="COUNT", help="Optimizer steps. Default: 2500, with --qat 600.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="NUMBER", help="Equal seeds give equal students.")] = 0,
    aware: Annotated[
        bool, typer.Option("--qat", help="Fine-tune the student in --init under the plan that the compiler has for it.")
    ] = False,
    init: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="With --qat: a trained student. Default of -o: FOLDER-qat.")
    ] = None,
    scheme: Annotated[
        str | None, typer.Option(metavar="SCHEME", help="With --qat: as `phiz compile` takes it. Default: w8a8.")
    ] = None,
    rule: Annotated[
        list[str] | None, typer.Option(metavar="RULE", help="With --qat: as `phiz compile` takes it; may repeat.")
    ] = None,
) -> None:
    """Train a student on labels, or fine-tune one for int8; an interrupted run resumes from its checkpoint."""
    from dataclasses import replace

    from compile.files import plain_folder
    from distill import labels as cache
    from distill.stage import Recipe
    from distill.students import architecture
    from distill.train import is_finished, train

    if aware:
        _fine_tune(labels, init, student, out, (scheme or "w8a8", tuple(rule or ())), steps, seed)
        return
    for flag, given in {"--init": init, "--scheme": scheme, "--rule": rule}.items():
        if given:
            raise UserError("it is for fine-tuning", where=flag, fix="add --qat, or leave it out")
    shape = architecture(student or "tiny")
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


def _fine_tune(
    labels: Path,
    init: Path | None,
    student: str | None,
    out: Path | None,
    plan: tuple[str, tuple[str, ...]],
    steps: int | None,
    seed: int,
) -> None:
    """``--qat``; ``plan`` is the scheme and the rules."""
    from dataclasses import replace

    from compile.cli.build import named_profile
    from compile.cli.tune import tune
    from compile.files import plain_folder
    from distill import labels as cache
    from distill.qat import Recipe

    if init is None:
        raise UserError("--qat fine-tunes a trained student", fix="name its folder with --init")
    if student is not None:
        raise UserError("--qat keeps the architecture of --init", where="--student", fix="leave it out")
    init = plain_folder(init)
    folder = plain_folder(init.with_name(f"{init.name}-qat") if out is None else out)
    if folder.resolve() == init.resolve():
        raise UserError("it is the student to begin with", where=str(folder), fix="choose another with -o")
    recipe = Recipe(seed=seed)
    if steps is not None:
        recipe = replace(recipe, steps=steps)
    tune(cache.load(labels), init, named_profile("--scheme", *plan, None), recipe, folder)


def show_step(stages: Stages, step: Step) -> None:
    """One tick of training progress."""
    stages("train", step.done, step.total, f"loss {step.loss:.3f}")
