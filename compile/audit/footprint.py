"""The sizes of an artefact: never one number, for each answers another question."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from compile.memory import ALIGNMENT, check, plan
from targets.base import Dissection, Files, Kind

RESIDENT = (Kind.WEIGHTS, Kind.QUANTIZATION)


@dataclass(frozen=True)
class Footprint:
    """In bytes.

    Attributes:
        file: on disk.
        download: compressed with deflate, file by file.
        weights: constants and quantisation parameters while loaded.
        activations: an arena that holds every activation while it lives.
        bound: what any such arena needs at least.
        unknown: what the artefact does not tell, so that ``weights`` and ``activations`` are too low.
    """

    file: int
    download: int
    weights: int
    activations: int
    bound: int
    unknown: tuple[str, ...] = ()

    @property
    def resident(self) -> int:
        """Resident weights and peak activations: the memory that the model takes while it runs."""
        return self.weights + self.activations


def footprint(dissection: Dissection, files: Files, alignment: int = ALIGNMENT) -> Footprint:
    """Measure a dissected artefact.

    Args:
        dissection: of the artefact.
        files: the same bytes.
        alignment: of tensors in the arena, in bytes.
    """
    arena = plan(dissection.lifetimes, alignment)
    check(arena, dissection.lifetimes)
    constants = (section for section in dissection.sections if section.kind in RESIDENT)
    return Footprint(
        file=sum(dissection.sizes.values()),
        download=sum(len(zlib.compress(files[name], 9)) for name in dissection.sizes),
        weights=sum(s.end - s.start if s.resident is None else s.resident for s in constants),
        activations=arena.size,
        bound=arena.bound,
        unknown=dissection.unknown,
    )
