"""Labelled pieces as training reads them: who says what, decoded and kept in a cache of bounded size."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError
from distill.audio import HOP
from distill.augment.level import active_level
from distill.corpus.sources import HELD_OUT, TRAIN
from distill.labels.cache import Entry, Labels

CACHE_MB = 1024  # of decoded pieces: about 7 hours; what does not fit is decoded anew, as costly as all augmentation
PCM = np.float32(1 / 32767)  # of int16 to full scale


@dataclass(frozen=True)
class Piece:
    """A decoded piece: int16 ``audio`` [frames * 320], ``curves`` [frames, controls], the level of its speech."""

    audio: NDArray[np.int16]
    curves: NDArray[np.float32]
    level: float

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return self.audio.nbytes + self.curves.nbytes


@dataclass(frozen=True)
class Speaker:
    """Who says what: pieces of one labels folder, and the frame at which each ends when all follow each other."""

    labels: Labels
    entries: tuple[Entry, ...]
    ends: NDArray[np.int64]

    @property
    def frames(self) -> int:
        """How much there is of this speaker."""
        return int(self.ends[-1])

    def anywhere(self, draw: np.random.Generator) -> tuple[Entry, int]:
        """A piece and a frame of it; every frame is as likely."""
        place = int(draw.integers(self.frames))
        index = int(np.searchsorted(self.ends, place, "right"))
        return self.entries[index], place - (int(self.ends[index - 1]) if index else 0)

    def any(self, draw: np.random.Generator) -> Entry:
        """A piece; every one is as likely."""
        return self.entries[int(draw.integers(len(self.entries)))]


def distribution(
    labels: Sequence[Labels], shares: Sequence[float] | None, power: float
) -> tuple[tuple[Speaker, ...], NDArray[np.float64]]:
    """All speakers of the ``train`` splits, and how likely each is to be drawn: as minutes ** ``power``.

    Args:
        labels: folders with the same controls; equal names in two of them are two speakers.
        shares: how often each folder is drawn from, in all; None: no folder counts as such.
        power: 1 treats all minutes alike, 0 all speakers.

    Raises:
        UserError: nothing to train on, other controls, shares that do not fit, or audio that is held out elsewhere.
    """
    if shares is not None and (len(shares) != len(labels) or min(shares, default=0) < 0 or not sum(shares) > 0):
        raise UserError(f"the shares {list(shares)} do not fit {len(labels)} labels folders")
    speakers: list[Speaker] = []
    chances: list[NDArray[np.float64]] = []
    for index, folder in enumerate(labels):
        if folder.controls != labels[0].controls:
            raise UserError("it has other controls than the labels folder before", where=str(folder.folder))
        if shares is not None and not shares[index]:
            continue
        found = _speakers(folder)
        if not found:
            raise UserError("nothing to train on: no label is in the split 'train'", where=str(folder.folder))
        weights = np.array([speaker.frames for speaker in found], np.float64) ** power
        chances.append(weights if shares is None else weights * (shares[index] / weights.sum()))
        speakers += found
    if not speakers:
        raise UserError("nothing to train on: there are no labels")
    _require_apart(labels)
    chance = np.concatenate(chances)
    return tuple(speakers), chance / chance.sum()


def _require_apart(labels: Sequence[Labels]) -> None:
    """Refuse to train on audio by which another folder judges."""
    judges = {entry.key: folder for folder in labels for entry in folder.split(HELD_OUT)}
    for folder in labels:
        for entry in folder.split(TRAIN):
            if entry.key in judges:
                what = f"'{entry.source}' is to be learnt, but {judges[entry.key].folder} holds the same audio out"
                raise UserError(what, where=str(folder.folder), fix="label both in one folder, or give one of them")


def _speakers(labels: Labels) -> list[Speaker]:
    entries: dict[str, list[Entry]] = {}
    for entry in labels.split(TRAIN):
        if entry.frames:
            entries.setdefault(entry.speaker, []).append(entry)
    return [
        Speaker(labels, tuple(said), np.cumsum([entry.frames for entry in said])) for _, said in sorted(entries.items())
    ]


class Cache:
    """Decoded pieces, the most recently used ones, within :data:`CACHE_MB`; any thread may ask."""

    def __init__(self) -> None:
        self._room = int(CACHE_MB * 1e6)
        self._pieces: OrderedDict[tuple[str, str], Piece] = OrderedDict()
        self._lock = threading.Lock()

    def piece(self, labels: Labels, entry: Entry) -> Piece:
        """Look a piece up, or decode it.

        Raises:
            UserError: its label file is missing or damaged.
        """
        key = (str(labels.folder), entry.key)
        with self._lock:
            if key in self._pieces:
                self._pieces.move_to_end(key)
                return self._pieces[key]
        found = decode(labels, entry)
        with self._lock:
            if key not in self._pieces:
                self._room -= found.size
                self._pieces[key] = found
            while self._room < 0 and len(self._pieces) > 1:
                self._room += self._pieces.popitem(last=False)[1].size
        return found


def decode(labels: Labels, entry: Entry) -> Piece:
    """Read a piece from disk, with silence up to its last frame's end; raises as ``Labels.arrays``."""
    sound, curves = labels.arrays(entry)
    audio = np.zeros(len(curves) * HOP, np.int16)
    audio[: len(sound)] = sound
    return Piece(audio, curves, active_level(audio * PCM))
