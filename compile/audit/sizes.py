"""The sizes of an artefact: never one number, for each answers another question."""

from __future__ import annotations

from dataclasses import dataclass

from compile.audit.download import Download
from compile.memory import Plan, check, plan
from targets.base import Dissection, Kind

RESIDENT = (Kind.WEIGHTS, Kind.QUANTIZATION)
METRICS = ("file", "download", "brotli", "weights", "activations", "footprint", "measured")
_OF_ACTIVATIONS = ("activations", "footprint")
_LOADED = ("the size of constant",)  # how entries of ``unknown`` begin that are about constants made at load
_OF_WEIGHTS = ("weights", "footprint")
_ELSEWHERE = ("the weights", "the elements")  # how entries of ``unknown`` begin that are about constants kept elsewhere


@dataclass(frozen=True)
class Sizes:
    """In bytes.

    Attributes:
        file: on disk.
        download: compressed with deflate of level ``download.DEFLATE``, file by file.
        weights: constants and quantisation parameters while loaded.
        activations: an arena that holds every activation while it lives.
        bound: what any such arena needs at least.
        unknown: what the artefact does not tell, so that ``weights`` and ``activations`` are too low.
        brotli: compressed with brotli of quality ``download.BROTLI``, file by file; None where it was not computed.
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
        if name in _OF_WEIGHTS and any(entry.startswith(_LOADED) for entry in self.unknown):
            return None
        if any(entry.startswith(_ELSEWHERE) for entry in self.unknown):  # they weigh something, wherever they are
            return None
        value: int | None = getattr(self, name)
        return value

    def at_least(self, name: str) -> int | None:
        """One of ``METRICS``, or where it is not known what is known of it; None where that is nothing."""
        known: int | None = getattr(self, name)
        return known or self.metric(name)


def sizes(dissection: Dissection, download: Download) -> tuple[Sizes, Plan]:
    """The sizes of a dissected artefact, and the arena that its activations were given.

    Args:
        dissection: of the artefact.
        download: of the same files.
    """
    arena = plan(dissection.lifetimes, dissection.alignment)
    check(arena, dissection.lifetimes)
    constants = (section for section in dissection.sections if section.kind in RESIDENT)
    weights = sum(s.end - s.start if s.resident is None else s.resident for s in constants)
    deflated, compressed = zip(*map(download.of, dissection.sizes), strict=True) if dissection.sizes else ((), ())
    found = Sizes(
        file=sum(dissection.sizes.values()),
        download=sum(deflated),
        weights=weights,
        activations=arena.size,
        bound=arena.bound,
        unknown=dissection.unknown,
        brotli=None if None in compressed else sum(compressed),
    )
    return found, arena
