"""What is alive at each step, against a count step by step."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from compile.audit.render.page.columns import columns, stack
from targets.base import Lifetime


@st.composite
def lifetimes(draw: st.DrawFn) -> list[Lifetime]:
    found = []
    for index in range(draw(st.integers(1, 20))):
        first = draw(st.integers(0, 40))
        found.append(Lifetime(f"t{index}", draw(st.integers(0, 1_000)), first, first + draw(st.integers(0, 40))))
    return found


@settings(max_examples=120, deadline=None)
@given(lifetimes(), st.integers(0, 90), st.integers(1, 100))
def test_columns_cover_all_steps_and_keep_the_peak(alive: list[Lifetime], steps: int, most: int) -> None:
    found = columns(alive, steps, most)
    count = max(steps, 1 + max(tensor.last for tensor in alive))
    live = [sum(t.size for t in alive if t.first <= step <= t.last) for step in range(count)]
    covered = [step for column in found for step in range(column.first, column.last + 1)]
    assert covered == list(range(count))
    assert len(found) == min(count, most)
    lengths = {column.last - column.first for column in found}
    assert max(lengths) - min(lengths) <= 1
    assert max(column.live for column in found) == max(live)
    for column in found:
        assert column.live == live[column.step] == max(live[column.first : column.last + 1])
        assert column.count == sum(t.first <= column.step <= t.last for t in alive)


@settings(max_examples=120, deadline=None)
@given(lifetimes(), st.integers(1, 100), st.integers(0, 20))
def test_bands_stack_up_to_what_is_alive(alive: list[Lifetime], most: int, shown: int) -> None:
    found = columns(alive, 0, most)
    bands = stack(alive, found, range(min(shown, len(alive))))
    heights = [0] * len(found)
    for band in bands:
        for offset, (bottom, top) in enumerate(zip(band.bottom, band.top, strict=True)):
            assert bottom == heights[band.start + offset]
            assert top >= bottom
            if band.index >= 0:
                assert top - bottom == alive[band.index].size
            heights[band.start + offset] = top
    assert heights == [column.live for column in found]
