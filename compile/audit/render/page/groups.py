"""The bytes of an artefact as a tree of two levels that a page can draw: pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from compile.audit.breakdown import BY
from targets.base import Dissection, Section

_GROUPS, _CELLS = 30, 60  # drawn one by one in a view
_LEAST = 1 / 1500  # share of the whole below which a cell is no more than a speck


@dataclass(frozen=True)
class Cell:
    """Bytes of one layer, kind and dtype."""

    label: str
    kind: str
    dtype: str
    operator: str
    size: int


@dataclass(frozen=True)
class Group:
    """Cells under one label, largest first."""

    label: str
    cells: tuple[Cell, ...]

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(cell.size for cell in self.cells)


def groups(dissection: Dissection, by: str) -> tuple[Group, ...]:
    """Bytes by one of ``breakdown.BY``, largest first; they sum to the artefact's size.

    Beyond the largest, groups are one and so are the cells of a group that share kind and dtype: ``[K others]``.
    """
    sizes: dict[tuple[str, str, str, str], int] = {}
    operators: dict[tuple[str, str, str, str], str] = {}
    for section in dissection.sections:
        key = (BY[by](section), _leaf(section, by), section.kind.value, section.dtype)
        sizes[key] = sizes.get(key, 0) + section.end - section.start
        operators.setdefault(key, section.operator)
    cells: dict[str, list[Cell]] = {}
    for key, size in sizes.items():
        cells.setdefault(key[0], []).append(Cell(*key[1:], operators[key], size))
    found = [Group(label, tuple(several)) for label, several in cells.items()]
    found.sort(key=lambda group: (-group.size, group.label))
    return tuple(_fold(_gather(found)))


def _leaf(section: Section, by: str) -> str:
    return section.kind.value if by == "layer" else section.layer or section.kind.value


def _gather(found: Sequence[Group]) -> list[Group]:
    """Groups beyond the first as one, whose cells go by their groups' names where they have none."""
    if len(found) <= _GROUPS + 1:
        return list(found)
    rest = found[_GROUPS:]
    cells = (
        replace(cell, label=group.label if cell.label == cell.kind else cell.label)
        for group in rest
        for cell in group.cells
    )
    return [*found[:_GROUPS], Group(f"[{len(rest):,} others]", tuple(cells))]


def _fold(found: Sequence[Group]) -> Iterator[Group]:
    """In each group the cells that are not among the largest of all, or too small to be seen, as one a kind."""
    whole = sum(group.size for group in found)
    every = [(-cell.size, g, c) for g, group in enumerate(found) for c, cell in enumerate(group.cells)]
    large = {(g, c) for size, g, c in sorted(every)[:_CELLS] if -size > whole * _LEAST}
    for g, group in enumerate(found):
        cells: list[Cell] = []
        small: dict[tuple[str, str], list[Cell]] = {}
        for c, cell in enumerate(group.cells):
            if (g, c) in large:
                cells.append(cell)
            else:
                small.setdefault((cell.kind, cell.dtype), []).append(cell)
        cells += (_together(several) for several in small.values())
        yield Group(group.label, tuple(sorted(cells, key=lambda cell: (-cell.size, cell.label))))


def _together(cells: Sequence[Cell]) -> Cell:
    if len(cells) == 1:
        return cells[0]
    first = cells[0]
    label = f"[{len(cells):,} others]"
    return Cell(label, first.kind, first.dtype, "", sum(cell.size for cell in cells))
