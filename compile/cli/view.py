"""``phiz view``: a page on which heads speak, side by side, with their curves beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compile.cli.console import screen
from compile.cli.progress import Stages
from compile.errors import UserError

if TYPE_CHECKING:
    from distill.animation.view.speech import Array, Span
    from distill.animation.view.takes import Take, View
    from distill.corpus.sources import Source
    from distill.teachers.base import Teacher

CURVES = (".csv", ".json", ".npz")
USUAL = Path("phiz:tiny")
SHOWN = 12  # controls that are named


def view(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE", help="One audio file, curves (.csv, .json, .npz), or both.", show_default=False
        ),
    ],
    audio: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The sound of the curves.", show_default=False)
    ] = None,
    model: Annotated[
        list[Path] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="PATH",
            help="Build folder, artefact, student folder, or phiz:NAME; may repeat. Default of audio: phiz:tiny.",
            show_default=False,
        ),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Also what this teacher does, as `phiz label` takes it.", show_default=False),
    ] = None,
    teacher_path: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder of the teacher's files.", show_default=False)
    ] = None,
    text: Annotated[
        str, typer.Option(metavar="TEXT", help="What is said, for a teacher that goes by it.", show_default=False)
    ] = "",
    language: Annotated[str, typer.Option(metavar="CODE", help="Of --text.")] = "en",
    also_float: Annotated[
        bool, typer.Option("--float", help="Also each model in float, where its folder holds the student.")
    ] = False,
    ensemble: Annotated[
        bool, typer.Option(help="Average three taps around each frame: calmer, three times the work.")
    ] = True,
    begin: Annotated[float, typer.Option("--from", min=0, metavar="SECONDS", help="Where the page begins.")] = 0.0,
    end: Annotated[
        float | None,
        typer.Option("--to", min=0, metavar="SECONDS", help="Where it ends. Default: the end.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="The page. Default: NAME.view.html here.", show_default=False),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Write a page on which up to four heads speak side by side: one file that needs no network.

    Teacher and student: `phiz view speech.wav --teacher phonetic -m phiz:tiny`. Float and int8: `phiz view speech.wav
    --float`. docs/view.md says what is on the page.
    """
    from compile.files import write_atomically
    from distill.animation.head import load
    from distill.animation.view.page import render
    from distill.animation.view.parts import unknown

    asked = _asked(sources, audio, model or (), teacher, teacher_path, text, language, also_float, begin, end)
    page = _page_of(out, asked.curves[0] if asked.source is None else asked.source.path)
    with Stages() as stages:
        content = _gather(asked, ensemble, stages)
        head = load()
        written = render(content, head)
        write_atomically(page, written)
    for name, lacking in unknown(content, {shape.name for shape in head.shapes}).items():
        more = f" and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else ""
        said = f"{name}: the head has no shape for {', '.join(lacking[:SHOWN])}{more}; its curves are on the page"
        screen().print(said, style="yellow", markup=False)
    screen().print(f"wrote {page}: {len(written):,} bytes, {content.seconds:.1f} s", markup=False)
    if show:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())


@dataclass(frozen=True)
class Model:
    """A student, or an artefact, and what the page calls it."""

    name: str
    path: Path

    @property
    def is_float(self) -> bool:
        """Whether it is a student, and no artefact of one."""
        from distill.students.folder import FACTS

        return (self.path / FACTS).is_file()


@dataclass(frozen=True)
class Asked:
    """What is to be on the page: faces by curves, a teacher and models, which hear ``span`` of ``source``."""

    curves: tuple[Path, ...]
    models: tuple[Model, ...]
    teacher: Teacher | None
    source: Source | None
    span: Span


def _asked(
    sources: Sequence[Path],
    audio: Path | None,
    models: Sequence[Path],
    teacher: str | None,
    teacher_path: Path | None,
    text: str,
    language: str,
    also_float: bool,
    begin: float,
    end: float | None,
) -> Asked:
    """What the options mean.

    Raises:
        UserError: they contradict each other, ask for too much, or name what is not there.
    """
    from distill.animation.view.speech import Span
    from distill.animation.view.takes import MOST
    from distill.teachers.catalogue import open_teacher

    curves, sound = _sorted(sources, audio)
    if sound is None and (models or teacher):
        where = "--model" if models else "--teacher"
        raise UserError("there is no audio to hear", where=where, fix="name an audio file")
    if teacher is None and (text or teacher_path):
        where = "--text" if text else "--teacher-path"
        raise UserError("there is no teacher to use it", where=where, fix="name one with --teacher")
    if end is not None and not end > begin:
        raise UserError(f"{end:g} is not after {begin:g}", where="--to", fix="choose --to after --from")
    if sound and not curves and teacher is None:
        models = models or [USUAL]
    found = tuple(face for one in models for face in _faces(one, also_float))
    if also_float and not any(face.is_float for face in found):
        raise UserError("no model's folder holds a student", where="--float", fix="name a student's folder with -m")
    if (count := len(curves) + len(found) + (teacher is not None)) > MOST:
        raise UserError(f"a page shows at most {MOST} faces, not {count}", fix="leave some out")
    return Asked(
        tuple(curves),
        found,
        None if teacher is None else open_teacher(teacher, teacher_path),
        None if sound is None else _source(sound, text, language),
        Span(begin, float("inf") if end is None else end),
    )


def _sorted(sources: Sequence[Path], audio: Path | None) -> tuple[list[Path], Path | None]:
    """Which of them are curves, and which is the sound."""
    for path in sources:
        if path.suffix.lower() in (".glb", ".html"):
            fix = f"give the curves that it was made of: {', '.join(CURVES)}"
            raise UserError("it is made to be looked at, and its curves are not read back", where=str(path), fix=fix)
    curves = [path for path in sources if path.suffix.lower() in CURVES]
    sounds = [path for path in sources if path.suffix.lower() not in CURVES] + ([] if audio is None else [audio])
    if len(sounds) > 1:
        names = " and ".join(str(path) for path in sounds[:2])
        raise UserError(f"a page has one sound, not {names}", fix="give one audio file, and curves or models for faces")
    return curves, sounds[0] if sounds else None


def _faces(reference: Path, also_float: bool) -> list[Model]:
    """The artefact that a model means, after its student in float where both are asked for."""
    from compile.cli.face import artefact_of
    from distill.pretrained import SHIPPED, locate

    place = locate(reference)
    artefact = artefact_of(place)
    folder = str(reference) if str(reference).startswith(SHIPPED) else place.resolve().name
    if artefact == place:
        whole = Model(f"{folder}, float", place)
        return [whole if whole.is_float else Model(f"{place.resolve().parent.name}/{folder}".lstrip("/"), place)]
    student = Model(f"{folder}, float", place)
    return [*([student] if also_float and student.is_float else []), Model(f"{folder}/{artefact.name}", artefact)]


def _source(path: Path, text: str, language: str) -> Source:
    """The audio, and what is known about it."""
    from distill.corpus.sources import find

    found = find([path])
    if len(found) != 1:
        raise UserError(f"it holds {len(found)} audio files", where=str(path), fix="name one of them")
    return replace(found[0], text=text, language=language, phones=None) if text else found[0]


def _gather(asked: Asked, ensemble: bool, stages: Stages) -> View:
    """The content of the page: the teacher first, for differences are from the first face."""
    from distill.animation.view.speech import labelled, listen, recorded, sound, spoken
    from distill.animation.view.takes import View

    steps = len(asked.models) + 1
    stages("gather", 0, steps)
    span, source = asked.span, asked.source
    ready_made = [recorded(path, path.name, span) for path in asked.curves]
    if source is None:
        return View(asked.curves[0].name, _told_apart(ready_made), begin=span.begin)
    heard = listen(source.path, span)
    phones, ear = spoken(source, span), ""
    takes: list[Take] = []
    if asked.teacher is not None:
        name = f"{asked.teacher.name}, teacher"
        take, went_by, remark = labelled(asked.teacher, source, heard, span, name)
        takes.append(take)
        if went_by:
            phones, ear = went_by, f"the {asked.teacher.name} teacher"
        if remark:
            screen().print(f"{name}: {remark}", style="yellow", markup=False)
    takes += ready_made
    for number, model in enumerate(asked.models, 1):
        stages("gather", number, steps)
        takes.append(_take(model, source, heard, span, ensemble))
    said = "" if span.begin or math.isfinite(span.end) else source.text
    return View(source.path.name, _told_apart(takes), sound(heard, span), phones, ear, span.begin, said)


def _take(model: Model, source: Source, heard: Array, span: Span, ensemble: bool) -> Take:
    """What a model does with the speech, of which it is given its own sample rate."""
    from compile.cli.face import open_face
    from distill.animation.view.speech import driven, listen
    from distill.audio import SAMPLE_RATE

    opened = open_face(model.path)
    face = opened.face
    if face.sample_rate != SAMPLE_RATE:
        heard = listen(source.path, span, face.sample_rate)
    return driven(opened.drive, heard, span, model.name, face.controls, face.frame_rate, ensemble)


def _told_apart(takes: Sequence[Take]) -> tuple[Take, ...]:
    """Faces that are called alike get numbers."""
    seen: dict[str, int] = {}
    found = []
    for take in takes:
        seen[take.name] = seen.get(take.name, 0) + 1
        found.append(take if seen[take.name] == 1 else replace(take, name=f"{take.name} ({seen[take.name]})"))
    return tuple(found)


def _page_of(out: Path | None, source: Path) -> Path:
    """Where the page goes: never onto what it is made of."""
    from compile.cli.publish import require_outputs

    page = Path(f"{source.stem}.view.html") if out is None else out
    require_outputs(page)
    if page.suffix.lower() not in (".html", ".htm"):
        raise UserError("a page ends in .html", where=str(page), fix="name it so with -o")
    if page.is_dir():
        raise UserError("it is a folder", where=str(page), fix="name a file with -o")
    return page
