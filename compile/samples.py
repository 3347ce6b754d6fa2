"""Input to calibrate on, and other input to judge by: from speech, from arrays, or, saying so, from noise."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError
from compile.model import Model
from compile.quantize.calibrate import Samples, batches, check_samples, pick
from targets.face import Face

Clips = Sequence[NDArray[np.float32]]

RANDOM_SAMPLES = 128
LEAST_APART = 16
PASSAGE = 5  # seconds
_LIMIT = 4 * 10**9  # bytes an .npz may unpack to


@dataclass(frozen=True)
class Passage:
    """A stretch of speech, frame by frame, to look at.

    Attributes:
        windows: one for each frame, in order.
        audio: what they were cut from, mono float32 ``[time]``.
        rate: of ``audio``, Hz.
        frame_rate: frames a second; the first is at its beginning.
    """

    windows: Samples
    audio: NDArray[np.float32]
    rate: int
    frame_rate: float


@dataclass(frozen=True)
class Split:
    """Samples for two purposes that must not mix.

    Attributes:
        calibrate: what ranges and bias corrections are computed from.
        judge: what parity is measured on.
        origin: ``speech``, ``arrays`` or ``random``.
        trusted: False when the samples are noise, so that no quality figure means anything.
        passage: of what judges, the loudest seconds on end; None where it is no speech, or the model no face.
    """

    calibrate: Samples
    judge: Samples
    origin: str
    trusted: bool = True
    passage: Passage | None = None


def from_clips(model: Model, clips: Clips, count: int) -> Split:
    """Windows from mono audio clips at the model's rate; every third clip judges, the others calibrate.

    A single clip gives its last third to judging. Windows are spread evenly over the clips, so that equal clips give
    equal windows; a clip shorter than a window is padded with silence.

    Args:
        model: with one input that holds a waveform, ``[batch, N]`` or ``[batch, 1, N]``.
        clips: float32 ``[samples]`` each; asked for one at a time and kept by nobody, so they may be read from disk.
        count: windows to calibrate on; half as many judge.

    Raises:
        UserError: the model takes no waveform, or there are no clips.
    """
    if (
        len(model.inputs) != 1
        or len(model.inputs[0].shape) not in (2, 3)
        or model.inputs[0].shape[1:-1] not in ((), (1,))
    ):
        shapes = ", ".join(f"{port.name} {list(port.shape)}" for port in model.inputs)
        raise UserError(
            f"the model's input is not a waveform ({shapes})", where="--calibrate", fix="give an .npz of arrays instead"
        )
    if not clips:
        raise UserError("there is no audio to calibrate on", where="--calibrate")
    if len(clips) == 1:
        clip = clips[0]
        edge = len(clip) * 2 // 3
        halves: list[Clips] = [[clip[:edge]], [clip[edge:]]]
    else:
        judging = range(1, len(clips), 3)
        halves = [_Some(clips, [at for at in range(len(clips)) if at not in judging]), _Some(clips, judging)]
    port, face = model.inputs[0], _face_of(model)
    batch, window = port.shape[0], port.shape[-1]
    wanted = [max(count, 2 * batch), max(count // 2, batch)]
    surveys = [_survey(halves[0], 0), _survey(halves[1], PASSAGE * face.sample_rate if face else 0)]
    calibrate, judge = (
        _windows(half, survey.lengths, window, number - number % batch).reshape(-1, *port.shape[1:])
        for half, survey, number in zip(halves, surveys, wanted, strict=True)
    )
    passage = _passage(model, face, halves[1][surveys[1].loudest], surveys[1].start) if face else None
    return Split({port.name: calibrate}, {port.name: judge}, "speech", passage=passage)


def apart(model: Model, samples: Samples) -> tuple[Samples, Samples]:
    """Three quarters of the calibration samples to fit a plan to, and the rest to choose by.

    What rounding, ranges and biases were fitted to looks better than it is, by 1 to 3 dB on speech. Clips follow one
    another, so the last quarter is mostly other clips. Fewer than ``LEAST_APART`` batches serve both purposes.
    """
    count = len(batches(model, samples))
    if count < LEAST_APART:
        return samples, samples
    edge = count * 3 // 4
    return pick(model, samples, slice(edge)), pick(model, samples, slice(edge, None))


def from_npz(model: Model, path: Path) -> Split:
    """Arrays named like the inputs, batch first; the first two thirds calibrate, the rest judges.

    Raises:
        UserError: unreadable, pickled, too large, or not what the model's inputs ask for.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(info.file_size for info in archive.infolist()) > _LIMIT:
                raise UserError("unpacks to more than 4 GB", where=str(path))
        with np.load(path, allow_pickle=False) as archive:
            arrays: dict[str, NDArray[Any]] = {name: archive[name] for name in archive.files}
    except OSError as error:
        raise UserError(f"cannot read: {error.strerror or error}", where=str(path)) from error
    except (ValueError, zipfile.BadZipFile, KeyError, EOFError) as error:
        raise UserError(
            "not an .npz of plain arrays", where=str(path), fix="write it with numpy.savez, without objects"
        ) from error
    samples = check_samples(model, arrays, str(path))
    batch = {port.name: port.shape[0] for port in model.inputs}  # inputs need not have the same
    count = min(len(array) // batch[name] for name, array in samples.items())
    edge = min(max(count * 2 // 3, 1), count - 1)
    return Split(
        {name: array[: edge * batch[name]] for name, array in samples.items()},
        {name: array[edge * batch[name] : count * batch[name]] for name, array in samples.items()},
        "arrays",
    )


def random_input(model: Model) -> Split:
    """Gaussian noise of unit variance with a fixed seed: enough to build, not to trust."""
    generator = np.random.default_rng(0)

    def draw(batches: int) -> dict[str, NDArray[np.float32]]:
        return {
            port.name: generator.standard_normal((batches * port.shape[0], *port.shape[1:]), np.float32)
            for port in model.inputs
        }

    return Split(draw(RANDOM_SAMPLES), draw(RANDOM_SAMPLES // 2), "random", trusted=False)


class _Some(Sequence[NDArray[np.float32]]):
    """Some of the clips, each asked for only when it is looked at."""

    def __init__(self, clips: Clips, indices: Sequence[int]) -> None:
        self.clips, self.indices = clips, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        return self.clips[self.indices[index]]


@dataclass(frozen=True)
class _Survey:
    """What one look at all clips tells.

    Attributes:
        lengths: of each, in samples.
        loudest: which clip holds the loudest stretch.
        start: of that stretch in its clip.
    """

    lengths: tuple[int, ...]
    loudest: int
    start: int


def _survey(clips: Clips, stretch: int) -> _Survey:
    """Look at each clip once; ``stretch`` samples are heard together, none if 0."""
    lengths, most, place = [], -1.0, (0, 0)
    for index, clip in enumerate(clips):
        lengths.append(len(clip))
        for at in range(0, max(len(clip) - stretch, 0) + 1, stretch) if stretch else ():
            power = float(np.sum(np.square(clip[at : at + stretch], dtype=np.float64)))
            if power > most:
                most, place = power, (index, at)
    return _Survey(tuple(lengths), *place)


def _face_of(model: Model) -> Face | None:
    """How the model hears and speaks, if it is a face that takes windows."""
    try:
        face = Face.from_metadata(model.metadata, "the model")
    except UserError:
        return None
    return face if face.window == model.inputs[0].shape[-1] else None


def _passage(model: Model, face: Face, clip: NDArray[np.float32], start: int) -> Passage | None:
    """:data:`PASSAGE` seconds of a clip, in silence; what is left of it, where it is shorter."""
    port = model.inputs[0]
    audio = clip[start : start + PASSAGE * face.sample_rate]
    ahead = round(face.look_ahead_ms * face.sample_rate / 1000)
    heard = np.pad(audio, (face.window - ahead, ahead))
    count = int(len(audio) * face.frame_rate / face.sample_rate)
    count -= count % port.shape[0]
    starts = np.round(np.arange(count) * face.sample_rate / face.frame_rate).astype(int)
    windows = np.lib.stride_tricks.sliding_window_view(heard, face.window)[starts].reshape(-1, *port.shape[1:])
    return Passage({port.name: windows}, audio, face.sample_rate, face.frame_rate) if count else None


def _windows(clips: Clips, lengths: Sequence[int], window: int, count: int) -> NDArray[np.float32]:
    """``count`` windows ``[count, window]``, spread over all positions of all clips."""
    edges = np.cumsum([0, *(max(length - window, 0) + 1 for length in lengths)])
    positions = (np.arange(count) + 0.5) / count * edges[-1]
    owners = np.searchsorted(edges, positions, side="right") - 1
    starts = (positions - edges[owners]).astype(int)
    found = np.zeros((count, window), np.float32)
    for owner in np.unique(owners):
        clip = clips[owner]
        for row in np.flatnonzero(owners == owner):
            part = clip[starts[row] : starts[row] + window]
            found[row, : len(part)] = part
    return found
