"""Which layers of two files are the same, where their names only count them.

A TFLite file need not name anything: its layers are then called ``op 3 CONV_2D``, and one more at the front renames all
that follow. The two sequences are aligned like two texts (Needleman and Wunsch, 1970), so that as few bytes as
possible differ.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_COUNTED = re.compile(r"op (0|[1-9][0-9]{0,8}) (\S+)")
_CELLS = 100_000  # of the table, a fraction of a second; longer sequences are compared name by name

Layer = tuple[int, str, int]  # its number, its operator, its bytes


def aligned(old: Mapping[str, int], new: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """Both with layers that are the same under one label, such as ``op 10 FULLY_CONNECTED (was op 12)``.

    Args:
        old: bytes by layer.
        new: the same.
    """
    before, after = _counted(old), _counted(new)
    while before and after and before[0] == after[0]:
        before, after = before[1:], after[1:]
    then, now = dict(old), dict(new)
    if len(before) * len(after) > _CELLS:
        return then, now
    moved = [(before[one], after[other]) for one, other in align(before, after) if before[one][0] != after[other][0]]
    for was, layer in moved:
        del then[_name(was)], now[_name(layer)]
    for was, layer in moved:
        label = f"{_name(layer)} (was op {was[0]})"
        then[label], now[label] = then.get(label, 0) + was[2], now.get(label, 0) + layer[2]
    return then, now


def align(old: Sequence[Layer], new: Sequence[Layer]) -> list[tuple[int, int]]:
    """Pairs of positions, both rising, of layers with one operator; the least bytes differ.

    What is in no pair differs by all its bytes; among equals, more pairs are better.
    """
    table = [[(0, 0)] * (len(new) + 1) for _ in range(len(old) + 1)]  # of what is left: bytes that differ, unpaired
    for i in range(len(old), -1, -1):
        for j in range(len(new), -1, -1):
            choices = []
            if i < len(old):
                choices.append(_plus(table[i + 1][j], old[i][2], 1))
            if j < len(new):
                choices.append(_plus(table[i][j + 1], new[j][2], 1))
            if i < len(old) and j < len(new) and old[i][1] == new[j][1]:
                choices.append(_plus(table[i + 1][j + 1], abs(old[i][2] - new[j][2]), 0))
            table[i][j] = min(choices, default=(0, 0))
    pairs, i, j = [], 0, 0
    while i < len(old) and j < len(new):
        alike = old[i][1] == new[j][1]
        if alike and table[i][j] == _plus(table[i + 1][j + 1], abs(old[i][2] - new[j][2]), 0):
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif table[i][j] == _plus(table[i + 1][j], old[i][2], 1):
            i += 1
        else:
            j += 1
    return pairs


def _plus(rest: tuple[int, int], size: int, unpaired: int) -> tuple[int, int]:
    return rest[0] + size, rest[1] + unpaired


def _counted(sizes: Mapping[str, int]) -> list[Layer]:
    """The layers that are only counted, in their order."""
    found = ((_COUNTED.fullmatch(label), size) for label, size in sizes.items())
    return sorted((int(match.group(1)), match.group(2), size) for match, size in found if match)


def _name(layer: Layer) -> str:
    return f"op {layer[0]} {layer[1]}"
