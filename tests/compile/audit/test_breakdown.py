"""Whatever the bytes are added up by, they sum to the artefact, largest first."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compile.audit.breakdown import BY, Share, breakdown, top
from targets.base import Dissection, Kind, Section
from targets.onnx.dissect import dissect as dissect_onnx
from targets.tflite.dissect import dissect as dissect_tflite

LABELS = st.sampled_from(("", "conv", "dense", "[graph]", "a layer"))


@st.composite
def dissections(draw: st.DrawFn) -> Dissection:
    """Sections that cover two files from end to end."""
    sections, sizes = [], {}
    for file in ("m.onnx", "m.data"):
        ends = sorted(draw(st.sets(st.integers(1, 10_000), max_size=12)))
        sizes[file] = ends[-1] if ends else 0
        for start, end in pairwise([0, *ends]):
            kind = draw(st.sampled_from(list(Kind)))
            section = Section(file, start, end, kind, draw(LABELS), draw(LABELS), operator=draw(LABELS))
            sections.append(section)
    return Dissection(sizes, tuple(sections), (), {})


@given(dissections(), st.sampled_from(list(BY)))
def test_shares_sum_to_the_artefact(dissection: Dissection, by: str) -> None:
    shares = breakdown(dissection, by)
    assert sum(share.size for share in shares) == sum(dissection.sizes.values())
    assert all(share.label and share.size > 0 for share in shares)
    assert len({share.label for share in shares}) == len(shares)
    assert list(shares) == sorted(shares, key=lambda share: (-share.size, share.label))


@given(dissections())
def test_sections_are_kinds(dissection: Dissection) -> None:
    expected: Counter[str] = Counter()
    for section in dissection.sections:
        expected[section.kind.value] += section.end - section.start
    assert {share.label: share.size for share in breakdown(dissection, "section")} == expected


def test_what_belongs_to_no_layer_stands_under_its_kind() -> None:
    sections = (
        Section("m", 0, 10, Kind.GRAPH),
        Section("m", 10, 30, Kind.WEIGHTS, "conv", "int8", operator="Conv"),
        Section("m", 30, 35, Kind.GRAPH, "conv", operator="Conv"),
        Section("m", 35, 36, Kind.UNMAPPED),
    )
    dissection = Dissection({"m": 36}, sections, (), {})
    found = {by: [(share.label, share.size) for share in breakdown(dissection, by)] for by in BY}
    assert found == {
        "section": [("weights", 20), ("graph", 15), ("[unmapped]", 1)],
        "layer": [("conv", 25), ("[graph]", 10), ("[unmapped]", 1)],
        "operator": [("Conv", 25), ("[graph]", 10), ("[unmapped]", 1)],
        "dtype": [("int8", 20), ("[graph]", 15), ("[unmapped]", 1)],
    }


SHARES = st.lists(st.integers(1, 999), max_size=30).map(
    lambda sizes: tuple(Share(f"s{index}", size) for index, size in enumerate(sorted(sizes, reverse=True)))
)


@given(SHARES, st.integers(1, 12))
def test_the_top_and_the_rest_sum_up(shares: tuple[Share, ...], count: int) -> None:
    shown = top(shares, count)
    assert sum(share.size for share in shown) == sum(share.size for share in shares)
    assert len(shown) <= count + 1
    assert shown[:count] == shares[:count]
    assert top(shown, count) == shown
    if len(shown) < len(shares):
        assert shown[-1].label == f"[{len(shares) - count} others]"
    else:
        assert shown == shares  # one share alone keeps its name


@pytest.mark.parametrize("by", BY)
def test_real_files(by: str, tflite: bytes, onnx_model: bytes) -> None:
    for name, data, dissect in (("m.tflite", tflite, dissect_tflite), ("m.onnx", onnx_model, dissect_onnx)):
        shares = breakdown(dissect({name: data}), by)
        assert sum(share.size for share in shares) == len(data)
        assert shares[0].size >= 8_192  # the weights
