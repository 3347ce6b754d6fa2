"""Layers that are only counted are recognised when they are counted otherwise."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from compile.audit.alignment import align, aligned

LAYERS = st.lists(st.tuples(st.sampled_from(("CONV", "FC")), st.integers(0, 9)), max_size=5)


def numbered(layers):
    return [(number, kind, size) for number, (kind, size) in enumerate(layers)]


def labelled(layers):
    return {f"op {number} {kind}": size for number, kind, size in layers}


def differing(old, new, pairs):
    """Bytes that differ under ``pairs``."""
    paired = sum(abs(old[i][2] - new[j][2]) for i, j in pairs)
    alone = sum(size for i, (_, _, size) in enumerate(old) if i not in {i for i, _ in pairs})
    return paired + alone + sum(size for j, (_, _, size) in enumerate(new) if j not in {j for _, j in pairs})


@given(LAYERS, LAYERS)
def test_as_few_bytes_as_possible_differ(before, after):
    """Against every way to pair them."""
    old, new = numbered(before), numbered(after)
    ways = [
        list(zip(ones, others, strict=True))
        for count in range(min(len(old), len(new)) + 1)
        for ones in combinations(range(len(old)), count)
        for others in combinations(range(len(new)), count)
    ]
    allowed = [way for way in ways if all(old[i][1] == new[j][1] for i, j in way)]
    found = align(old, new)
    assert found in allowed
    assert differing(old, new, found) == min(differing(old, new, way) for way in allowed)


@given(LAYERS, LAYERS)
def test_no_byte_is_lost(before, after):
    old, new = labelled(numbered(before)), labelled(numbered(after))
    then, now = aligned(old, new)
    assert sum(then.values()) == sum(old.values())
    assert sum(now.values()) == sum(new.values())
    assert sum(abs(then.get(name, 0) - now.get(name, 0)) for name in {*then, *now}) <= sum(
        abs(old.get(name, 0) - new.get(name, 0)) for name in {*old, *new}
    )


def test_a_layer_at_the_front():
    old = {"op 0 CONV": 100, "op 1 FC": 30, "[graph]": 7, "named": 5}
    new = {"op 0 DEQUANTIZE": 3, "op 1 CONV": 101, "op 2 FC": 30, "[graph]": 8, "named": 5}
    then, now = aligned(old, new)
    assert then == {"op 1 CONV (was op 0)": 100, "op 2 FC (was op 1)": 30, "[graph]": 7, "named": 5}
    assert now == {**then, "op 0 DEQUANTIZE": 3, "op 1 CONV (was op 0)": 101, "[graph]": 8}


def test_too_many_are_compared_by_name():
    old = {f"op {number} CONV": number for number in range(400)}
    new = {f"op {number + 1} CONV": number for number in range(400)}
    assert aligned(old, new) == (old, new)


def test_names_that_only_look_like_it():
    """Whoever names layers may name them like that, too."""
    old = {
        "op 1 CONV": 5,
        "op 0x CONV": 1,
        "op 01 CONV": 2,
        "op \N{ARABIC-INDIC DIGIT ONE} CONV": 3,
        "op 2 CONV (was op 1)": 4,
    }
    new = {"op 0 FC": 9, "op 2 CONV": 5, "op 01 CONV": 2, "op 2 CONV (was op 1)": 6}
    then, now = aligned(old, new)
    assert then == {
        "op 0x CONV": 1,
        "op 01 CONV": 2,
        "op \N{ARABIC-INDIC DIGIT ONE} CONV": 3,
        "op 2 CONV (was op 1)": 9,
    }
    assert now == {"op 0 FC": 9, "op 01 CONV": 2, "op 2 CONV (was op 1)": 11}
