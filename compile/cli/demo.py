"""``phiz demo``: the whole road on synthetic speech, with nothing but what pip installed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from compile.cli.bake import bake_file
from compile.cli.build import Job, free_build_folder, run_builds
from compile.cli.console import screen
from compile.cli.distill import show_step
from compile.cli.face import artefact_of, open_face
from compile.cli.progress import Stages
from compile.errors import GateFailed, MissingExtra
from targets.catalogue import USUAL

if TYPE_CHECKING:
    from distill.corpus.sources import Source
    from distill.evaluate import Report
    from distill.evaluate.report import Row

TRAINING = 1200  # sentences, about an hour of speech
CALIBRATION = 24  # sentences, of which a third judges parity
EVALUATION = 60  # sentences, unseen by training and calibration
CAP = 3_400_000
GOAL = 0.85


@dataclass(frozen=True)
class Spoken:
    """The demo's three corpora; they share no sentence, and the last two no voice, with the first."""

    training: list[Source]
    calibration: list[Source]
    evaluation: list[Source]


def demo(
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder for everything the demo makes.")
    ] = Path("phiz-demo"),
    minutes: Annotated[float, typer.Option(min=0.01, max=1440, metavar="MINUTES", help="Most minutes to train.")] = 3.0,
    sentences: Annotated[
        int, typer.Option(min=1, max=100_000, metavar="COUNT", help="Sentences to speak for training.")
    ] = TRAINING,
    seed: Annotated[int, typer.Option(min=0, metavar="NUMBER", help="Of the corpus and the training.")] = 0,
) -> None:
    """Speak, label, train, compile, check, audit and bake: the whole road in about five minutes on two cores.

    A self-test on synthetic voices: the student it makes has never heard a human being. What an earlier run finished
    in the folder is used again; with less time or fewer sentences the lips miss their goal, and the exit code is 1.
    """
    from compile.config import BuildConfig
    from compile.files import plain_folder
    from compile.quantize.recipe import PROFILES
    from distill.evaluate.figures import shown
    from distill.labels import cache as labels
    from distill.students.folder import require_free
    from distill.teachers.phonetic import PhoneticTeacher
    from distill.training.stage import Recipe, Stage
    from distill.training.train import is_finished, train

    started = time.monotonic()
    _require_everything()
    out = plain_folder(out)
    free_build_folder(out / "build")
    require_free(out / "student")
    console = screen()
    console.print("phiz demo: a self-test on synthetic voices. Its student is no student for people.", style="bold")
    with Stages() as stages:
        spoken = speak(out / "speech", sentences, seed, stages)
        cache, _ = labels.label(spoken.training, PhoneticTeacher(), out / "labels", progress=partial(stages, "label"))
        recipe = Recipe(steps=3000, seed=seed, time_limit=minutes * 60, precision="auto")
        stage = Stage("student", out / "student", recipe=recipe)
        if is_finished([cache], stage):
            console.print(f"{stage.out}/ is trained already; delete it to train again", markup=False)
        train([cache], stage, progress=lambda step: show_step(stages, step))

    build = BuildConfig("demo", tuple(target.name for target in USUAL), CAP, CAP)
    calibration = [str(source.path) for source in spoken.calibration]
    run_builds(
        Job(
            str(out / "student"),
            [(build, out / "build")],
            PROFILES["int8"],
            calibration,
            min_sqnr=30.0,
            budget="the demo",
        )
    )

    with Stages() as stages:
        report = judge(out, spoken.evaluation, stages)
        stages("bake", 0, 1)
        sentence = max(spoken.evaluation, key=lambda source: sum(p.symbol in "pbm" for p in source.phones or ()))
        baked = bake_file(sentence, open_face(artefact_of(out / "build")), out / "curves")
    console.print()
    console.print(closure_table(report))
    for path in baked:
        console.print(f"baked {path}", markup=False)
    console.print(f"{time.monotonic() - started:.0f} s in all; everything is in {out}/", markup=False)
    short = [
        f"{row.subject}: closure {name} {shown(f'closure.{name}', value)}, goal {GOAL}"
        for row in judged(report)
        for name in ("recall", "precision")
        if (value := row.figure(f"closure.{name}").value) is None or value < GOAL
    ]
    if short:
        raise GateFailed("; ".join(short))


def _require_everything() -> None:
    """Say before the work starts what would be missed at its end."""
    for package in ("espeakng_loader", "av", "torch", "onnxscript", "safetensors", "matplotlib"):
        if find_spec(package) is None:
            raise MissingExtra("phiz demo", "all", package)
    for target in USUAL:
        target.require(target.writer, f"writing {target.title}")


def speak(folder: Path, sentences: int, seed: int, stages: Stages) -> Spoken:
    """Synthesise the demo's corpora, unless they are there already."""
    from distill.corpus import sources as corpus

    training, unheard = (
        corpus.synthesize(folder / name, corpus.plan(count, seed, split), partial(stages, f"synthesise {name}"))
        for name, count, split in (
            ("training", sentences, corpus.TRAIN),
            ("held-out", CALIBRATION + EVALUATION, corpus.HELD_OUT),
        )
    )
    return Spoken(training, unheard[:CALIBRATION], unheard[CALIBRATION:])


def judge(out: Path, evaluation: list[Source], stages: Stages) -> Report:
    """Teacher, float student and int8 student on sentences with exact phone times, by one measure."""
    from distill import audio
    from distill.evaluate import Subject, evaluate, from_utterances
    from distill.students.folder import load, predict
    from distill.teachers.base import Utterance
    from distill.teachers.phonetic import PhoneticTeacher

    speech = from_utterances(
        PhoneticTeacher(),
        [Utterance(audio.decode(source.path), tuple(source.phones or ())) for source in evaluation],
    )
    student, _, _ = load(out / "student")
    compiled = open_face(out / "build" / "student.tflite")
    rate = compiled.face.frame_rate
    subjects = (
        Subject("student, float", compiled.face.controls, partial(predict, student)),
        Subject("student, int8 (TFLite)", compiled.face.controls, lambda heard: compiled.speak(heard, False, rate)),
    )
    return evaluate(subjects, speech, progress=partial(stages, "evaluate"))


def judged(report: Report) -> list[Row]:
    """The teacher, then its students."""
    from distill.evaluate.report import STUDENT, TEACHER

    return [row for kind in (TEACHER, STUDENT) for row in report.clean if row.kind == kind]


def closure_table(report: Report) -> Table:
    """The figures of the lips."""
    from distill.evaluate.figures import shown

    figures = ("closure.recall", "closure.precision", "closure.depth", "r2", "jitter")
    table = Table(title=f"Lips on /p b m/: {EVALUATION} held-out synthetic sentences, voices never heard", min_width=80)
    for column in ("", "recall", "precision", "depth", "R2", "jitter"):
        table.add_column(column, justify="left" if column == "" else "right")
    for row in judged(report):
        table.add_row(row.subject, *(shown(name, row.figure(name).value) for name in figures))
    table.caption = "depth, R2 and jitter are relative to the teacher"
    return table
