"""One source is labelled: its key, its pieces, its teacher's curves, and the files that keep them.

A source's first piece is written last and names the others: where it is, all of them are, and a run that was killed
within an hour-long file goes on at the piece where it stopped.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from compile.errors import MissingExtra, PhizError, UserError
from distill import digests
from distill.arrays import open_npz
from distill.audio import SAMPLE_RATE, as_float, blocks, frame_count
from distill.corpus.espeak import Phone
from distill.corpus.pieces import pieces, within
from distill.corpus.sources import Source
from distill.teachers.base import Teacher, Utterance, evidence, hearing, listens

FORMAT = "phiz labels 2"
PHONES, RECOGNISED = ("symbols", "times"), ("heard_symbols", "heard_times")  # arrays of a label file
SILENT = 1e-3  # a file whose peak is lower (-60 dBFS) says nothing
FULL = 0.998  # a sample that is larger is at full scale, whatever its format was
CLIPPED = 1e-3  # share of samples at full scale above which clipping is told
TOO_LONG = "its text is not used, but what is heard: it is longer than 30 s; give text and audio in shorter files"

Pieces = tuple[tuple[str, int], ...]  # (key, frames) of each piece
Answer = TypeVar("Answer")


class CannotWrite(UserError):
    """The disk is full or the folder not writable: no other source would fare better."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a source: its ``pieces``, or why it was ``refused``; ``remark`` is what is odd about it."""

    pieces: Pieces = ()
    cached: bool = False
    remark: str = ""
    refused: str = ""

    def line(self) -> str:
        """As a line of text, for :meth:`of_line` in another process."""
        return json.dumps(astuple(self))

    @staticmethod
    def of_line(line: str) -> Outcome:
        """What :meth:`line` wrote."""
        pieces, cached, remark, refused = json.loads(line)
        return Outcome(tuple((key, frames) for key, frames in pieces), cached, remark, refused)


def attempt(source: Source, teacher: Teacher, folder: Path, bench: Path, alive: Callable[[], None]) -> Outcome:
    """Label ``source``, or find its labels in ``folder``.

    Args:
        source: its phones go to the teacher, or, where it has none, its text.
        teacher: asked once a piece; may do anything.
        folder: of the labels.
        bench: on the same file system, for files that are not whole yet.
        alive: called between two pieces.

    Raises:
        CannotWrite: a label file cannot be written.
        MissingExtra: a package that reading or labelling takes is not installed.
    """
    try:
        phones = None if source.phones is None else tuple(source.phones)
        key = _key(source, phones, teacher)
        return _known(folder, key) or _label(source, phones, teacher, key, folder, bench, alive)
    except (MissingExtra, CannotWrite):
        raise
    except UserError as error:
        named = error.where == str(source.path)
        return Outcome(refused=str(error if named else UserError(str(error), where=str(source.path))))


def place(folder: Path, key: str) -> Path:
    """Where a piece is kept: ``folder`` has 256 of its own, so that none holds too many files."""
    return folder / key[:2] / f"{key}.npz"


def _key(source: Source, phones: Sequence[Phone] | None, teacher: Teacher) -> str:
    """Digest of all that the labels depend on."""
    path = source.path
    if not path.is_file():
        raise UserError("there is no such audio file", where=str(path), fix="check the path")
    timed = None if phones is None else [(phone.symbol, phone.start, phone.end) for phone in phones]
    besides = [_asked(teacher, path, lambda: evidence(teacher, path))]
    if phones is None and source.text and listens(teacher):
        besides += [source.text, source.language]
    return digests.key(FORMAT, digests.content(path), timed, teacher.name, teacher.version, teacher.controls, *besides)


def _known(folder: Path, key: str) -> Outcome | None:
    """The labels that are there already; a damaged file is none."""
    if not place(folder, key).is_file():
        return None
    try:
        file = open_npz(place(folder, key))
        keys = (key, *(str(name) for name in file.read("rest")))
        known = tuple(zip(keys, (int(count) for count in file.read("frames")), strict=True))
        peak, clipped = (float(value) for value in file.read("level"))
        remark = _remark(peak, clipped, str(file.read("remark")) if "remark" in file.headers else "")
    except (UserError, ValueError, TypeError):
        return None
    return Outcome(known, True, remark) if all(place(folder, name).is_file() for name in keys) else None


def _label(
    source: Source,
    phones: Sequence[Phone] | None,
    teacher: Teacher,
    key: str,
    folder: Path,
    bench: Path,
    alive: Callable[[], None],
) -> Outcome:
    path = source.path
    first: NDArray[np.int16] | None = None
    rest: list[tuple[str, int]] = []
    peak, full, samples = 0.0, 0, 0
    for start, audio in pieces(blocks(path)):
        level = np.abs(as_float(audio))
        peak, full, samples = max(peak, float(level.max())), full + int((level > FULL).sum()), samples + len(audio)
        if first is None:
            first = audio
            continue
        name = digests.key(key, start, len(audio))
        rest.append((name, frame_count(len(audio))))
        if not place(folder, name).is_file():
            _write(place(folder, name), _arrays(_utterance(path, phones, start, audio), teacher, audio), bench)
        alive()
    if first is None:
        raise UserError("it has no samples", where=str(path))
    whole = ((key, frame_count(len(first))), *rest)
    heard = _utterance(path, phones, 0, first)
    arrays = _arrays(replace(heard, text=source.text, language=source.language) if not rest else heard, teacher, first)
    if rest and source.text and phones is None and listens(teacher):
        arrays["remark"] = np.array(TOO_LONG)
    arrays |= {
        "rest": np.array([name for name, _ in rest], dtype="<U32"),
        "frames": np.array([count for _, count in whole], dtype=np.int32),
        "level": np.array([peak, full / samples]),
    }
    _write(place(folder, key), arrays, bench)
    return Outcome(whole, False, _remark(peak, full / samples, str(arrays.get("remark", ""))))


def _utterance(path: Path, phones: Sequence[Phone] | None, start: int, audio: NDArray[np.int16]) -> Utterance:
    """What the teacher hears of a piece that begins at sample ``start``."""
    known = None if phones is None else within(phones, start, len(audio))
    return Utterance(as_float(audio), known, path, start / SAMPLE_RATE)


def _arrays(utterance: Utterance, teacher: Teacher, audio: NDArray[np.int16]) -> dict[str, np.ndarray]:
    """What is kept of a piece; its curves are the teacher's, held to their contract."""
    path = utterance.path or Path()
    heard = _asked(teacher, path, lambda: hearing(teacher, utterance))
    if heard is not None:
        utterance = replace(utterance, phones=heard.phones)
    curves = _asked(teacher, path, lambda: np.asarray(teacher.curves(utterance)))
    expected = (frame_count(len(audio)), len(teacher.controls))
    kept = None
    if curves.shape == expected and curves.dtype.kind in "fiu":
        with np.errstate(over="ignore"):
            kept = curves.astype(np.float16)
    if kept is None or not np.isfinite(kept).all():
        wrong = f"{curves.dtype} {list(curves.shape)}" if kept is None else "NaN, or values that float16 cannot hold,"
        raise UserError(f"the teacher '{teacher.name}' gave {wrong} where {list(expected)} was due", where=str(path))
    arrays: dict[str, np.ndarray] = {"audio": audio, "curves": kept}
    if utterance.phones is not None:
        arrays |= _timed(PHONES, utterance.phones)
    if heard is not None:
        arrays |= _timed(RECOGNISED, heard.recognised)
        if heard.remark:
            arrays["remark"] = np.array(heard.remark)
    return arrays


def _timed(names: tuple[str, str], phones: Sequence[Phone]) -> dict[str, np.ndarray]:
    symbols, times = names
    return {
        symbols: np.array([phone.symbol for phone in phones], dtype=np.str_),
        times: np.array([(phone.start, phone.end) for phone in phones], np.float64).reshape(-1, 2),
    }


def phones_of(symbols: np.ndarray, times: np.ndarray) -> tuple[Phone, ...]:
    """The phones that a label file keeps as two arrays; ValueError where they are none."""
    if symbols.dtype.kind != "U" or times.dtype.kind != "f" or times.shape != (*symbols.shape, 2):
        raise ValueError(f"{symbols.dtype} {symbols.shape}, {times.dtype} {times.shape}")
    return tuple(
        Phone(str(symbol), float(start), float(end)) for symbol, (start, end) in zip(symbols, times, strict=True)
    )


def _asked(teacher: Teacher, path: Path, ask: Callable[[], Answer]) -> Answer:
    """What ``ask`` returns; whatever else a teacher raises becomes a refusal of this file."""
    try:
        return ask()
    except PhizError:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0]
        what = f"the teacher '{teacher.name}' raises {type(error).__name__}: {reason}"
        raise UserError(what, where=str(path)) from error


def packed(arrays: dict[str, np.ndarray]) -> bytes:
    """The bytes of a label file; equal for equal arrays."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w") as member:  # dated 1980
                np.lib.format.write_array(member, array, allow_pickle=False)
    return data.getvalue()


def _write(path: Path, arrays: dict[str, np.ndarray], bench: Path) -> None:
    """Write a label file, whole or not at all."""
    draft = bench / f"{path.name}.{os.getpid()}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(packed(arrays))
        os.replace(draft, path)
    except OSError as error:
        raise CannotWrite(
            f"cannot write: {error.strerror}",
            where=str(path),
            fix="make room, or choose another folder; the same command goes on where it stopped",
        ) from error


def _remark(peak: float, clipped: float, said: str) -> str:
    """What is odd about a file, by its sound, or as was ``said``."""
    if peak < SILENT:
        return "silent: it teaches a face at rest"
    loud = f"clipped: {100 * clipped:.2g} % of its samples are at full scale" if clipped > CLIPPED else ""
    return "; ".join(filter(None, (loud, said)))
