"""``phiz label``: a teacher labels speech."""

from __future__ import annotations

from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compile.cli.console import screen
from compile.cli.progress import Stages
from compile.errors import UserError

if TYPE_CHECKING:
    from distill.labels.cache import Labels, Summary

SHOWN = 20  # lines of each kind of complaint


class By(str, Enum):
    """What ``--held-out`` keeps together."""

    SPEAKER = "speaker"
    FILE = "file"


def label(
    audio: Annotated[
        list[str] | None,
        typer.Argument(metavar="AUDIO", help="Audio files, folders, globs, or manifests (.jsonl).", show_default=False),
    ] = None,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="FOLDER", help="Folder of the labels; what is there already is kept."),
    ] = Path("labels"),
    teacher: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Who labels: phonetic, audio2face, hubert, curves or package.module:factory."
        ),
    ] = "phonetic",
    teacher_path: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder of the teacher's files.", show_default=False)
    ] = None,
    offset: Annotated[
        float, typer.Option(metavar="SECONDS", help="By how much the teacher's curves are late; they are moved back.")
    ] = 0.0,
    synthetic: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="COUNT",
            help="Also speak this many synthetic sentences into the folder's speech/ and label them.",
        ),
    ] = 0,
    held_out: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help="Keep a share from training, for example 10%. Default: as manifests say.",
            show_default=False,
        ),
    ] = None,
    split_by: Annotated[By, typer.Option(help="Hold out whole speakers, or single files.")] = By.SPEAKER,
    seed: Annotated[int, typer.Option(min=0, metavar="NUMBER", help="Draws who is held out.")] = 0,
    language: Annotated[
        str, typer.Option(metavar="CODE", help="Language of what says none itself, for example de.", show_default=False)
    ] = "",
    jobs: Annotated[int, typer.Option(min=1, max=256, metavar="COUNT", help="Processes that share the work.")] = 1,
    voices: Annotated[
        int,
        typer.Option(
            min=0, max=100, metavar="COUNT", help="Also speak every training piece again in this many other voices."
        ),
    ] = 0,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first file that cannot be labelled.")] = False,
) -> None:
    """Label speech with a teacher; finished labels are kept, so an interrupted run goes on where it stopped.

    Under torchrun, or whatever else sets RANK and WORLD_SIZE, each process labels its share.
    """
    from dataclasses import replace

    from compile.units import parse_share
    from distill.augment import vocoder
    from distill.corpus import sources as corpus
    from distill.labels import cache as labels
    from distill.labels.ranks import Ranks
    from distill.labels.voices import multiply
    from distill.teachers.catalogue import open_teacher

    if not audio and not synthetic:
        raise UserError("there is no audio to label", fix="name audio files, or ask for --synthetic 600")
    ranks = Ranks.here()
    if synthetic and ranks.count > 1:
        raise UserError("only one process can speak", where="--synthetic", fix="speak first, without torchrun")
    if voices and ranks.count > 1:
        raise UserError("only one process can speak again", where="--voices", fix="add voices later, without torchrun")
    if voices:
        vocoder.require()
    share = None if held_out is None else parse_share(held_out, "--held-out")
    reopen = partial(open_teacher, teacher, teacher_path, offset)
    who = reopen()
    with Stages() as stages:
        sources = corpus.find(audio) if audio else []
        if synthetic:
            lines = corpus.plan(synthetic, seed=0)
            sources += corpus.synthesize(out / "speech", lines, partial(stages, "synthesise"))
        if language:
            sources = [replace(source, language=source.language or language) for source in sources]
        if share is not None:
            sources = corpus.divide(sources, share, split_by.value, seed)
        progress = partial(stages, "label") if ranks.rank == 0 else None
        made, summary = labels.label(sources, who, out, strict=strict, progress=progress, jobs=jobs, reopen=reopen)
        if voices:
            made = multiply(made, voices, jobs=jobs, progress=partial(stages, "speak again"))
    if ranks.rank == 0:
        _tell(made, summary, out)


def _tell(made: Labels, summary: Summary, out: Path) -> None:
    """What is in the labels, and what is not, and why."""
    from compile.units import counted
    from distill.audio import HOP, SAMPLE_RATE
    from distill.corpus.sources import HELD_OUT

    console = screen()
    for word, complaints in (("skipped", summary.skipped), ("odd:", summary.remarks)):
        for _, reason in complaints[:SHOWN]:
            console.print(f"{word} {reason}", style="yellow", markup=False)
        if len(complaints) > SHOWN:
            console.print(f"{word} {len(complaints) - SHOWN} more", style="yellow", markup=False)
    hours = sum(entry.frames for entry in made.entries) * HOP / SAMPLE_RATE / 3600
    held = made.split(HELD_OUT)
    kept = "nothing"
    if held:
        share = sum(entry.frames for entry in held) / sum(entry.frames for entry in made.entries)
        speakers = counted(len({entry.speaker for entry in held}), "speaker")
        kept = f"{counted(len(held), 'piece')} of {speakers}, {share:.0%} of the time"
    console.print(
        f"{summary.done} labelled, {summary.cached} already there, {len(summary.skipped)} skipped: {out}/", markup=False
    )
    console.print(f"{counted(len(made.entries), 'piece')}, {hours:.2f} h; held out: {kept}", markup=False)
