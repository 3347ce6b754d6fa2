"""``phiz bake``: audio becomes curves, through the very artefact that ships."""

from __future__ import annotations

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

    from compile.model import Face
    from distill.corpus import Source

    Arrays = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def bake(
    audio: Annotated[
        list[str], typer.Argument(metavar="AUDIO", help="Audio files, folders or globs.", show_default=False)
    ],
    model: Annotated[
        Path, typer.Option("--model", "-m", metavar="PATH", help="Build folder or artefact.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder for NAME.csv and NAME.png of each file.")
    ] = Path("curves"),
    ensemble: Annotated[
        bool, typer.Option(help="Average three taps around each frame: calmer, three times the work.")
    ] = True,
) -> None:
    """Turn audio into a Live Link Face CSV and a plot of the main mouth curves."""
    from distill.corpus import find

    artefact = artefact_of(model)
    face, run_window = open_face(artefact)
    sources = find(audio)
    _require_different_names(sources)
    written = []
    with Stages() as stages:
        for done, source in enumerate(sources):
            stages("bake", done, len(sources))
            written += bake_file(source, face, run_window, out, ensemble=ensemble)
    screen().print(f"baked through {artefact}", markup=False)
    for path in written:
        screen().print(str(path), markup=False)


def _require_different_names(sources: list[Source]) -> None:
    """What is called alike would overwrite each other's curves."""
    seen: dict[str, Path] = {}
    for source in sources:
        other = seen.setdefault(source.path.stem, source.path)
        if other != source.path:
            raise UserError(
                f"it and {other} would both become {other.stem}.csv", where=str(source.path), fix="bake them one by one"
            )


def bake_file(source: Source, face: Face, run_window: Arrays, out: Path, *, ensemble: bool) -> list[Path]:
    """Write ``NAME.csv`` and ``NAME.png`` for one audio file and return their paths."""
    from distill import audio, controls, curves

    path = source.path
    samples = audio.decode(path, face.sample_rate)
    baked = frames_with(run_window, face, ensemble=ensemble)(samples)
    table, picture = out / f"{path.stem}.csv", out / f"{path.stem}.png"
    controls.write_csv(table, baked, face.frame_rate)
    curves.plot(picture, baked, samples, phones=source.phones or (), title=source.text or path.name)
    return [table, picture]


def frames_with(run_window: Arrays, face: Face, *, ensemble: bool = False) -> Arrays:
    """A predictor of windows as one of whole utterances: mono audio ``[time]`` to curves ``[frames, controls]``."""
    from distill import curves

    def predict(samples: NDArray[np.float32]) -> NDArray[np.float32]:
        return curves.frames(
            samples,
            run_window,
            face.window,
            hop=round(face.sample_rate / face.frame_rate),
            look_ahead=round(face.look_ahead_ms * face.sample_rate / 1000),
            ensemble=ensemble,
        )

    return predict


def artefact_of(path: Path) -> Path:
    """The artefact itself, or the one of a build folder that runs fastest to load: ONNX, then TFLite, then Core ML.

    Raises:
        UserError: neither an artefact nor a build folder.
    """
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
    raise UserError("not a phiz build folder: it holds no artefact", where=str(path), fix="give what -o named")


def open_face(path: Path) -> tuple[Face, Arrays]:
    """An artefact as a predictor of windows ``[count, window]`` to controls ``[count, controls]``.

    Raises:
        UserError: it is not a speech-to-face model, or cannot run here.
    """
    import numpy as np

    from compile.audit.folder import Folder, names_of
    from compile.model import Face
    from targets.catalogue import by_suffix

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
