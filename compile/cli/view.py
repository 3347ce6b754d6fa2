"""``phiz view``: a page on which heads speak, side by side, with their curves beside them."""

from __future__ import annotations

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
    from distill.animation.view.speech import Span
    from distill.animation.view.takes import MOST
    from distill.students.folder import FACTS

    curves, heard = _sorted(sources, audio)
    models = list(model or ()) or ([USUAL] if heard and not curves and teacher is None else [])
    if heard is None and (models or teacher):
        raise UserError(
            "there is no audio to hear", where="--model" if models else "--teacher", fix="name an audio file"
        )
    if teacher is None and (text or teacher_path):
        raise UserError(
            "there is no teacher to use it", where="--text" if text else "--teacher-path", fix="--teacher NAME"
        )
    if end is not None and not end > begin:
        raise UserError(f"{end:g} is not after {begin:g}", where="--to", fix="choose --to after --from")
    span = Span(begin, float("inf") if end is None else end)
    drives = [found for one in models for found in _faces(one, also_float)]
    if also_float and not any((face.path / FACTS).is_file() for face in drives):
        raise UserError("no model's folder holds a student", where="--float", fix="name a student's folder with -m")
    if (count := len(curves) + len(drives) + (teacher is not None)) > MOST:
        raise UserError(f"a page shows at most {MOST} faces, not {count}", fix="leave some out")
    page = _page_of(out, heard or curves[0])
    with Stages() as stages:
        steps = count + 1
        speech = None if heard is None else _speech(heard, text, language, span)
        content = _first(speech, curves, span)
        takes: list[Take] = []
        for path in curves:
            stages("gather", len(takes), steps)
            takes.append(_recorded(path, span))
        if teacher is not None and speech is not None:
            stages("gather", len(takes), steps)
            content, take = _labelled(content, speech, teacher, teacher_path, span)
            takes.insert(0, take)
        for face in drives:
            stages("gather", len(takes), steps)
            assert speech is not None
            takes.append(face.take(speech, span, ensemble))
        stages("gather", count, steps)
        content = replace(content, takes=_told_apart(takes))
        head = load()
        written = render(content, head)
        write_atomically(page, written)
        stages("gather", steps, steps)
    for name, lacking in unknown(content, {shape.name for shape in head.shapes}).items():
        more = f" and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else ""
        said = f"{name}: the head has no shape for {', '.join(lacking[:SHOWN])}{more}; its curves are on the page"
        screen().print(said, style="yellow", markup=False)
    screen().print(f"wrote {page}: {len(written):,} bytes, {content.seconds:.1f} s", markup=False)
    if show:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())


@dataclass(frozen=True)
class Speech:
    """The piece of an audio file that is heard, at 16 kHz and with what lies around it."""

    source: Source
    heard: Array


@dataclass(frozen=True)
class Model:
    """A student, or an artefact, and what the page calls it."""

    name: str
    path: Path

    def take(self, speech: Speech, span: Span, ensemble: bool) -> Take:
        """What it does with the speech; its own sample rate is given to it."""
        from compile.cli.face import open_face
        from distill.animation.view.speech import driven, listen
        from distill.audio import SAMPLE_RATE

        opened = open_face(self.path)
        face = opened.face
        heard = speech.heard
        if face.sample_rate != SAMPLE_RATE:
            heard = listen(speech.source.path, span, face.sample_rate)
        return driven(opened.drive, heard, span, self.name, face.controls, face.frame_rate, ensemble)


def _sorted(sources: Sequence[Path], audio: Path | None) -> tuple[list[Path], Path | None]:
    """Which of them are curves, and which is the sound."""
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
    from distill.students.folder import FACTS

    place = locate(reference)
    artefact = artefact_of(place)
    shipped = str(reference).startswith(SHIPPED)
    name = str(reference) if shipped else place.resolve().name
    if artefact == place:
        within = place.resolve().parent.name
        student = (place / FACTS).is_file()
        return [Model(f"{name}, float" if student else f"{within}/{name}".lstrip("/"), place)]
    found = [Model(f"{name}/{artefact.name}", artefact)]
    if also_float and (place / FACTS).is_file():
        found.insert(0, Model(f"{name}, float", place))
    return found


def _speech(path: Path, text: str, language: str, span: Span) -> Speech:
    from distill.animation.view.speech import listen
    from distill.corpus.sources import find

    found = find([path])
    if len(found) != 1:
        raise UserError(f"it holds {len(found)} audio files", where=str(path), fix="name one of them")
    (source,) = found
    if text:
        source = replace(source, text=text, language=language, phones=None)
    return Speech(source, listen(source.path, span))


def _first(speech: Speech | None, curves: Sequence[Path], span: Span) -> View:
    """The page without faces."""
    from distill.animation.view.speech import sound, spoken
    from distill.animation.view.takes import View

    if speech is None:
        return View(curves[0].name, (), begin=span.begin)
    source = speech.source
    said = source.text if span.begin == 0 else ""
    return View(source.path.name, (), sound(speech.heard, span), spoken(source, span), "", span.begin, said)


def _recorded(path: Path, span: Span) -> Take:
    from distill.animation.view.speech import recorded

    return recorded(path, path.name, span)


def _labelled(content: View, speech: Speech, name: str, folder: Path | None, span: Span) -> tuple[View, Take]:
    """The page with the phones that the teacher went by, and what it does."""
    from distill.animation.view.speech import labelled
    from distill.teachers.catalogue import open_teacher

    teacher = open_teacher(name, folder)
    called = f"{teacher.name}, teacher"
    take, phones, remark = labelled(teacher, speech.source, speech.heard, span, called)
    if remark:
        screen().print(f"{called}: {remark}", style="yellow", markup=False)
    return replace(content, phones=phones, ear=f"the {teacher.name} teacher") if phones else content, take


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
