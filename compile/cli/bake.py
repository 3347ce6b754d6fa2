"""``phiz bake``: audio becomes curves, through the very artefact that ships."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compile.cli.console import screen
from compile.cli.progress import Stages
from compile.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from distill.corpus.sources import Source
    from targets.face import Face

    Arrays = Callable[[NDArray[np.float32]], NDArray[np.float32]]


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
    from distill.corpus.sources import find
    from distill.pretrained import locate

    artefact = artefact_of(locate(model))
    face, run_window = open_face(artefact)
    sources = find(audio)
    _require_different_names(sources)
    written = []
    with Stages() as stages:
        for done, source in enumerate(sources):
            stages("bake", done, len(sources))
            written += bake_file(source, face, run_window, out, ensemble=ensemble, frame_rate=frame_rate)
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
    source: Source, face: Face, run_window: Arrays, out: Path, *, ensemble: bool, frame_rate: float | None = None
) -> list[Path]:
    """Write ``NAME.csv`` and, where matplotlib is, ``NAME.png`` for one audio file and return their paths."""
    from distill import audio, controls, curves

    path, rate = source.path, frame_rate or face.frame_rate
    samples = audio.decode(path, face.sample_rate)
    baked = frames_with(run_window, face, ensemble=ensemble, frame_rate=rate)(samples)
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


def frames_with(run_window: Arrays, face: Face, *, ensemble: bool = False, frame_rate: float | None = None) -> Arrays:
    """A predictor of windows as one of whole utterances: mono audio ``[time]`` to curves ``[frames, controls]``."""
    from distill import curves

    def predict(samples: NDArray[np.float32]) -> NDArray[np.float32]:
        return curves.frames(
            samples,
            run_window,
            face.window,
            frame_rate or face.frame_rate,
            round(face.look_ahead_ms * face.sample_rate / 1000),
            ensemble=ensemble,
            bounded=face.bounded,
            sample_rate=face.sample_rate,
        )

    return predict


def artefact_of(path: Path) -> Path:
    """The artefact itself, or the one of a build folder that runs fastest to load: ONNX, then TFLite, then Core ML.

    A folder that holds a student and no artefact is itself.

    Raises:
        UserError: neither an artefact, nor a build folder, nor a student's.
    """
    from distill.students.folder import FACTS
    from targets.catalogue import TARGETS, by_suffix

    if not path.is_dir() or path.suffix in {target.suffix for target in TARGETS}:
        if not path.exists():
            raise UserError("there is no such artefact or build folder", where=str(path))
        by_suffix(path)
        return path
    for target in TARGETS:
        found = sorted(path.glob(f"*{target.suffix}"), key=lambda found: (found.name.count("."), found.name))
        if found:
            return found[0]  # the usual form of a target before any other
    if (path / FACTS).is_file():
        return path
    raise UserError("not a phiz build folder: it holds no artefact", where=str(path), fix="give what -o named")


def open_face(path: Path) -> tuple[Face, Arrays]:
    """An artefact, or a student, as a predictor of windows ``[count, window]`` to controls ``[count, controls]``.

    Raises:
        UserError: it is not a speech-to-face model, or cannot run here.
    """
    import numpy as np

    from compile.audit.folder import Folder, names_of
    from distill.students.folder import FACTS
    from targets.catalogue import by_suffix
    from targets.face import Face

    if (path / FACTS).is_file():
        return _open_student(path)
    target = by_suffix(path)
    place = path.resolve()
    files = Folder(place.parent, names_of(place.parent, place.name))
    if not files:
        raise UserError("it is empty", where=str(path))
    face = Face.from_metadata(target.dissect(files).metadata, str(path))
    runner: Any = target.load(path)
    (name,) = runner.inputs

    def run_window(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        shape = runner.inputs[name]
        frames = [next(iter(runner.run({name: window.reshape(shape)}).values())).reshape(-1) for window in windows]
        return np.stack(frames).astype(np.float32)

    return face, run_window


def _open_student(folder: Path) -> tuple[Face, Arrays]:
    """A student in float, as :func:`open_face` gives it."""
    from distill.students.folder import load
    from targets.face import Face

    student, _, metadata = load(folder)

    import torch

    def run_window(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            curves: NDArray[np.float32] = student(torch.from_numpy(windows)).numpy()
        return curves

    return Face.from_metadata(metadata, str(folder)), run_window
