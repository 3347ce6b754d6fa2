"""Audio of any length in pieces of at most 30 s, cut where it is quiet, while it streams by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from distill.audio import HOP, SAMPLE_RATE, as_int16
from distill.corpus.espeak import Phone

LONGEST = 30 * SAMPLE_RATE
SMOOTHING = 9  # frames over which quiet is judged: a pause, not the closure of a stop


def pieces(blocks: Iterable[NDArray[np.float32]], longest: int = LONGEST) -> Iterator[tuple[int, NDArray[np.int16]]]:
    """Cut a stream of audio into pieces that join without a gap.

    Args:
        blocks: mono float32 ``[samples]`` in [-1, 1] at 16 kHz, as ``audio.blocks`` gives them; beyond, it is clipped.
        longest: samples of a piece, a multiple of two frames; each but the last is at least half as long.

    Yields:
        (first sample within the stream, a multiple of a frame; int16 audio ``[samples]``).
    """
    held: list[NDArray[np.int16]] = []
    start = count = 0
    for block in blocks:
        held.append(as_int16(block))
        count += len(block)
        while count > longest:
            audio = np.concatenate(held)
            cut = quietest(audio[:longest], longest // 2)
            yield start, audio[:cut]
            held = [audio[cut:].copy()]
            start += cut
            count -= cut
    if count:
        yield start, np.concatenate(held)


def quietest(audio: NDArray[np.int16] | NDArray[np.float32], earliest: int) -> int:
    """The first sample of the frame, at ``earliest`` or after it, around which ``audio`` [samples] is quietest."""
    power = np.add.reduceat(audio.astype(np.float32) ** 2, range(0, len(audio), HOP))
    smooth = np.convolve(power, np.ones(SMOOTHING) / SMOOTHING, mode="same")
    smooth[-(SMOOTHING // 2) :] = np.inf  # what comes after the end is not known, so it only seems quiet
    first = earliest // HOP
    return (first + int(np.argmin(smooth[first:]))) * HOP


def within(phones: Sequence[Phone], start: int, samples: int) -> tuple[Phone, ...]:
    """The phones in ``samples`` from sample ``start`` on, with times from there; a cut shortens those it divides."""
    begin, length = start / SAMPLE_RATE, samples / SAMPLE_RATE
    return tuple(
        Phone(phone.symbol, round(max(phone.start - begin, 0.0), 6), round(min(phone.end - begin, length), 6))
        for phone in phones
        if phone.end > begin and phone.start < begin + length
    )
