"""``phiz evaluate``: how well students and artefacts speak, against their teacher and against the truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compile.cli.console import screen
from compile.cli.face import artefact_of, open_face
from compile.cli.progress import Stages
from compile.errors import GateFailed, UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from distill.evaluate import Report, Speech, Subject
    from distill.evaluate.gates import Gate
    from distill.rigs import Rig
    from distill.teachers.base import Teacher

    Array = NDArray[np.float32]
    Opened = tuple[tuple[str, ...], Callable[[bool, Array], Array]]

SHOWN = 20  # files that were skipped


class Ensemble(str, Enum):
    """Whether predictions are averaged over three taps, as ``phiz bake`` does."""

    ON = "on"
    OFF = "off"
    BOTH = "both"


def evaluate(
    models: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="MODEL",
            help="Student folders, build folders, artefacts, or phiz:NAME; none: only the teacher and the floors.",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Judge on what `phiz label` wrote.", show_default=False),
    ] = None,
    speech: Annotated[
        list[str] | None,
        typer.Option(
            metavar="AUDIO",
            help="Judge on audio files, folders, globs or manifests, which the teacher labels first; may repeat.",
            show_default=False,
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only train or held-out. Default: held-out of --labels, all of --speech."),
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --speech: as `phiz label` takes it. Default: phonetic.")
    ] = None,
    teacher_path: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder of the teacher's files.", show_default=False)
    ] = None,
    rig: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Bring the teacher's curves to this rig, which the models drive."),
    ] = None,
    noise: Annotated[
        list[str] | None,
        typer.Option(metavar="LEVEL", help="Also in noise so far below the speech, such as 20dB; may repeat."),
    ] = None,
    by: Annotated[
        str, typer.Option(metavar="WHAT", help="Also by speaker, language or truth; several with commas.")
    ] = "",
    ensemble: Annotated[Ensemble, typer.Option(help="Average three taps around each frame.")] = Ensemble.ON,
    by_ear: Annotated[
        bool,
        typer.Option("--by-ear", help="Also judge the phonetic teacher where nobody tells it the phones or the text."),
    ] = False,
    most: Annotated[
        int | None, typer.Option(min=1, metavar="COUNT", help="At most so many utterances, chosen evenly.")
    ] = None,
    gate: Annotated[
        list[str] | None,
        typer.Option(metavar="GATE", help="Such as 'closure.f1 >= 0.85 of teacher'; exit code 1 else; may repeat."),
    ] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as JSON.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as a page with plots.")] = None,
) -> None:
    """Judge how well faces speak: closed and rounded lips, fit to the teacher, calm, lag, silence, noise.

    docs/evaluation.md defines every figure. Exit codes: 0 good, 1 a gate does not hold or could not be measured.
    """
    from distill.evaluate import evaluate as run
    from distill.evaluate.render.terminal import show
    from distill.evaluate.run import BY
    from distill.evaluate.sounds import parse_noise
    from distill.evaluate.speech import driven
    from distill.rigs import read

    _require_outputs(json, html)
    driver = None if rig is None else read(rig)
    keys = _keys(by, tuple(BY))
    noises = tuple(dict.fromkeys(parse_noise(text) for text in noise or ()))
    subjects = [subject for model in models or () for subject in open_subjects(model, ensemble)]
    ceilings = [_listening(driver)] if by_ear else []
    gates = _gates(gate or (), [subject.name for subject in subjects], [one.name for one in ceilings], noises, keys)
    with Stages() as stages, _speech(labels, speech, split, teacher, teacher_path, most, stages) as heard:
        progress = partial(stages, "evaluate")
        if driver is not None:
            heard = driven(heard, driver)
        report = run(subjects, heard, ceilings=ceilings, noises=noises, by=keys, progress=progress)
    report = replace(report, verdicts=tuple(verdict for gate in gates for verdict in gate.judge(report)))
    show(report, screen())
    _write(report, json, html)
    if report.failures:
        raise GateFailed("; ".join(f"{one.subject}: {one.gate}: {one.detail}" for one in report.failures))


def open_subjects(model: Path, ensemble: Ensemble) -> Iterator[Subject]:
    """What is to be judged of one model: a student in float, an artefact, or both where a folder holds both.

    Raises:
        UserError: it is no speech-to-face model, or not what its metadata says.
    """
    from distill.evaluate import Subject
    from distill.pretrained import locate
    from distill.students.folder import FACTS

    place = locate(model)
    artefact = artefact_of(place)
    found: list[tuple[str, Opened]] = []
    if (place / FACTS).is_file():
        found.append((str(model), _student(place)))
    if artefact != place or not found:
        found.append((str(artefact if place == model else model / artefact.name), _artefact(artefact)))
    for name, (controls, predict) in found:
        for averaged in _TAPS[ensemble]:
            called = name if averaged else f"{name}, no ensemble"
            yield Subject(called, controls, partial(predict, averaged))


_TAPS = {Ensemble.ON: (True,), Ensemble.OFF: (False,), Ensemble.BOTH: (True, False)}


def _student(folder: Path) -> Opened:
    """A student in float: its controls, and a predictor that is told whether to average."""
    from distill.audio import HOP, SAMPLE_RATE
    from distill.students.folder import load, predict, read_facts

    student, _, _ = load(folder)

    def curves(averaged: bool, audio: Array) -> Array:
        return predict(student, audio, frame_rate=SAMPLE_RATE / HOP, ensemble=averaged)

    return tuple(read_facts(folder)["controls"]), curves


def _artefact(path: Path) -> Opened:
    """The same of an artefact, in its own runtime."""
    from distill.audio import HOP, SAMPLE_RATE

    opened = open_face(path)
    face = opened.face
    if face.sample_rate != SAMPLE_RATE:
        raise UserError(f"it hears {face.sample_rate} Hz; speech is judged at {SAMPLE_RATE} Hz", where=str(path))

    def curves(averaged: bool, audio: Array) -> Array:
        return opened.speak(audio, averaged, SAMPLE_RATE / HOP)

    return face.controls, curves


def _listening(rig: Rig | None) -> Subject:
    """The phonetic teacher as a student is: it gets the audio and nothing else."""
    from distill.evaluate import Subject
    from distill.teachers.base import Utterance
    from distill.teachers.phonetic import PhoneticTeacher

    teacher = PhoneticTeacher()

    def curves(audio: Array) -> Array:
        heard = teacher.curves(Utterance(audio))
        return heard if rig is None else rig.map(heard)

    return Subject("teacher by ear", teacher.controls if rig is None else rig.controls, curves)


@contextmanager
def _speech(
    labels: Path | None,
    audio: Sequence[str] | None,
    split: str | None,
    teacher: str | None,
    teacher_path: Path | None,
    most: int | None,
    stages: Stages,
) -> Iterator[Speech]:
    """The utterances: of a labels folder, or labelled now into a temporary one."""
    from tempfile import TemporaryDirectory

    from distill.corpus import sources as corpus
    from distill.evaluate import from_labels
    from distill.labels import cache
    from distill.teachers.catalogue import open_teacher

    if (labels is None) == (not audio):
        raise UserError("name what to judge on", fix="give either --labels FOLDER or --speech AUDIO")
    if split not in (None, corpus.TRAIN, corpus.HELD_OUT):
        raise UserError(f"there is no split '{split}'", where="--split", fix="choose train or held-out")
    if labels is not None:
        if teacher is not None or teacher_path is not None:
            raise UserError("labels have their teacher", where="--teacher", fix="leave it out, or give --speech")
        yield from_labels(cache.load(labels), split or corpus.HELD_OUT, most)
        return
    who: Teacher = open_teacher(teacher or "phonetic", teacher_path)
    sources = [source for source in corpus.find(audio or ()) if split in (None, source.split)]
    if not sources:
        raise UserError(f"of this audio, nothing is in the split '{split}'", where="--split")
    with TemporaryDirectory(prefix="phiz-evaluate-") as folder:
        made, summary = cache.label(sources, who, Path(folder) / "labels", progress=partial(stages, "label"))
        for path, reason in summary.skipped[:SHOWN]:
            screen().print(f"skipped {reason if path in reason else f'{path}: {reason}'}", style="yellow", markup=False)
        if len(summary.skipped) > SHOWN:
            screen().print(f"skipped {len(summary.skipped) - SHOWN} more", style="yellow", markup=False)
        yield replace(from_labels(made, None, most), title=", ".join(audio or ()))


def _keys(by: str, known: Sequence[str]) -> tuple[str, ...]:
    keys = tuple(dict.fromkeys(key.strip() for key in by.split(",") if key.strip()))
    for key in keys:
        if key not in known:
            raise UserError(f"there is nothing known by '{key}'", where="--by", fix=f"choose of: {', '.join(known)}")
    return keys


def _gates(
    texts: Sequence[str], names: Sequence[str], ceilings: Sequence[str], noises: Sequence[float], by: Sequence[str]
) -> list[Gate]:
    from distill.evaluate.gates import parse

    if texts and not names:
        raise UserError("there is no model to hold to it", where="--gate", fix="name a student or a build")
    known = [*names, "teacher", *ceilings, "always mean", "always closed"]
    return [parse(text, known, noises, by) for text in texts]


def _require_outputs(*paths: Path | None) -> None:
    from compile.cli.publish import require_outputs

    require_outputs(*paths)


def _write(report: Report, json: Path | None, html: Path | None) -> None:
    from compile.files import write_atomically

    if json is not None:
        from distill.evaluate.render import as_json

        write_atomically(json, as_json.render(report))
    if html is not None:
        from distill.evaluate.render.page import html as page

        write_atomically(html, page.render(report))
    for path in (json, html):
        if path is not None:
            screen().print(f"wrote {path}", markup=False)
