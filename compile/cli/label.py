"""``phiz label``: a teacher labels speech."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compile.cli.console import screen
from compile.cli.progress import Stages
from compile.errors import UserError

if TYPE_CHECKING:
    from distill.teachers.base import Teacher


def _phonetic() -> Teacher:
    from distill.teachers.phonetic import PhoneticTeacher

    return PhoneticTeacher()


TEACHERS: Mapping[str, Callable[[], Teacher]] = {"phonetic": _phonetic}


def label(
    audio: Annotated[
        list[str] | None,
        typer.Argument(metavar="AUDIO", help="Audio files, folders or globs.", show_default=False),
    ] = None,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="FOLDER", help="Folder of the labels; what is there already is kept."),
    ] = Path("labels"),
    teacher: Annotated[str, typer.Option(metavar="NAME", help="Who labels: phonetic.")] = "phonetic",
    synthetic: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="COUNT",
            help="Also speak this many synthetic sentences into the folder's speech/ and label them.",
        ),
    ] = 0,
) -> None:
    """Label speech with a teacher; finished labels are kept, so an interrupted run goes on where it stopped."""
    from distill import corpus, labels

    if teacher not in TEACHERS:
        raise UserError(f"unknown teacher '{teacher}'", where="--teacher", fix=f"choose from: {', '.join(TEACHERS)}")
    if not audio and not synthetic:
        raise UserError("there is no audio to label", fix="name audio files, or ask for --synthetic 600")
    with Stages() as stages:
        sources = corpus.find(audio) if audio else []
        if synthetic:
            sources += corpus.synthesize(
                out / "speech", corpus.plan(synthetic, seed=0), lambda done, total: stages("synthesise", done, total)
            )
        _, summary = labels.label(sources, TEACHERS[teacher](), out, lambda done, total: stages("label", done, total))
    console = screen()
    for path, reason in summary.skipped:
        console.print(f"skipped {path}: {reason}", style="yellow", markup=False)
    console.print(
        f"{summary.done} labelled, {summary.cached} already there, {len(summary.skipped)} skipped: {out}/", markup=False
    )
