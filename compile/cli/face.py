"""Whatever can drive a face, by its path: a build folder, an artefact of windows or of hops, a student."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compile.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from targets.face import Face

    Array = NDArray[np.float32]
    RunWindow = Callable[[Array], Array]
    Drive = Callable[[Iterable[Array], bool, float], Iterator[Array]]


@dataclass(frozen=True)
class Opened:
    """A face that is ready to be driven.

    Attributes:
        face: what it is.
        drive: mono audio at the face's sample rate in blocks ``[time]``, whether to average three taps, and frames a
            second, to curves in blocks ``[frames, controls]``; the memory it takes does not grow with the audio.
    """

    face: Face
    drive: Drive

    def speak(self, audio: Array, ensemble: bool, frame_rate: float) -> Array:
        """All of an utterance ``[time]`` at once: ``[frames, controls]``."""
        import numpy as np

        return np.concatenate(list(self.drive([audio], ensemble, frame_rate)))

    def driven(self, ensemble: bool, frame_rate: float) -> Callable[[Iterable[Array]], Iterator[Array]]:
        """:attr:`drive` in one way."""
        return lambda audio: self.drive(audio, ensemble, frame_rate)


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


def open_face(path: Path) -> Opened:
    """An artefact, or a student, as a face.

    Raises:
        UserError: it is not a speech-to-face model, or cannot run here.
    """
    from compile.audit.folder import Folder, names_of
    from distill.students.folder import FACTS
    from targets.catalogue import by_suffix
    from targets.face import Face
    from targets.stream import KEY

    if (path / FACTS).is_file():
        return _open_student(path)
    target = by_suffix(path)
    place = path.resolve()
    files = Folder(place.parent, names_of(place.parent, place.name))
    if not files:
        raise UserError("it is empty", where=str(path))
    metadata = target.dissect(files).metadata
    face = Face.from_metadata(metadata, str(path))
    return _open_stream(path, face) if KEY in metadata else _by_windows(face, _windows(target.load(path), face, path))


def drive_of(path: Path, ensemble: bool, frame_rate: float) -> Callable[[Iterable[Array]], Iterator[Array]]:
    """What :func:`open_face` opens, ready to be driven in one way; for another process, to which no face can be sent.

    Raises:
        UserError: as :func:`open_face`.
    """
    return open_face(path).driven(ensemble, frame_rate)


def _open_stream(path: Path, face: Face) -> Opened:
    """An artefact that streams, hop by hop."""
    import numpy as np

    from targets.player import Player, open_artifact

    @cache
    def opened(ensemble: bool, frame_rate: float) -> Player:
        return open_artifact(path, frame_rate=frame_rate, ensemble=ensemble)

    def drive(audio: Iterable[Array], ensemble: bool, frame_rate: float) -> Iterator[Array]:
        player = opened(ensemble, frame_rate)
        player.reset()  # whoever was driven before may have been left halfway
        for block in audio:
            if frames := player.push(block):
                yield np.stack([frame.controls for frame in frames])
        if frames := player.flush():
            yield np.stack([frame.controls for frame in frames])

    return Opened(face, drive)


def _windows(runner: Any, face: Face, path: Path) -> RunWindow:
    """A predictor of windows ``[count, window]`` to controls ``[count, controls]``."""
    import numpy as np

    (name,) = runner.inputs
    shape = runner.inputs[name]
    if np.prod(shape) != face.window:
        what = f"its metadata says that it hears {face.window} samples, but its input is another"
        raise UserError(what, where=str(path), fix="compile it again")

    def run_window(windows: Array) -> Array:
        frames = [next(iter(runner.run({name: window.reshape(shape)}).values())).reshape(-1) for window in windows]
        return np.stack(frames).astype(np.float32)

    return run_window


def _open_student(folder: Path) -> Opened:
    """A student in float."""
    from distill.students.folder import load
    from targets.face import Face

    student, _, metadata = load(folder)

    import torch

    def run_window(windows: Array) -> Array:
        with torch.inference_mode():
            curves: Array = student(torch.from_numpy(windows)).numpy()
        return curves

    return _by_windows(Face.from_metadata(metadata, str(folder)), run_window)


def _by_windows(face: Face, run_window: RunWindow) -> Opened:
    """A predictor of windows as one of whole utterances."""
    from distill import curves

    def drive(audio: Iterable[Array], ensemble: bool, frame_rate: float) -> Iterator[Array]:
        return curves.stream(
            audio,
            run_window,
            face.window,
            frame_rate,
            round(face.look_ahead_ms * face.sample_rate / 1000),
            ensemble=ensemble,
            bounded=face.bounded,
            sample_rate=face.sample_rate,
        )

    return Opened(face, drive)
