"""Differences are exact: under every label they sum to the difference of the files."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from compile.audit.breakdown import BY
from compile.audit.difference import Change, difference, top
from compile.audit.report import Row
from compile.audit.sizes import Sizes
from compile.audit.stored import Old, shares
from targets.base import Dissection, Kind, Section

PIECES = st.lists(
    st.tuples(
        st.integers(1, 1000), st.sampled_from(Kind), st.sampled_from("abc"), st.sampled_from(("", "int8", "float32"))
    ),
    max_size=12,
)


def dissected(pieces):
    """A file of these pieces, one behind the other."""
    sections, at = [], 0
    for size, kind, layer, dtype in pieces:
        sections.append(Section("f", at, at + size, kind, layer, dtype, operator=layer.upper()))
        at += size
    return Dissection({"f": at}, tuple(sections), (), {})


def row(dissection, target="onnx"):
    size = sum(dissection.sizes.values())
    return Row(target, "new.onnx", Sizes(size, size, size, 3, 2, brotli=None), dissection=dissection)


def old(dissection, target="onnx", **more):
    return Old("old.onnx", target, "old.onnx", {"file": sum(dissection.sizes.values())}, shares(dissection), **more)


@given(PIECES, PIECES)
def test_changes_sum_to_the_difference_of_the_files(before, after):
    new, was = dissected(after), dissected(before)
    found = difference(row(new), old(was))
    assert set(found.changes) == set(BY)
    sizes = found.metrics["file"]
    for by, changes in found.changes.items():
        assert sum(change.growth for change in changes) == sizes[1] - sizes[0] == new.sizes["f"] - was.sizes["f"]
        assert all(change.growth for change in changes)
        assert [abs(change.growth) for change in changes] == sorted((abs(c.growth) for c in changes), reverse=True)
        assert len({change.label for change in changes}) == len(changes)
        for count in (1, 3, 30):
            assert sum(change.growth for change in top(changes, count)) == sizes[1] - sizes[0]
            assert len(top(changes, count)) <= count + 1
        if by == "section":  # a second count of the same
            then, now = Counter[str](), Counter[str]()
            for counter, pieces in ((then, before), (now, after)):
                for size, kind, _, _ in pieces:
                    counter[kind.value] += size
            expected = {(kind.value, then[kind.value], now[kind.value]) for kind in Kind}
            assert {(c.label, c.old, c.new) for c in changes} == {e for e in expected if e[1] != e[2]}


def test_the_rest_is_one():
    changes = tuple(Change(f"l{size}", size, 0) for size in (5, 4, 3, 2, 1))
    assert top(changes, 4) == changes  # one alone keeps its name
    assert top(changes, 2) == (*changes[:2], Change("[3 others]", 6, 0))


def test_metrics_that_one_side_lacks_are_unknown():
    found = difference(row(dissected([])), old(dissected([])))
    assert found.metrics["file"] == (0, 0)
    assert found.metrics["activations"] == (None, 3)
    assert found.metrics["brotli"] == (None, None)


def test_a_form_of_a_target_is_of_the_same_format():
    found = difference(row(dissected([]), "onnx:unity"), old(dissected([])))
    assert set(found.changes) == set(BY)
    assert found.stale == ""


def test_another_format_is_compared_by_section():
    one = dissected([(3, Kind.GRAPH, "a", "")])
    found = difference(row(one, "tflite"), old(dissected([]), stale="it is old"))
    assert found.changes == {"section": (Change("graph", 0, 3),)}
    assert found.stale.startswith("it is old; it is of another format")


def test_without_bytes_there_are_no_changes():
    found = difference(row(dissected([])), Old("m", "onnx", "p", {"file": 3}))
    assert found.changes == {}
    assert found.metrics["file"] == (3, 0)
