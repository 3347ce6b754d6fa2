"""A weight that is there a second time, transposed, as constant folding leaves one that two layers share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations, islice, permutations

from compile.audit.findings.evidence import BITS, Evidence, matrix, plain, stored
from compile.audit.findings.finding import Case, Finding, finding
from compile.units import short_size
from targets.base import Constant

_PAIRS = 100  # compared at most
_MAX_RANK = 4  # of 24 permutations


def transposed_copies(evidence: Evidence) -> tuple[Finding, ...]:
    """Weights of one dtype whose elements are the same in another order of the axes."""
    alike: dict[object, list[Constant]] = defaultdict(list)
    for constant in evidence.weights:
        if plain(constant) and matrix(constant) and evidence.is_read(constant) and len(constant.shape) <= _MAX_RANK:
            alike[_key(constant, evidence.content(constant))].append(constant)
    pairs = islice((pair for group in alike.values() for pair in combinations(group, 2)), _PAIRS)
    found: dict[str, Case] = {}
    for one, other in pairs:
        if not {one.name, other.name} & found.keys() and _transposed(evidence, one, other):
            text = f"'{other.name}' is '{one.name}' transposed, {short_size(stored(other))}"
            found[other.name] = Case(text, stored(other), other.name)
    fix = "keep one of the two, and let whoever reads the other transpose it"
    return finding("transposed-copies", found.values(), fix, evidence.worth)


def _key(constant: Constant, data: bytes) -> tuple[object, ...]:
    """What a transpose leaves as it is: its first and last element, too."""
    width = max(BITS[constant.dtype] // 8, 1)
    return (constant.dtype, tuple(sorted(size for size in constant.shape if size > 1)), data[:width], data[-width:])


def _transposed(evidence: Evidence, one: Constant, other: Constant) -> bool:
    import numpy as np

    before, after = evidence.values(one), evidence.values(other)
    if before is None or after is None or evidence.content(one) == evidence.content(other):
        return False
    before, after = before.squeeze(), after.squeeze()
    ways = (before.transpose(axes) for axes in _axes(before.shape, after.shape))
    return any(np.array_equal(way[0], after[0]) and np.array_equal(way, after) for way in ways)


def _axes(shape: Sequence[int], wanted: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """The orders of axes that bring ``shape`` to ``wanted``."""
    return (axes for axes in permutations(range(len(shape))) if [shape[axis] for axis in axes] == list(wanted))
