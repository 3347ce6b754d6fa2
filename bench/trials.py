"""Many trainings and what became of each: shared by ``bench.speakers`` and ``bench.ablation``.

A trial learns the ``train`` split of its labels and is judged on their ``held-out`` split. Students, checkpoints and
evaluations lie in the trial's folder, and what is there already is kept: run the same again after Ctrl-C, ``kill -9``
or a failure, and it goes on where it stopped. One that fails does not stop the others.
"""

from __future__ import annotations

import hashlib
import json
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from compile.cli.evaluate import Ensemble, open_subjects
from compile.errors import GateFailed, UserError
from compile.files import write_atomically
from distill.corpus.sources import HELD_OUT, TRAIN
from distill.digests import digest
from distill.evaluate import Speech, Subject, evaluate, from_labels
from distill.evaluate.render import as_json
from distill.labels.cache import Labels
from distill.students.folder import WEIGHTS
from distill.training.stage import Stage

if TYPE_CHECKING:
    from distill.training.loop import Step

RESULT, INT8 = "evaluation.json", "int8"
NO_ENSEMBLE = ", no ensemble"  # as phiz evaluate calls it
OTHERS = ("teacher", "always mean", "always closed")  # in every report

Tell = Callable[[str, int, int, str], None]
"""Called with (what is done, steps done, steps in all, a note)."""


@dataclass(frozen=True)
class Trial:
    """Stages that are trained one after the other, and the labels that the last one is judged by.

    Attributes:
        name: its own among all trials.
        folder: for the evaluation, and for the students, unless their stages say otherwise.
        stages: what is trained, in order.
        labels: folders; their ``train`` split is learnt, the ``held-out`` one is not.
    """

    name: str
    folder: Path
    stages: tuple[Stage, ...]
    labels: tuple[Labels, ...]


@dataclass(frozen=True)
class Manner:
    """How all trials are performed.

    Attributes:
        int8: judge the compiled student as well.
        ensemble: judge the mean of three taps, a single one, or both.
        device: to train on.
        jobs: processes at a time; they share the processor's threads.
    """

    int8: bool = False
    ensemble: Ensemble = Ensemble.BOTH
    device: str = "cpu"
    jobs: int = 1

    @property
    def subjects(self) -> tuple[str, ...]:
        """What the reports call that which is judged."""
        kinds = ("float", "int8") if self.int8 else ("float",)
        taps = {Ensemble.ON: ("",), Ensemble.OFF: (NO_ENSEMBLE,), Ensemble.BOTH: ("", NO_ENSEMBLE)}
        return tuple(kind + tap for kind in kinds for tap in taps[self.ensemble])


def add_manner(parser: ArgumentParser) -> None:
    """Let a command line say how trials are performed, see :func:`manner_of`."""
    parser.add_argument("--labels", type=Path, nargs="+", metavar="FOLDER", help="that phiz label wrote")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="of everything that is made")
    parser.add_argument("--steps", type=count, metavar="N", help="of every training, whatever is written")
    parser.add_argument("--int8", action="store_true", help="judge the compiled students as well")
    ensembles = [choice.value for choice in Ensemble]
    parser.add_argument("--ensemble", choices=ensembles, default="both", help="average three taps; default: both")
    parser.add_argument("--jobs", type=count, default=1, metavar="N", help="trainings at a time; default: 1")
    parser.add_argument("--device", default="auto", help="cpu, cuda, mps or auto (default)")


def manner_of(arguments: Namespace) -> Manner:
    """What :func:`add_manner` asked for."""
    return Manner(arguments.int8, Ensemble(arguments.ensemble), arguments.device, arguments.jobs)


def with_steps(stages: Sequence[Stage], steps: int | None) -> tuple[Stage, ...]:
    """Stages of so many steps each; None: as they are."""
    if steps is None:
        return tuple(stages)
    return tuple(replace(stage, recipe=replace(stage.recipe, steps=steps)) for stage in stages)


def count(text: str) -> int:
    """A whole number from 1; ValueError else."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def perform(trial: Trial, manner: Manner, tell: Tell) -> None:
    """Train what is not trained and judge what is not judged.

    Raises:
        UserError: as training, compiling and evaluating raise.
        GateFailed: the int8 student is none that the compiler would let pass.
    """
    from distill.training import parallel
    from distill.training.pipeline import note
    from distill.training.train import is_finished, train

    learnt = [labels for labels in trial.labels if labels.split(TRAIN)]
    with parallel.join(manner.device) as world:
        for stage in trial.stages:

            def step(step: Step, name: str = stage.name) -> None:
                tell(f"train {name}", step.done, step.total, note(step))

            if not is_finished(learnt, stage):
                train(learnt, stage, world, step)
    _judge(trial, manner, tell)


def _judge(trial: Trial, manner: Manner, tell: Tell) -> None:
    student = trial.stages[-1].out
    made_of = {
        "student": digest([student / WEIGHTS]),
        "speech": hashlib.sha256(
            "".join(
                f"{entry.key} {entry.speaker}\n" for labels in trial.labels for entry in labels.split(HELD_OUT)
            ).encode()
        ).hexdigest(),
        "teachers": [[labels.teacher, labels.version] for labels in trial.labels],
        "int8": manner.int8,
        "ensemble": manner.ensemble.value,
        "phiz": version("phiz"),
    }
    path = trial.folder / RESULT
    if path.is_file() and json.loads(path.read_text(encoding="utf-8"))["of"] == made_of:
        return
    subjects = [*_subjects(student, "float", manner.ensemble)]
    if manner.int8:
        subjects += _subjects(_compiled(trial, tell), "int8", manner.ensemble)
    report = evaluate(
        subjects, speech_of(trial), by=["speaker"], progress=lambda done, total: tell("evaluate", done, total, "")
    )
    facts = {"of": made_of, "report": json.loads(as_json.render(report))}
    write_atomically(path, (json.dumps(facts, indent=1, ensure_ascii=False) + "\n").encode())


def _subjects(model: Path, name: str, ensemble: Ensemble) -> Iterator[Subject]:
    for subject in open_subjects(model, ensemble):
        yield replace(subject, name=name + NO_ENSEMBLE if subject.name.endswith(NO_ENSEMBLE) else name)


def _compiled(trial: Trial, tell: Tell) -> Path:
    """The build folder of the trial's student, made by ``phiz compile``'s own functions, calibrated on what it learnt.

    Raises:
        GateFailed: it does not pass.
    """
    from compile.audit.budget import Budget
    from compile.build import build
    from compile.cli.tune import CLIPS, WINDOWS, capture, sound
    from compile.quantize.recipe import PROFILES
    from compile.request import Request
    from compile.samples import from_clips
    from targets.catalogue import find

    entries = [(labels, entry) for labels in trial.labels for entry in labels.split(TRAIN)]
    picked = [entries[index] for index in np.linspace(0, len(entries) - 1, min(CLIPS, len(entries))).astype(int)]
    captured = capture(trial.stages[-1].out)
    samples = from_clips(captured, [sound(*pick) for pick in picked], WINDOWS)
    out = trial.folder / INT8
    request = Request((find("onnx"),), PROFILES["int8"], samples, Budget(), None, None, out)
    built = build(captured, request, lambda stage, done, total: tell(f"compile: {stage}", done, total, ""))
    if built.failures:
        raise GateFailed(f"{out}: {'; '.join(built.failures)}")
    return built.folder


def speech_of(trial: Trial) -> Speech:
    """What is held out of all folders, one after the other, on the controls that the student learnt."""
    from distill import rigs
    from distill.evaluate.speech import Clip, driven

    parts = [from_labels(labels, HELD_OUT) for labels in trial.labels if labels.split(HELD_OUT)]
    if not parts:
        raise UserError("nothing is held out to judge by", where=trial.name, fix="label with --held-out")
    ends = list(accumulate(part.count for part in parts))

    def read(number: int) -> Clip:
        part = next(index for index, end in enumerate(ends) if number < end)
        return parts[part].read(number - ends[part] + parts[part].count)

    title, teacher = (
        ", ".join(dict.fromkeys(names)) for names in zip(*((p.title, p.teacher) for p in parts), strict=True)
    )
    whole = Speech(title, teacher, parts[0].controls, ends[-1], read)
    rig = trial.stages[-1].rig
    return whole if rig is None else driven(whole, rigs.read(rig))
