"""An audio file becomes files of curves. It passes through in blocks, so an hour takes the memory of a minute."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compile.errors import UserError
from distill import audio, curves
from distill.animation import json
from distill.animation.formats import encode
from distill.animation.spool import Spool
from distill.controls import worn
from distill.corpus.manifest import spelled
from distill.corpus.sources import Source

Array = NDArray[np.float32]
Drive = Callable[[Iterable[Array]], Iterator[Array]]
"""A face: mono audio in blocks ``[time]`` to curves in blocks ``[frames, controls]``."""
Heard = Callable[[float], None]
"""Told how many more seconds of audio have passed."""

PICTURE = "png"
PICTURED = 120.0  # seconds; of more, nobody sees lips close in a picture


@dataclass(frozen=True)
class Order:
    """What is wanted of every file.

    Attributes:
        out: folder of what is written: NAME.FORMAT for each audio file and format.
        formats: keys of ``formats.FORMATS``, or :data:`PICTURE`.
        controls: names of what a frame has.
        sample_rate: of the audio that the face hears, Hz.
        frame_rate: frames a second that it gives.
    """

    out: Path
    formats: tuple[str, ...]
    controls: tuple[str, ...]
    sample_rate: int
    frame_rate: float


@dataclass(frozen=True)
class Baked:
    """What became of one audio file: what was written, why nothing was, or what else is to be said."""

    written: tuple[Path, ...] = ()
    complaint: str = ""
    remark: str = ""


def attempt(source: Source, drive: Drive, order: Order, bench: Path, heard: Heard) -> Baked:
    """Bake one file into ``order.out``, where what is written of it appears when all of it is whole.

    Args:
        source: what to hear.
        drive: the face.
        order: what to write.
        bench: a folder beside, for what is not whole yet.
        heard: told each second.
    """
    try:
        return _bake(source, drive, order, bench, heard)
    except UserError as error:
        return Baked(complaint=str(UserError(error.what, where=error.where or str(source.path), fix=error.fix)))
    except OSError as error:
        what = f"its curves cannot be written: {error.strerror or error}"
        return Baked(complaint=str(UserError(what, where=str(source.path))))


def _bake(source: Source, drive: Drive, order: Order, bench: Path, heard: Heard) -> Baked:
    stem = source.path.stem
    for form in order.formats:
        _require_nobodys(order.out / f"{stem}.{form}", source)
    with tempfile.TemporaryFile(dir=bench) as file:
        spool = Spool(file, len(order.controls))
        for block in drive(_told(audio.blocks(source.path, order.sample_rate), order.sample_rate, heard)):
            spool.append(worn(block, order.controls))
        long = PICTURE in order.formats and spool.frames > PICTURED * order.frame_rate
        made = [bench / f"{stem}.{form}" for form in order.formats if not (long and form == PICTURE)]
        for path in made:
            _write(path, source, spool, order)
    for path in made:
        os.replace(path, order.out / path.name)
    remark = f"no picture of {source.path}: it is longer than {PICTURED / 60:.0f} minutes" if long else ""
    if not made:
        return Baked(complaint=remark)
    return Baked(tuple(order.out / path.name for path in made), remark=remark)


def _require_nobodys(path: Path, source: Source) -> None:
    """What phiz baked may go; notes of other kinds, and what was captured with the sound and lies beside it, stays."""
    fix = "choose another folder with -o"
    if not path.exists():
        return
    if path.suffix == ".json":
        if not json.is_ours(path):
            raise UserError("it exists and holds no curves", where=str(path), fix=fix)
    elif path.parent.resolve() == source.path.parent.resolve():  # only JSON says who wrote it
        raise UserError("it is there beside the audio, and may be a recording", where=str(path), fix=fix)


def _write(path: Path, source: Source, spool: Spool, order: Order) -> None:
    """All that is spooled, in the format of the path's suffix."""
    form, title = path.suffix.removeprefix("."), source.text or spelled(source.path.name)
    if form == PICTURE:
        _draw(path, source, spool, order, title)
        return
    with path.open("wb") as file:
        file.writelines(encode(form, spool.blocks(), spool.frames, order.controls, order.frame_rate, title))


def _draw(path: Path, source: Source, spool: Spool, order: Order, title: str) -> None:
    curves.plot(
        path,
        np.concatenate(list(spool.blocks())),
        audio.decode(source.path),
        controls=order.controls,
        phones=source.phones or (),
        title=title,
        frame_rate=order.frame_rate,
    )


def _told(blocks: Iterable[Array], sample_rate: int, heard: Heard) -> Iterator[Array]:
    """The same blocks; each second of them is told."""
    count = 0
    for block in blocks:
        yield block
        count += len(block)
        if count >= sample_rate:
            heard(count / sample_rate)
            count = 0
    heard(count / sample_rate)
