"""Phones with times from any speech, by hama's phone recogniser (ONNX, CTC, 50 frames a second).

It is poor on synthetic voices, which bring exact times anyway, and may hear phones in tones and noises. Its peaks lie
in the middle of phones; a stop's is at its burst.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from itertools import groupby, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compile.errors import MissingExtra
from distill.audio import HOP, SAMPLE_RATE
from distill.espeak import Phone

LONGEST_PIECE = 20 * SAMPLE_RATE  # the recogniser silently stops on longer input
LONGEST_HALF = 0.08  # seconds that a phone reaches to either side of its peak; further away is a pause
SILENT = 1e-4  # root mean square below which nothing is said


def recognise(audio: NDArray[np.float32]) -> tuple[Phone, ...]:
    """Phones in order of time in mono float32 ``audio`` [time] at 16 kHz of any length.

    Raises:
        MissingExtra: hama is not installed.
    """
    peaks: list[tuple[float, str]] = []
    for start, end in pieces(audio):
        if np.sqrt(np.mean(audio[start:end] ** 2)) >= SILENT:
            peaks += [(start / SAMPLE_RATE + time, symbol) for time, symbol in _peaks(audio[start:end])]
    times = [-np.inf, *(time for time, _ in peaks), np.inf]
    edges = [(before + after) / 2 for before, after in pairwise(times)]
    return tuple(
        Phone(symbol, round(max(left, time - LONGEST_HALF, 0.0), 4), round(min(right, time + LONGEST_HALF), 4))
        for (time, symbol), left, right in zip(peaks, edges, edges[1:], strict=False)
    )


def pieces(audio: NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    """Spans (start, end) in samples, at most 20 s each, cut where it is quietest in each span's second half."""
    power = np.convolve(np.add.reduceat(audio**2, range(0, len(audio), HOP)), np.ones(9) / 9, mode="same")
    start = 0
    while len(audio) - start > LONGEST_PIECE:
        early, late = (start + LONGEST_PIECE // 2) // HOP, (start + LONGEST_PIECE) // HOP
        cut = (early + int(np.argmin(power[early:late]))) * HOP
        yield start, cut
        start = cut
    yield start, len(audio)


def _peaks(piece: NDArray[np.float32]) -> Iterator[tuple[float, str]]:
    """(seconds, symbol) of each phone in at most 20 s of audio."""
    model = _model()
    padded = np.pad(piece, (0, max(0, SAMPLE_RATE // 2 - len(piece))))
    result = model(np.clip(padded, -1, 1), SAMPLE_RATE)
    frame = 0
    for token, run in groupby(result.frame_token_ids):
        length = len(list(run))
        symbol = model.decoder_tokens[token]
        time = (frame + (length - 1) / 2) * HOP / SAMPLE_RATE
        if any(sign.isalpha() for sign in symbol) and not symbol.startswith("<"):
            yield time, symbol
        frame += length


@functools.cache
def _model() -> Any:
    try:
        from hama.asr import ASRModel
    except ModuleNotFoundError as error:
        raise MissingExtra("labelling speech without phone times", "teacher", "hama") from error
    return ASRModel(providers=["CPUExecutionProvider"])
