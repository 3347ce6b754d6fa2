"""``phiz distill``: a student learns the labels, as the flags or a recipe say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compile.cli.console import screen
from compile.cli.progress import Stages
from compile.errors import UserError

if TYPE_CHECKING:
    from distill.training.loop import Step
    from distill.training.recipe import Plan
    from distill.training.stage import Stage


def distill(
    what: Annotated[
        Path,
        typer.Argument(
            metavar="LABELS|RECIPE.toml", help="Folder that `phiz label` wrote, or a recipe.", show_default=False
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FOLDER", help="Folder of the student. Of a recipe: of all its students, by name."
        ),
    ] = None,
    student: Annotated[
        str | None,
        typer.Option(metavar="ARCHITECTURE", help="tiny, small, low-latency, tiny-low-latency … Default: tiny."),
    ] = None,
    look_ahead: Annotated[
        str | None, typer.Option(metavar="TIME", help="Of the student, '0 ms' to '256 ms'. Default: its own.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, metavar="COUNT", help="Optimizer steps. Default: 2500, with --qat 600.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, metavar="NUMBER", help="Equal seeds give equal students. Default: 0.")
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="A trained student to go on from, also one that ships, as phiz:tiny."),
    ] = None,
    device: Annotated[
        str, typer.Option(metavar="NAME", help="cpu, cuda, mps, or auto: a GPU where there is one.")
    ] = "auto",
    events: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write events for TensorBoard there.", show_default=False)
    ] = None,
    aware: Annotated[
        bool, typer.Option("--qat", help="Fine-tune the student in --init under the plan that the compiler has for it.")
    ] = False,
    scheme: Annotated[
        str | None, typer.Option(metavar="SCHEME", help="With --qat: as `phiz compile` takes it. Default: w8a8.")
    ] = None,
    rule: Annotated[
        list[str] | None, typer.Option(metavar="RULE", help="With --qat: as `phiz compile` takes it; may repeat.")
    ] = None,
) -> None:
    """Train a student on labels, or do all that a recipe says; an interrupted run resumes from its checkpoint.

    Under torchrun, the processes of all machines train together.
    """
    if aware:
        _refuse({"--look-ahead": look_ahead, "--student": student}, "--qat keeps the architecture of --init")
        _refuse({"--events": events}, "--qat writes none")
        _fine_tune(what, init, out, (scheme or "w8a8", tuple(rule or ())), steps, seed or 0)
        return
    _refuse({"--scheme": scheme, "--rule": rule}, "it is for fine-tuning", "add --qat, or leave it out")
    if what.suffix == ".toml":
        _refuse({"--student": student, "--look-ahead": look_ahead, "--init": init}, "the recipe says it")
        plan = _varied(what, out, steps, seed, events)
    else:
        plan = _short(what, out, student, look_ahead, steps, seed, init, events)
    _perform(plan, device)


def _perform(plan: Plan, device: str) -> None:
    try:
        from distill.training import parallel
    except ModuleNotFoundError as error:
        from compile.errors import MissingExtra

        raise MissingExtra("training", "torch", error.name or "torch") from error
    from distill.training.pipeline import perform

    with parallel.join(device) as world, Stages(quiet=not world.first) as stages:
        trained = perform(plan, world, stages)
        if not world.first:
            return
    for stage in plan.stages:
        there = f"{stage.out}/ is this very student already; delete it to train again"
        screen().print(f"wrote {stage.out}/" if stage in trained else there, markup=False)


def _short(
    labels: Path,
    out: Path | None,
    student: str | None,
    look_ahead: str | None,
    steps: int | None,
    seed: int | None,
    init: str | None,
    events: Path | None,
) -> Plan:
    """The recipe that the flags mean: one stage on one folder of labels."""
    from dataclasses import replace

    from compile.files import plain_folder
    from distill.pretrained import locate
    from distill.students import folder as students
    from distill.training.recipe import Corpus, Plan, milliseconds
    from distill.training.stage import TUNING, Recipe, Stage

    recipe, ahead = Recipe(), None if look_ahead is None else milliseconds(look_ahead, "--look-ahead")
    if init is not None:
        shape = students.shape_of(students.read_facts(locate(init)))
        student, ahead = student or shape.name, shape.look_ahead_ms if ahead is None else ahead
        recipe = replace(recipe, learning_rate=TUNING)
    name = student or Stage.student
    students.architecture(name, ahead)
    folder = plain_folder(Path("students") / name if out is None else out)
    stage = Stage(name=name, out=folder, student=name, look_ahead=ahead, init=init or "", recipe=recipe)
    return Plan(labels, (Corpus(labels),), (_changed(stage, steps, seed),), events)


def _varied(path: Path, out: Path | None, steps: int | None, seed: int | None, events: Path | None) -> Plan:
    """A recipe, with what the flags change in all its stages."""
    from dataclasses import replace

    from distill.training.recipe import moved, read

    plan = read(path)
    if out is not None:
        plan = moved(plan, out)
    stages = tuple(_changed(stage, steps, seed) for stage in plan.stages)
    return replace(plan, stages=stages, events=events or plan.events)


def _changed(stage: Stage, steps: int | None, seed: int | None) -> Stage:
    from dataclasses import replace

    recipe = stage.recipe
    recipe = replace(recipe, steps=recipe.steps if steps is None else steps, seed=recipe.seed if seed is None else seed)
    return replace(stage, recipe=recipe)


def _fine_tune(
    labels: Path, init: str | None, out: Path | None, plan: tuple[str, tuple[str, ...]], steps: int | None, seed: int
) -> None:
    """``--qat``; ``plan`` is the scheme and the rules."""
    from dataclasses import replace

    from compile.cli.settings import named_profile
    from compile.cli.tune import tune
    from compile.files import plain_folder
    from distill.labels import cache
    from distill.pretrained import SHIPPED, locate
    from distill.training.qat import Recipe

    if init is None:
        raise UserError("--qat fine-tunes a trained student", fix="name its folder with --init")
    begin = locate(init)
    if out is None:
        out = Path(f"{init.removeprefix(SHIPPED)}-qat") if init.startswith(SHIPPED) else _beside(begin)
    begin, folder = plain_folder(begin), plain_folder(out)
    if folder.resolve() == begin.resolve():
        raise UserError("it is the student to begin with", where=str(folder), fix="choose another with -o")
    recipe = Recipe(seed=seed)
    if steps is not None:
        recipe = replace(recipe, steps=steps)
    tune(cache.load(labels), begin, named_profile("--scheme", *plan, None), recipe, folder)


def _beside(folder: Path) -> Path:
    from compile.files import plain_folder

    folder = plain_folder(folder)
    return folder.with_name(f"{folder.name}-qat")


def _refuse(flags: dict[str, object], why: str, fix: str = "leave it out") -> None:
    """Say of flags that were given although they mean nothing here that they do."""
    for flag, given in flags.items():
        if given:
            raise UserError(why, where=flag, fix=fix)


def show_step(stages: Stages, step: Step) -> None:
    """One tick of training progress."""
    from distill.training.pipeline import note

    stages("train", step.done, step.total, note(step))
