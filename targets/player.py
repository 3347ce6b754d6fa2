"""An artefact as something that hears: audio in, in any chunks and at any rate; frames of a face out.

    face = open_artifact(Path("build/mobile/student.stream.tflite"), sample_rate=48_000, frame_rate=60)
    for chunk in microphone:
        for frame in face.push(chunk): ...

What comes out depends on what was heard, not on the chunks that it came in: all is computed hop by hop. An artefact
that takes windows plays too, at the price of a whole window for each hop.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError
from targets.base import Runner
from targets.catalogue import by_suffix
from targets.face import Face
from targets.files import read_files
from targets.gain import Gain
from targets.pace import Pace
from targets.resample import Resampler
from targets.stream import KEY, Stream
from targets.streamed import Streamed

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Frame:
    """A face at one moment.

    Attributes:
        time: seconds after the first sample that was pushed; when the face is to be seen, not when it was computed.
        controls: ``[controls]``, float32, in [0, 1] where the face is bounded.
    """

    time: float
    controls: Array


class Hops(Protocol):
    """What computes a face hop by hop."""

    @property
    def hop(self) -> int:
        """Samples of one."""
        ...

    def reset(self) -> None:
        """Forget all that was heard."""
        ...

    def push(self, samples: Array) -> Array:
        """One hop ``[hop]``; the controls ``[controls]`` of the frame whose look-ahead ends with it."""
        ...


class Player:
    """A face that is driven by what it hears.

    Args:
        runner: computes the controls that a hop ends with; keeps what it needs of earlier hops.
        face: what it drives.
        sample_rate: of the audio that will be pushed, Hz.
        frame_rate: of the frames that come out; None for the student's own.
        ensemble: average three taps around each frame: calmer, a sixtieth of a second later.
        gain: bring quiet and loud voices to one level, as they are heard.

    Raises:
        UserError: a rate is none, or the face cannot be played at whole hops.
    """

    def __init__(
        self,
        runner: Hops,
        face: Face,
        *,
        sample_rate: int | None = None,
        frame_rate: float | None = None,
        ensemble: bool = True,
        gain: bool = False,
    ) -> None:
        self.face, self._runner = face, runner
        self.hop = runner.hop
        native = Fraction(face.sample_rate, self.hop)
        rate = native if frame_rate is None else _fraction(frame_rate)
        self.sample_rate, self.frame_rate = face.sample_rate if sample_rate is None else _whole(sample_rate), rate
        self._ahead = round(face.look_ahead_ms * face.sample_rate / 1000)
        # Frames are wanted at whole hops, and a hop ends with the look-ahead of its frame: the first begins in silence.
        self._lead = -self._ahead % self.hop
        self._resampler = Resampler(self.sample_rate, face.sample_rate, self.hop, self.hop - self._lead)
        self._pace = Pace(native, rate, ensemble=ensemble)
        self._gain = Gain(self.hop, face.sample_rate) if gain else None
        self.reset()

    @property
    def latency(self) -> float:
        """Seconds that a frame waits for what is said after its time, at most; chunks and computing come on top."""
        resampling = Fraction(self._resampler.delay, self.sample_rate)
        return float(Fraction(self._ahead, self.face.sample_rate) + self._pace.delay + resampling)

    def reset(self) -> None:
        """Forget all that was heard: the next sample is the first."""
        self._resampler.reset()
        self._pace.reset()
        self._runner.reset()
        if self._gain is not None:
            self._gain.reset()
        self._heard = self._shown = 0
        self._place = 1 - -(-self._ahead // self.hop)  # of the frame that the next hop gives, on the grid of hops
        self._begun = False

    def push(self, samples: NDArray[Any]) -> list[Frame]:
        """Hear some audio; the frames that can be said now.

        Args:
            samples: mono ``[n]`` or ``[n, channels]``; floats in [-1, 1] or integers of full scale; any number, also 0.

        Raises:
            UserError: they are not audio, or not finite. Nothing of them was heard.
        """
        mono = _mono(samples)
        self._heard += len(mono)
        return self._hear(mono)

    def flush(self) -> list[Frame]:
        """The frames up to the end of what was heard, as if silence followed; then :meth:`reset`."""
        wanted = -(-self._heard * self.frame_rate // self.sample_rate)  # frames that begin before the end
        frames: list[Frame] = []
        silence = np.zeros(self.sample_rate // 10 + 1, np.float32)
        while self._shown < wanted:
            frames += self._hear(silence)
        kept = max(len(frames) - int(self._shown - wanted), 0)
        self.reset()
        return frames[:kept]

    def _hear(self, mono: Array) -> list[Frame]:
        frames = []
        for block in self._resampler.push(mono):
            hop = block if self._gain is None else self._gain.apply(block)
            if not self._begun:
                self._begun = True
                hop = np.concatenate([np.zeros(self._lead, np.float32), hop])
                silent = max(self._place - self._pace.first, 0)  # hops before, of which frames are wanted
                self._place -= silent
                for _ in range(silent):
                    frames += self._frames(np.zeros(self.hop, np.float32))
            frames += self._frames(hop)
        self._shown += len(frames)
        return frames

    def _frames(self, hop: Array) -> list[Frame]:
        controls = self._runner.push(hop)
        wanted, self._place = self._place >= self._pace.first, self._place + 1
        return [self._frame(time, values) for time, values in self._pace.push(controls)] if wanted else []

    def _frame(self, time: Fraction, controls: Array) -> Frame:
        return Frame(float(time), controls.clip(0, 1) if self.face.bounded else controls)


def open_artifact(
    path: Path,
    *,
    sample_rate: int | None = None,
    frame_rate: float | None = None,
    ensemble: bool = True,
    gain: bool = False,
) -> Player:
    """An artefact on disk as a face that hears; arguments as of :class:`Player`.

    Raises:
        UserError: it is no artefact of a speech-to-face model, its metadata do not fit it, or a rate is none.
        MissingExtra: its runtime is not installed.
    """
    target = by_suffix(path)
    metadata = target.dissect(read_files(path, target.beside)).metadata
    face = Face.from_metadata(metadata, str(path))
    runner = target.load(path)
    hops: Hops
    if KEY in metadata:
        hops = StreamedFace(Streamed(runner, Stream.from_metadata(metadata, str(path))), face, str(path))
    else:
        hops = WindowedFace(runner, face, str(path))
    return Player(hops, face, sample_rate=sample_rate, frame_rate=frame_rate, ensemble=ensemble, gain=gain)


class StreamedFace:
    """A streaming artefact that drives a face. It begins, and begins again, as if it had heard silence for ever."""

    def __init__(self, streamed: Streamed, face: Face, where: str) -> None:
        self.hop, self._streamed, self._where = streamed.stream.hop, streamed, where
        self._name, self._shape = _only_input(streamed.inputs, self.hop, where)
        self._controls = len(face.controls)
        if self.hop * streamed.stream.warm_up >= face.window + self.hop:
            what = f"its metadata say {streamed.stream.warm_up} hops of {self.hop} to fill {face.window} samples"
            raise UserError(what, where=where, fix="compile it again")
        for _ in range(streamed.stream.warm_up):
            self.push(np.zeros(self.hop, np.float32))
        streamed.start_here()

    def reset(self) -> None:
        """Forget all that was heard."""
        self._streamed.reset()

    def push(self, samples: Array) -> Array:
        """As :class:`Hops` says."""
        outputs = self._streamed.run({self._name: samples.reshape(self._shape)})
        return _only_output(outputs, self._controls, self._where)


class WindowedFace:
    """An artefact of windows that drives a face: each hop costs a whole window."""

    def __init__(self, runner: Runner, face: Face, where: str) -> None:
        hop = face.sample_rate / face.frame_rate
        if hop != round(hop) or not 0 < hop <= face.window:
            fix = "export it with a frame rate that divides the sample rate"
            raise UserError(f"{face.frame_rate:g} frames a second are no whole samples", where=where, fix=fix)
        self.hop, self._runner, self._where = round(hop), runner, where
        self._name, self._shape = _only_input(runner.inputs, face.window, where)
        self._controls = len(face.controls)
        self._window = np.zeros(face.window, np.float32)

    def reset(self) -> None:
        """Forget all that was heard."""
        self._window = np.zeros_like(self._window)

    def push(self, samples: Array) -> Array:
        """As :class:`Hops` says."""
        self._window = np.concatenate([self._window[self.hop :], samples])
        return _only_output(
            self._runner.run({self._name: self._window.reshape(self._shape)}), self._controls, self._where
        )


def _only_input(inputs: Mapping[str, tuple[int, ...]], samples: int, where: str) -> tuple[str, tuple[int, ...]]:
    if len(inputs) != 1:
        what = f"it takes {', '.join(inputs)}: a face hears one, and its metadata call no other a state"
        raise UserError(what, where=where, fix="compile it again")
    ((name, shape),) = inputs.items()
    if math.prod(shape) != samples:
        raise UserError(f"its input '{name}' is {list(shape)}, its metadata say {samples} samples", where=where)
    return name, shape


def _only_output(outputs: Mapping[str, NDArray[Any]], controls: int, where: str) -> Array:
    found = np.asarray(next(iter(outputs.values())), np.float32).reshape(-1)
    if len(outputs) != 1 or len(found) != controls:
        raise UserError(f"it gives {len(found)} numbers, its metadata name {controls} controls", where=where)
    return found


def _whole(rate: int) -> int:
    """A rate as others give it, who do not check types."""
    if not (math.isfinite(rate) and rate == int(rate)):
        raise UserError(f"{rate} Hz is no sample rate of audio", fix="give a whole number, such as 48000")
    return int(rate)


def _fraction(rate: float) -> Fraction:
    """29.97 is meant as 30000/1001."""
    if not math.isfinite(rate):
        raise UserError(f"{rate} is no frame rate", fix="give a number of frames a second, usually 24 to 120")
    return Fraction(rate).limit_denominator(1001)


def _mono(samples: NDArray[Any]) -> Array:
    """Audio of any kind as float32 in [-1, 1], ``[n]``."""
    given = np.asarray(samples)
    if given.ndim not in (1, 2) or given.dtype.kind not in "fiu":
        fix = "give floats in [-1, 1] or integers, [n] or [n, channels]"
        raise UserError(f"{given.dtype} {list(given.shape)} is no audio", fix=fix)
    if given.dtype.kind == "u":
        given = given.astype(np.int64) - (np.iinfo(given.dtype).max // 2 + 1)
        scale = float(np.iinfo(np.asarray(samples).dtype).max // 2 + 1)
    else:
        scale = float(np.iinfo(given.dtype).max) + 1 if given.dtype.kind == "i" else 1.0
    mono = given.mean(axis=1) if given.ndim == 2 and given.shape[1] else given.reshape(-1)
    with np.errstate(over="ignore"):  # float64 that float32 cannot hold becomes infinite, and is refused as such
        heard = np.asarray(mono / scale if scale != 1 else mono, np.float32)
    if not np.isfinite(heard).all():
        raise UserError("the audio holds NaN or Inf", fix="look at what records it")
    return heard
