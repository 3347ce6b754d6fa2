"""The sizes of an artefact: never one number, for each answers another question."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

from compile.memory import Plan, check, plan
from targets.base import Dissection, Files, Kind
from targets.sections import pieces

DEFLATE, BROTLI = 6, 6  # levels, as servers compress; the same always, or sizes could not be compared
RESIDENT = (Kind.WEIGHTS, Kind.QUANTIZATION)
METRICS = ("file", "download", "brotli", "weights", "activations", "footprint", "measured")
_OF_ACTIVATIONS = ("activations", "footprint")


@dataclass(frozen=True)
class Sizes:
    """In bytes.

    Attributes:
        file: on disk.
        download: compressed with deflate of level ``DEFLATE``, file by file.
        weights: constants and quantisation parameters while loaded.
        activations: an arena that holds every activation while it lives.
        bound: what any such arena needs at least.
        unknown: what the artefact does not tell, so that ``weights`` and ``activations`` are too low.
        brotli: compressed with brotli of quality ``BROTLI``, file by file; None where it was not computed.
        measured: growth of a fresh process that loads and runs the artefact; None where it was not measured.
    """

    file: int
    download: int
    weights: int
    activations: int
    bound: int
    unknown: tuple[str, ...] = ()
    brotli: int | None = None
    measured: int | None = None

    @property
    def footprint(self) -> int:
        """Resident weights and peak activations: the memory that the model takes while it runs."""
        return self.weights + self.activations

    def metric(self, name: str) -> int | None:
        """One of ``METRICS``; None where it is not known, for unknown is not a pass."""
        if name in _OF_ACTIVATIONS and self.unknown:
            return None
        if any(entry.startswith("the weights") for entry in self.unknown):  # they are elsewhere, and weigh something
            return None
        value: int | None = getattr(self, name)
        return value


def sizes(dissection: Dissection, files: Files) -> tuple[Sizes, Plan]:
    """The sizes of a dissected artefact whose bytes are ``files``, and the arena that its activations were given."""
    arena = plan(dissection.lifetimes, dissection.alignment)
    check(arena, dissection.lifetimes)
    constants = (section for section in dissection.sections if section.kind in RESIDENT)
    found = Sizes(
        file=sum(dissection.sizes.values()),
        download=sum(_deflated(files[name]) for name in dissection.sizes),
        weights=sum(s.end - s.start if s.resident is None else s.resident for s in constants),
        activations=arena.size,
        bound=arena.bound,
        unknown=dissection.unknown,
        brotli=_brotli(dissection, files),
    )
    return found, arena


def _deflated(data: bytes) -> int:
    stream = zlib.compressobj(DEFLATE)
    return _compressed(data, stream.compress, stream.flush)


def _brotli(dissection: Dissection, files: Files) -> int | None:
    try:
        import brotli
    except ImportError:  # where an interpreter has no wheel of it, the other sizes are known all the same
        return None
    streams = {name: brotli.Compressor(quality=BROTLI) for name in dissection.sizes}
    return sum(_compressed(files[name], stream.process, stream.finish) for name, stream in streams.items())


def _compressed(data: bytes, compress: Callable[[bytes], bytes], finish: Callable[[], bytes]) -> int:
    """Bytes of what a compressor gives for ``data``, of which nothing is kept."""
    return sum(len(compress(piece)) for piece in pieces(data, 0, len(data))) + len(finish())
