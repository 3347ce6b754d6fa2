"""Phones with times from any speech, by hama's phone recogniser (ONNX, CTC, 50 frames a second).

It is poor on synthetic voices, which bring exact times anyway, and may hear phones in tones and noises. Its peaks lie
in the middle of phones; a stop's is at its burst.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compile.errors import MissingExtra
from distill.audio import HOP, SAMPLE_RATE, frame_count
from distill.corpus.espeak import Phone
from distill.corpus.pieces import quietest
from distill.teachers.articulation import letters

LONGEST_PIECE = 20 * SAMPLE_RATE  # the recogniser silently stops on longer input
LONGEST_HALF = 0.08  # seconds that a phone reaches to either side of its peak; further away is a pause
NEVER = -50.0  # logarithm of a probability below which nothing matters
INPUTS, OUTPUTS = ("waveform", "waveform_lengths"), ("log_probs", "out_lengths")
SILENT = 1e-4  # root mean square below which nothing is said


@dataclass(frozen=True)
class Heard:
    """What the recogniser hears: float32 ``log_probabilities`` [frames, tokens] of its ``tokens``, 50 frames a second.

    Tokens that are no phones (blank, the end of a word, tones) have no letters; see :func:`articulation.letters`.
    """

    log_probabilities: NDArray[np.float32]
    tokens: tuple[str, ...]

    @property
    def letters(self) -> tuple[str, ...]:
        """Of each token; empty for those that are no phones."""
        return tuple("" if token.startswith("<") else letters(token) for token in self.tokens)


def recognise(audio: NDArray[np.float32]) -> tuple[Phone, ...]:
    """Phones in order of time in mono float32 ``audio`` [time] at 16 kHz of any length.

    Raises:
        MissingExtra: hama is not installed.
    """
    return best(listen(audio))


def listen(audio: NDArray[np.float32]) -> Heard:
    """What is heard in mono float32 ``audio`` [time] at 16 kHz of any length.

    Raises:
        MissingExtra: hama is not installed.
    """
    model = _model()
    blank = model.blank_id
    rows = np.full((frame_count(len(audio)), len(model.decoder_tokens)), NEVER, np.float32)
    rows[:, blank] = 0
    for start, end in pieces(audio):
        piece = audio[start:end]
        if len(piece) and np.sqrt(np.mean(piece**2)) >= SILENT:
            rows_of_piece = _log_probabilities(model, piece)[: frame_count(len(piece))]
            rows[start // HOP : start // HOP + len(rows_of_piece)] = rows_of_piece
    return Heard(rows, tuple(model.decoder_tokens))


def best(heard: Heard) -> tuple[Phone, ...]:
    """The phones of the likeliest token of each frame."""
    known = heard.letters
    peaks: list[tuple[float, str]] = []
    frame = 0
    for token, run in groupby(np.argmax(heard.log_probabilities, axis=1)):
        length = len(list(run))
        if known[token]:
            peaks.append((frame + (length - 1) / 2, heard.tokens[token]))
        frame += length
    return spans(peaks)


def spans(peaks: Sequence[tuple[float, str]]) -> tuple[Phone, ...]:
    """Phones around their (frame, symbol): each reaches to the middle between it and its neighbours, or 80 ms."""
    seconds = [(frame * HOP / SAMPLE_RATE, symbol) for frame, symbol in peaks]
    times = [-np.inf, *(time for time, _ in seconds), np.inf]
    edges = [(before + after) / 2 for before, after in pairwise(times)]
    return tuple(
        Phone(symbol, round(max(left, time - LONGEST_HALF, 0.0), 4), round(min(right, time + LONGEST_HALF), 4))
        for (time, symbol), left, right in zip(seconds, edges, edges[1:], strict=False)
    )


def pieces(audio: NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    """Spans (start, end) in samples, at most 20 s each, cut where it is quietest in each span's second half."""
    start = 0
    while len(audio) - start > LONGEST_PIECE:
        cut = start + quietest(audio[start : start + LONGEST_PIECE], LONGEST_PIECE // 2)
        yield start, cut
        start = cut
    yield start, len(audio)


def _log_probabilities(model: Any, piece: NDArray[np.float32]) -> NDArray[np.float32]:
    """``[frames, tokens]`` of at most 20 s of audio; blanks count a little less, as hama decodes."""
    padded = np.pad(np.clip(piece, -1, 1), (0, max(0, SAMPLE_RATE // 2 - len(piece))))
    feeds = dict(zip(INPUTS, (padded[None].astype(np.float32), np.array([len(padded)], np.int64)), strict=True))
    rows, lengths = model.session.run(list(OUTPUTS), feeds)
    rows = np.maximum(rows[0, : int(lengths[0])], NEVER)
    rows[:, model.blank_id] += model.decode_cfg.blank_bias
    return np.asarray(rows, np.float32)


@functools.cache
def _model() -> Any:
    try:
        from hama.asr import ASRModel
    except ModuleNotFoundError as error:
        raise MissingExtra("labelling speech without phone times", "teacher", "hama") from error
    return ASRModel(providers=["CPUExecutionProvider"])
