"""A recipe from beginning to end: labels that are not there yet, then stage after stage; what is finished is kept."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from distill import rigs
from distill.corpus import sources as corpus
from distill.labels import cache as labels
from distill.labels.cache import Labels
from distill.pretrained import locate
from distill.students import folder as students
from distill.training.recipe import Corpus, Plan
from distill.training.stage import Stage
from distill.training.train import is_finished, train

if TYPE_CHECKING:
    from distill.training.loop import Step
    from distill.training.parallel import World
    from distill.training.tensorboard import Events

Progress = Callable[[str, int, int, str], None]
"""Called with (what is done, steps done, steps in all, a note)."""


def perform(plan: Plan, world: World, progress: Progress) -> tuple[Stage, ...]:
    """Label and train what a recipe says; every process of ``world`` calls this with equal arguments.

    Args:
        plan: see ``recipe.read``.
        world: the processes that work together, see ``parallel.join``.
        progress: called in rank 0.

    Returns:
        The stages that were trained now; the students of the others were there already.

    Raises:
        UserError: as labelling and training raise, or a student that a stage needs is not there.
        MissingExtra: a package that one of them takes is not installed.
    """
    require(plan)
    folders = [gather(one, world, progress) for one in plan.corpora]
    trained = []
    for stage in plan.stages:
        if is_finished(folders, stage):
            continue
        with closing(_Screen(plan, stage, progress)) as screen:
            train(folders, stage, world, screen)
        trained.append(stage)
    return tuple(trained)


def require(plan: Plan) -> None:
    """Say before the work starts what would be missed hours later.

    Raises:
        UserError: a guide or a student to begin with is not there, or a rig cannot be read, or the folder of a student
            holds other things.
        MissingExtra: events are asked for, and tensorboardX is not installed.
    """
    made = set()
    for stage in plan.stages:
        for name in (stage.guide, stage.init):
            if name and name not in made:
                students.read_facts(locate(name))
        if stage.rig is not None:
            rigs.read(stage.rig)
        students.require_free(stage.out)
        made.add(str(stage.out))
    if plan.events is not None:
        from distill.training.tensorboard import Events

        Events(plan.events)


def gather(source: Corpus, world: World, progress: Progress) -> Labels:
    """The labels of a corpus; those that are not there yet are made, by all processes together.

    Raises:
        UserError: the folder holds no labels, or nothing could be labelled.
    """
    from distill.teachers.catalogue import open_teacher
    from distill.training import parallel

    if not source.made:
        return labels.load(source.folder)
    sources = corpus.find(source.audio) if source.audio else []
    if source.synthetic:
        lines, speech = corpus.plan(source.synthetic, seed=0), source.folder / "speech"

        def speak() -> None:
            corpus.synthesize(speech, lines, lambda done, total: progress("synthesise", done, total, ""))

        parallel.first_then_all(world, speak)
        sources += corpus.find([speech])
    if source.held_out:
        sources = corpus.divide(sources, source.held_out, "file" if source.split_by == "file" else "speaker")
    reopen = partial(open_teacher, source.teacher, source.teacher_path, source.offset)

    def tell(done: int, total: int) -> None:
        if world.first:
            progress(f"label {source.folder.name}", done, total, "")

    return labels.label(sources, reopen(), source.folder, progress=tell, jobs=source.jobs, reopen=reopen)[0]


class _Screen:
    """Who looks on while a stage is trained: the user, and TensorBoard if the plan has a place for its events."""

    def __init__(self, plan: Plan, stage: Stage, progress: Progress) -> None:
        self._name, self._progress = f"train {stage.name}", progress
        self._events: Events | None = None
        if plan.events is not None:
            from distill.training.tensorboard import Events

            self._events = Events(plan.events / stage.name)

    def __call__(self, step: Step) -> None:
        self._progress(self._name, step.done, step.total, note(step))
        if self._events is not None:
            self._events(step)

    def close(self) -> None:
        if self._events is not None:
            self._events.close()


def note(step: Step) -> str:
    """A step in a few words: ``loss 0.83 = value 0.53 + velocity 0.30; held out: R2 0.61, closure 0.72``."""
    terms = " + ".join(f"{name} {value:.3f}" for name, value in step.terms.items())
    words = f"loss {step.loss:.3f}" + (f" = {terms}" if len(step.terms) > 1 else "")
    held_out = ", ".join(f"{name} {value:.3f}" for name, value in step.held_out.items())
    return f"{words}; held out: {held_out}" if held_out else words
