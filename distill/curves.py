"""From audio to curves with any windowed predictor, and a picture of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError
from distill.audio import HOP, SAMPLE_RATE

RunWindow = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""A predictor: windows float32 ``[count, window]`` to controls ``[count, controls]``."""


def frames(
    audio: NDArray[np.float32],
    run_window: RunWindow,
    window: int,
    hop: int = HOP,
    look_ahead: int = 4096,
    *,
    ensemble: bool = False,
    batch: int = 64,
) -> NDArray[np.float32]:
    """The face at samples ``0, hop, 2·hop, …`` before the end of ``audio``: ``[frames, controls]``, clipped to [0, 1].

    Args:
        audio: mono float32 [time]; silence is assumed before and after it.
        run_window: the predictor; called with at most ``batch`` windows.
        window: samples that it sees.
        hop: samples between frames.
        look_ahead: samples of the window after the frame's time.
        ensemble: average the predictions at t - 16.7, t and t + 16.7 ms, which calms jitter and costs two more calls.
        batch: windows a call.

    Raises:
        UserError: there is no audio.
    """
    count = -(-len(audio) // hop)
    if count == 0:
        raise UserError("there is no audio: 0 samples")
    shift = round(SAMPLE_RATE / 60) if ensemble else 0
    before = window - look_ahead
    padded = np.zeros(before + count * hop + window + 2 * shift, np.float32)
    padded[before + shift : before + shift + len(audio)] = audio
    windows = np.lib.stride_tricks.sliding_window_view(padded, window)
    taps = [
        _run(windows[tap : tap + count * hop : hop][:count], run_window, batch) for tap in sorted({0, shift, 2 * shift})
    ]
    return np.asarray(np.clip(np.mean(taps, axis=0), 0, 1), np.float32)


def _run(windows: NDArray[np.float32], run_window: RunWindow, batch: int) -> NDArray[np.float32]:
    pieces = [run_window(np.ascontiguousarray(windows[at : at + batch])) for at in range(0, len(windows), batch)]
    return np.concatenate(pieces)
