"""From audio to curves with any windowed predictor, and a picture of them."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compile.errors import MissingExtra, UserError
from compile.files import write_atomically
from compile.quiet import quiet
from distill.audio import HOP, SAMPLE_RATE
from distill.controls import ARKIT, closure, has_lips
from distill.corpus.espeak import PAUSE, Phone

RunWindow = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""A predictor: windows float32 ``[count, window]`` to controls ``[count, controls]``."""


def frames(
    audio: NDArray[np.float32],
    run_window: RunWindow,
    window: int,
    frame_rate: float = SAMPLE_RATE / HOP,
    look_ahead: int = 4096,
    *,
    ensemble: bool = False,
    bounded: bool = True,
    batch: int = 64,
    sample_rate: int = SAMPLE_RATE,
) -> NDArray[np.float32]:
    """The face at times ``0, 1 / frame_rate, 2 / frame_rate …`` before the end of ``audio``: ``[frames, controls]``.

    Each window lies at the sample nearest to its frame's time, so no rate drifts.

    Args:
        audio: mono float32 [time]; silence is assumed before and after it.
        run_window: the predictor; called with at most ``batch`` windows.
        window: samples that it sees.
        frame_rate: frames a second, any.
        look_ahead: samples of the window after the frame's time.
        ensemble: average the predictions at t - 16.7, t and t + 16.7 ms, which calms jitter and costs two more calls.
        bounded: clip the controls to [0, 1].
        batch: windows a call.
        sample_rate: of ``audio``, Hz.

    Raises:
        UserError: there is no audio, or ``frame_rate`` is none.
    """
    taken = stream(
        [audio],
        run_window,
        window,
        frame_rate,
        look_ahead,
        ensemble=ensemble,
        bounded=bounded,
        batch=batch,
        sample_rate=sample_rate,
    )
    return np.concatenate(list(taken))


def stream(
    blocks: Iterable[NDArray[np.float32]],
    run_window: RunWindow,
    window: int,
    frame_rate: float = SAMPLE_RATE / HOP,
    look_ahead: int = 4096,
    *,
    ensemble: bool = False,
    bounded: bool = True,
    batch: int = 64,
    sample_rate: int = SAMPLE_RATE,
) -> Iterator[NDArray[np.float32]]:
    """As :func:`frames`, of audio in blocks of any size ``[time]``, and in memory that does not grow with it.

    Yields:
        ``[at most batch, controls]``, the same bits however the audio was divided: a batch always begins at a
        multiple of ``batch`` frames, so the predictor is called with the same windows at once.
    """
    require_rate(frame_rate, sample_rate)
    step = sample_rate / frame_rate
    shift = shift_of(sample_rate) if ensemble else 0
    taps = sorted({0, shift, 2 * shift})
    kept, first = np.zeros(window - look_ahead + shift, np.float32), 0  # the padded audio from sample ``first`` on
    heard = made = 0

    def batches(ready: int) -> Iterator[NDArray[np.float32]]:
        """The frames up to ``ready``, which lie in what is kept."""
        nonlocal made
        while made < ready:
            count = min(batch, ready - made)
            starts = np.round(np.arange(made, made + count) * step).astype(np.int64) - first
            windows = np.lib.stride_tricks.sliding_window_view(kept, window)
            curves = np.asarray(np.mean([run_window(windows[starts + tap]) for tap in taps], axis=0), np.float32)
            made += count
            yield curves.clip(0, 1) if bounded else curves

    for block in _gathered(blocks, math.ceil(batch * step)):
        kept, heard = np.concatenate([kept, block]), heard + len(block)
        whole = min(math.floor((first + len(kept) - window - 2 * shift) / step), _count(heard, frame_rate, sample_rate))
        yield from batches(max(made, whole // batch * batch))
        unneeded = min(max(round(made * step) - first, 0), len(kept))
        kept, first = kept[unneeded:], first + unneeded
    if not heard:
        raise UserError("there is no audio: 0 samples")
    kept = np.concatenate([kept, np.zeros(window + 2 * shift, np.float32)])
    yield from batches(_count(heard, frame_rate, sample_rate))


def require_rate(frame_rate: float, sample_rate: int = SAMPLE_RATE) -> None:
    """Make sure that there can be so many frames a second.

    Raises:
        UserError: there cannot.
    """
    if not 0 < frame_rate <= sample_rate:
        raise UserError(f"{frame_rate} is no frame rate", fix=f"choose 1 to {sample_rate}, usually 24 to 120")


def _count(samples: int, frame_rate: float, sample_rate: int) -> int:
    """Frames that begin before the end."""
    return math.ceil(samples * frame_rate / sample_rate)


def _gathered(blocks: Iterable[NDArray[np.float32]], least: int) -> Iterator[NDArray[np.float32]]:
    """The same audio in blocks of at least ``least`` samples, but for the last."""
    waiting: list[NDArray[np.float32]] = []
    count = 0
    for block in blocks:
        waiting.append(block)
        count += len(block)
        if count >= least:
            yield np.concatenate(waiting)
            waiting, count = [], 0
    if count:
        yield np.concatenate(waiting)


def shift_of(sample_rate: int) -> int:
    """Samples between the taps of the ensemble: 16.7 ms, a frame of 60."""
    return round(sample_rate / 60)


# What the picture shows: label, controls whose mean is drawn, colour (Okabe & Ito's, safe for colour-blind eyes).
LINES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("jaw open", ("jawOpen",), "#0072B2"),
    ("funnel", ("mouthFunnel",), "#E69F00"),
    ("pucker", ("mouthPucker",), "#D55E00"),
    ("lower lip roll", ("mouthRollLower",), "#009E73"),
    ("lower lip down", ("mouthLowerDownLeft", "mouthLowerDownRight"), "#999999"),
)
CLOSED = ("lips closed", "#CC79A7")


def plot(
    path: Path,
    curves: NDArray[np.float32],
    audio: NDArray[np.float32],
    *,
    controls: Sequence[str] = ARKIT,
    phones: Sequence[Phone] = (),
    title: str = "",
    frame_rate: float = SAMPLE_RATE / HOP,
) -> None:
    """Draw the waveform, the phones where known, and the main mouth curves below, as PNG.

    Of a rig without ARKit's mouth, the controls that move most are drawn.

    Args:
        path: of the picture.
        curves: ``[frames, controls]``.
        audio: mono [time] at 16 kHz.
        controls: names of the last axis.
        phones: written above the waveform.
        title: what is said.
        frame_rate: of the curves.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtra("drawing curves", "teacher", "matplotlib") from error
    seconds = len(audio) / SAMPLE_RATE
    figure = Figure(figsize=(max(8.0, min(2.5 * seconds, 24.0)), 4.8), dpi=140, layout="constrained")
    FigureCanvasAgg(figure)
    sound, face = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2.6))
    time = np.arange(len(audio)) / SAMPLE_RATE
    sound.plot(time, audio, color="#555555", linewidth=0.4)
    peak = float(np.abs(audio).max(initial=1e-3)) * 1.05
    sound.set_ylim(-peak, peak * 1.5)
    sound.set_axis_off()
    for phone in phones:
        if phone.symbol != PAUSE:
            closes = bool({"p", "b", "m"} & set(phone.symbol))
            if closes:
                for axes in (sound, face):
                    axes.axvspan(phone.start, phone.end, color=CLOSED[1], alpha=0.15, linewidth=0)
            middle = (phone.start + phone.end) / 2
            weight = "bold" if closes else "normal"
            sound.text(middle, peak * 1.15, phone.symbol, ha="center", fontsize=8, weight=weight, clip_on=True)
    frame_times = np.arange(len(curves)) / frame_rate
    if has_lips(controls):
        closed = closure(curves, controls)
        face.fill_between(frame_times, closed, color=CLOSED[1], alpha=0.35, linewidth=0, label=CLOSED[0])
    lines = _lines(curves, controls)
    for label, names, colour in lines:
        values = np.mean([curves[:, controls.index(name)] for name in names], axis=0)
        face.plot(frame_times, values, color=colour, linewidth=1.6, label=label)
    face.set_xlim(0, seconds)
    face.set_ylim(min(0, float(curves.min(initial=0))), max(1, float(curves.max(initial=1))))
    face.set_xlabel("seconds")
    face.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    face.spines[["top", "right"]].set_visible(False)
    face.legend(ncols=len(lines) + 1, loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False, fontsize=9)
    sound.set_title(title, fontsize=11, loc="left")
    picture = io.BytesIO()
    with quiet():  # of letters that its font lacks
        figure.savefig(picture, format="png", metadata={"Software": None})
    write_atomically(path, picture.getvalue())


def _lines(curves: NDArray[np.float32], controls: Sequence[str]) -> tuple[tuple[str, tuple[str, ...], str], ...]:
    """What to draw of these controls: :data:`LINES`, or as many that move most."""
    if all(name in controls for _, names, _ in LINES for name in names):
        return LINES
    order = np.argsort(-curves.std(axis=0), kind="stable")
    return tuple(
        (controls[index], (controls[index],), colour) for index, (_, _, colour) in zip(order, LINES, strict=False)
    )
