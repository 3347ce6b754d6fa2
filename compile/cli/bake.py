"""``phiz bake``: audio becomes curves, through the very artefact that ships."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compile.cli.console import screen
from compile.cli.progress import Stages
from compile.errors import UserError

if TYPE_CHECKING:
    from compile.cli.face import Opened
    from distill.corpus.sources import Source


def bake(
    audio: Annotated[
        list[str], typer.Argument(metavar="AUDIO", help="Audio files, folders or globs.", show_default=False)
    ],
    model: Annotated[
        Path,
        typer.Option("--model", "-m", metavar="PATH", help="Build folder, artefact, student folder, or phiz:NAME."),
    ] = Path("phiz:tiny"),
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder for NAME.csv and NAME.png of each file.")
    ] = Path("curves"),
    ensemble: Annotated[
        bool, typer.Option(help="Average three taps around each frame: calmer, three times the work.")
    ] = True,
    frame_rate: Annotated[
        float | None,
        typer.Option(min=1, max=1000, metavar="RATE", help="Frames a second, any. Default: the model's own."),
    ] = None,
) -> None:
    """Turn audio into a CSV of curves, Live Link Face's for ARKit's controls, and a plot of the main ones."""
    from compile.cli.face import artefact_of, open_face
    from distill.corpus.sources import find
    from distill.pretrained import locate

    artefact = artefact_of(locate(model))
    opened = open_face(artefact)
    sources = find(audio)
    _require_different_names(sources)
    written = []
    with Stages() as stages:
        for done, source in enumerate(sources):
            stages("bake", done, len(sources))
            written += bake_file(source, opened, out, ensemble=ensemble, frame_rate=frame_rate)
    screen().print(f"baked through {artefact}", markup=False)
    if not _can_draw():
        screen().print("no pictures without matplotlib; run: pip install 'phiz[teacher]'", markup=False)
    for path in written:
        screen().print(str(path), markup=False)


def _require_different_names(sources: list[Source]) -> None:
    """What is called alike would overwrite each other's curves."""
    seen: dict[str, Path] = {}
    for source in sources:
        other = seen.setdefault(source.path.stem, source.path)
        if other != source.path:
            what = f"it and {other} would both become {other.stem}.csv"
            raise UserError(what, where=str(source.path), fix="bake them into different folders: --out")


def bake_file(
    source: Source, opened: Opened, out: Path, *, ensemble: bool, frame_rate: float | None = None
) -> list[Path]:
    """Write ``NAME.csv`` and, where matplotlib is, ``NAME.png`` for one audio file and return their paths."""
    from distill import audio, controls, curves

    path, face = source.path, opened.face
    rate = frame_rate or face.frame_rate
    samples = audio.decode(path, face.sample_rate)
    baked = opened.speak(samples, ensemble, rate)
    table, picture = out / f"{path.stem}.csv", out / f"{path.stem}.png"
    if set(face.controls) == set(controls.ARKIT):
        controls.write_csv(table, baked[:, [face.controls.index(name) for name in controls.ARKIT]], rate)
    else:
        controls.write_table(table, baked, face.controls, rate)
    if not _can_draw():
        return [table]
    title = source.text or path.name
    curves.plot(
        picture, baked, samples, controls=face.controls, phones=source.phones or (), title=title, frame_rate=rate
    )
    return [table, picture]


def _can_draw() -> bool:
    return find_spec("matplotlib") is not None
