"""What is drawn sums to the file, however it is folded."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from compile.audit.breakdown import BY, breakdown
from compile.audit.render.page.groups import groups
from targets.base import Dissection, Kind, Section

Made = Callable[[Sequence[str]], Dissection]


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("count", [1, 12, 3_000])
def test_cells_sum_to_the_file_and_groups_to_their_sections(by: str, count: int, made: Made) -> None:
    dissection = made([f"layer {index}" for index in range(count)])
    found = groups(dissection, by)
    assert sum(group.size for group in found) == sum(dissection.sizes.values())
    shares = {share.label: share.size for share in breakdown(dissection, by)}
    for group in found:
        if not group.label.endswith(" others]"):
            assert group.size == shares[group.label]
    # 60 cells of their own; beyond them one a kind and dtype in each of 31 groups, and there are 4 such here
    assert sum(len(group.cells) for group in found) <= 60 + 31 * 4
    sizes = [cell.size for group in found for cell in group.cells if cell.label.endswith(" others]")]
    assert all(sizes)


def test_equal_layers_are_not_all_folded() -> None:
    sections = tuple(
        Section("m", 10 * i, 10 * i + 10, Kind.WEIGHTS, f"l{i}", "int8", operator="Conv") for i in range(100)
    )
    (group,) = groups(Dissection({"m": 1_000}, sections, (), {}), "section")
    alone = [cell for cell in group.cells if not cell.label.endswith(" others]")]
    (rest,) = [cell for cell in group.cells if cell.label.endswith(" others]")]
    assert len(alone) == 60
    assert (rest.label, rest.size) == ("[40 others]", 400)


def test_a_layer_called_like_the_others_loses_nothing() -> None:
    names = [f"l{i}" for i in range(50)] + ["[21 others]"]
    sections = tuple(Section("m", 9 * i, 9 * i + 9, Kind.WEIGHTS, name, "int8") for i, name in enumerate(names))
    dissection = Dissection({"m": 9 * 51}, sections, (), {})
    assert sum(group.size for group in groups(dissection, "layer")) == 9 * 51


def test_a_cell_names_the_operator_of_its_group() -> None:
    sections = (
        Section("m", 0, 10, Kind.WEIGHTS, "shared", "int8", operator="Conv"),
        Section("m", 10, 30, Kind.WEIGHTS, "shared", "int8", operator="Gemm"),
    )
    found = groups(Dissection({"m": 30}, sections, (), {}), "operator")
    assert [(group.label, group.cells[0].operator, group.size) for group in found] == [
        ("Gemm", "Gemm", 20),
        ("Conv", "Conv", 10),
    ]
