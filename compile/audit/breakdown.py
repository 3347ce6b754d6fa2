"""Where the bytes of an artefact are: its sections added up by what they are for, or whom they belong to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from targets.base import Dissection, Section

BY: Mapping[str, Callable[[Section], str]] = {
    "section": lambda section: section.kind.value,
    "layer": lambda section: section.layer or f"[{section.kind.value.strip('[]')}]",
    "operator": lambda section: section.operator or f"[{section.kind.value.strip('[]')}]",
    "dtype": lambda section: section.dtype or f"[{section.kind.value.strip('[]')}]",
}


@dataclass(frozen=True)
class Share:
    """A label, and the bytes under it."""

    label: str
    size: int


def breakdown(dissection: Dissection, by: str) -> tuple[Share, ...]:
    """Bytes by one of ``BY``, largest first; they sum to the artefact's size."""
    sizes: dict[str, int] = {}
    for section in dissection.sections:
        label = BY[by](section)
        sizes[label] = sizes.get(label, 0) + section.end - section.start
    return tuple(sorted((Share(*entry) for entry in sizes.items()), key=lambda share: (-share.size, share.label)))


def top(shares: Sequence[Share], count: int) -> tuple[Share, ...]:
    """The first ``count`` shares, and the rest as one, ``[K others]``; one share alone keeps its name."""
    if len(shares) <= count + 1:
        return tuple(shares)
    rest = shares[count:]
    return (*shares[:count], Share(f"[{len(rest):,} others]", sum(share.size for share in rest)))
