"""``phiz bake``: audio becomes curves, through the very artefact that ships."""

from __future__ import annotations

import os
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compile.cli.console import screen
from compile.cli.face import artefact_of, drive_of, open_face
from compile.cli.progress import Stages
from compile.errors import MissingExtra, UserError

if TYPE_CHECKING:
    from compile.cli.face import Opened
    from distill.animation.baking import Baked, Order
    from distill.corpus.sources import Source

SHOWN = 20  # files that could not be baked


def bake(
    audio: Annotated[
        list[str],
        typer.Argument(metavar="AUDIO", help="Audio files, folders, globs or manifests.", show_default=False),
    ],
    model: Annotated[
        Path,
        typer.Option("--model", "-m", metavar="PATH", help="Build folder, artefact, student folder, or phiz:NAME."),
    ] = Path("phiz:tiny"),
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder for NAME.FORMAT of each file.")
    ] = Path("curves"),
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            "-f",
            metavar="NAME",
            help="csv, json, npz, glb (a head that moves), png (a plot); several with commas. Default: csv and png.",
            show_default=False,
        ),
    ] = None,
    ensemble: Annotated[
        bool, typer.Option(help="Average three taps around each frame: calmer, three times the work.")
    ] = True,
    frame_rate: Annotated[
        float | None,
        typer.Option(min=1, max=1000, metavar="RATE", help="Frames a second, any. Default: the model's own."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, max=256, metavar="COUNT", help="Processes. Default: as many as cores."),
    ] = None,
) -> None:
    """Turn audio of any length into curves: Live Link Face's CSV for ARKit's controls, other formats, a plot.

    docs/curves.md describes the formats. A file that cannot be baked is named with its reason, and the exit code is 2.
    """
    from distill.animation.crew import bake as bake_all
    from distill.corpus.sources import find
    from distill.pretrained import locate

    os.environ.setdefault("OMP_NUM_THREADS", "1")  # torch, else, takes all cores in every process of --jobs
    wanted = _formats(formats)
    artefact = artefact_of(locate(model))
    opened = open_face(artefact)
    order = _order(opened, out, wanted, frame_rate)
    unshown = _unshown(order)
    sources = find(audio)
    _require_different_names(sources, order)
    reopen = partial(drive_of, artefact, ensemble, order.frame_rate)
    drive = opened.driven(ensemble, order.frame_rate)
    with Stages() as stages:

        def tell(done: int, seconds: float) -> None:
            stages("bake", done, len(sources), _heard(seconds))

        baked = bake_all(sources, drive, order, jobs=jobs or _cores(), reopen=reopen, progress=tell)
    console = screen()
    if any(one.written for one in baked):
        console.print(f"baked through {artefact}", markup=False)
    if unshown:
        console.print(f"the head has no shape for: {unshown}", style="yellow", markup=False)
    if formats is None and not _can_draw():
        console.print("no pictures without matplotlib; run: pip install 'phiz[teacher]'", markup=False)
    _tell(baked)


def bake_file(source: Source, opened: Opened, out: Path) -> tuple[Path, ...]:
    """Write ``NAME.csv`` and, where matplotlib is, ``NAME.png`` for one audio file and return their paths."""
    from distill.animation.crew import bake as bake_all

    order = _order(opened, out, _formats(None), None)
    (baked,) = bake_all([source], opened.driven(True, order.frame_rate), order)
    if baked.complaint:
        raise UserError(baked.complaint)
    return baked.written


def _formats(given: list[str] | None) -> tuple[str, ...]:
    """What is asked for, once each."""
    from distill.animation.baking import PICTURE
    from distill.animation.formats import FORMATS

    if given is None:
        return ("csv", PICTURE) if _can_draw() else ("csv",)
    names = tuple(dict.fromkeys(name.strip().lower() for text in given for name in text.split(",")))
    for name in names:
        if name not in (*FORMATS, PICTURE):
            known = ", ".join((*FORMATS, PICTURE))
            raise UserError(f"there is no format '{name}'", where="--format", fix=f"choose from: {known}")
    if PICTURE in names and not _can_draw():
        raise MissingExtra("drawing curves", "teacher", "matplotlib")
    return names


def _order(opened: Opened, out: Path, formats: tuple[str, ...], frame_rate: float | None) -> Order:
    from distill.animation.baking import Order
    from distill.curves import require_rate

    face = opened.face
    rate = face.frame_rate if frame_rate is None else frame_rate
    require_rate(rate, face.sample_rate)
    return Order(out, formats, face.controls, face.sample_rate, rate)


def _unshown(order: Order) -> str:
    """The controls that the head of a .glb cannot show; that it shows none is an error before the work, not after."""
    from distill.animation.gltf import unshown

    missing = unshown(order.controls) if "glb" in order.formats else ()
    if missing and len(missing) == len(order.controls):
        fix = "choose another --format, or a student of ARKit's controls"
        raise UserError("the head of a .glb has no shape for any of this face's controls", where="--format", fix=fix)
    return ", ".join((*missing[:SHOWN], *(["…"] if len(missing) > SHOWN else [])))


def _require_different_names(sources: list[Source], order: Order) -> None:
    """What is called alike would overwrite each other's curves."""
    seen: dict[str, Path] = {}
    for source in sources:
        other = seen.setdefault(source.path.stem, source.path)
        if other != source.path:
            what = f"it and {other} would both become {other.stem}.{order.formats[0]}"
            raise UserError(what, where=str(source.path), fix="bake them into different folders: --out")


def _tell(baked: list[Baked]) -> None:
    """What was written; what was not, and why, is an error."""
    console = screen()
    for one in baked:
        for line in (*map(str, one.written), *filter(None, [one.remark])):
            console.print(line, markup=False)
    complaints = [one.complaint for one in baked if one.complaint]
    if len(baked) == 1 and complaints:
        raise UserError(complaints[0])
    for complaint in complaints[:SHOWN]:
        console.print(f"not baked: {complaint}", style="yellow", markup=False)
    if complaints:
        raise UserError(f"{len(complaints)} of {len(baked)} files could not be baked; the others are")


def _heard(seconds: float) -> str:
    return f"{seconds:.0f} s of audio" if seconds < 600 else f"{seconds / 60:.0f} min of audio"


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _can_draw() -> bool:
    return find_spec("matplotlib") is not None
