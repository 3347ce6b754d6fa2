"""``.safetensors`` against the library that reads it, and against files that nobody should believe."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.numpy import load, save

from compile.audit.safetensors import MAX_HEADER, UNKNOWN, dissect
from compile.errors import UserError
from targets.base import Dissection, Kind

SHAPES = st.lists(st.integers(0, 5), max_size=4).map(tuple)
DTYPES = st.sampled_from(["float32", "float64", "float16", "int8", "uint8", "int16", "int32", "int64", "bool"])
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(lambda name: name != "__metadata__")


def covers(dissection: Dissection, size: int) -> None:
    """Sorted, without a gap, to the last byte."""
    end = 0
    for section in dissection.sections:
        assert section.start == end < section.end
        end = section.end
    assert end == size == dissection.sizes["m.safetensors"]


def written(header: Any, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def entry(**other: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **other}


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(NAMES, st.tuples(DTYPES, SHAPES), min_size=1, max_size=6), st.dictionaries(NAMES, NAMES, max_size=3)
)
def test_what_the_library_writes_is_read_alike(
    tensors: dict[str, tuple[str, tuple[int, ...]]], notes: dict[str, str]
) -> None:
    random = np.random.default_rng(3)
    arrays = {name: random.integers(0, 2, shape).astype(dtype) for name, (dtype, shape) in tensors.items()}
    data = save(arrays, notes or None)
    dissection = dissect({"m.safetensors": data})
    covers(dissection, len(data))
    assert dissection.metadata == notes
    read = load(data)
    assert {constant.name for constant in dissection.constants} == read.keys()
    for constant in dissection.constants:
        ((_, start, end),) = constant.places
        array = np.frombuffer(data[start:end], constant.dtype).reshape(constant.shape)
        assert array.dtype == read[constant.name].dtype
        assert np.array_equal(array, read[constant.name])
        held = [s for s in dissection.sections if s.layer == constant.name and s.kind is Kind.WEIGHTS]
        assert sum(s.end - s.start for s in held) == array.nbytes
    assert all(s.kind is not Kind.UNMAPPED for s in dissection.sections)


def test_it_holds_no_graph_and_says_so() -> None:
    dissection = dissect({"m.safetensors": save({"w": np.ones(4, np.float32)})})
    assert dissection.lifetimes == dissection.steps == ()
    assert dissection.unknown == (UNKNOWN,)


def test_notes_are_metadata_and_descriptions_belong_to_their_tensors() -> None:
    data = save({"große.weight": np.ones(4, np.float32)}, {"format": "pt", "größe": "klein"})
    dissection = dissect({"m.safetensors": data})
    noted = b"".join(data[s.start : s.end] for s in dissection.sections if s.kind is Kind.METADATA)
    assert noted.startswith(b'"__metadata__":{')
    assert noted.endswith(b"}")
    (described,) = [s for s in dissection.sections if s.kind is Kind.GRAPH and s.layer == "große.weight"]
    text = data[described.start : described.end].decode()
    assert text.startswith('"große.weight":{"dtype":"F32"')


GOOD = {"a": entry(), "b": entry(data_offsets=[8, 16])}


def test_what_is_well_formed_is_taken() -> None:
    data = written(json.dumps(GOOD).encode() + b"   ", bytes(16))
    covers(dissect({"m.safetensors": data}), len(data))
    assert set(load(data)) == {"a", "b"}


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "does not fit"),
        (b"\x00\x00\x00", "does not fit"),
        (b"\xff" * 8 + b"{}", "does not fit"),
        ((MAX_HEADER + 1).to_bytes(8, "little") + b"{}", "does not fit"),
        (written(b"{"), "not the JSON"),
        (written(b"[]"), "not the JSON"),
        (written(b"\xff{}"), "not the JSON"),
        (written(b'{"a":1,}'), "not the JSON"),
        (written(b'{"a":NaN}'), "not the JSON"),
        (written(b'{"a":' + b"[" * 100_000), "not the JSON"),
        (written(b'{"a":' + b"9" * 10_000 + b"}"), "not the JSON"),
        (written(b'{"a":1 "b":2}'), "not the JSON"),
        (written(b"{} {}"), "not the JSON"),
        (written(b'{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}', bytes(8)), "not the JSON"),
        (written(b'{"a":' + json.dumps(entry()).encode() + b',"a":' + json.dumps(entry()).encode() + b"}"), "JSON"),
        (written({"a": 1}), "not described"),
        (written({"a": {"dtype": "F32"}}), "not described"),
        (written({"a": entry(dtype="F33")}, bytes(8)), "dtype 'F33' is not known"),
        (written({"a": entry(dtype=["F32"])}, bytes(8)), "is not known"),
        (written({"a": entry(shape=[-2])}, bytes(8)), "impossible"),
        (written({"a": entry(shape=[True, 2])}, bytes(8)), "impossible"),
        (written({"a": entry(shape=[2.0])}, bytes(8)), "impossible"),
        (written({"a": entry(shape=[1 << 60])}, bytes(8)), "impossible"),
        (written({"a": entry(shape=[1] * 65)}, bytes(8)), "impossible"),
        (written({"a": entry(data_offsets=[8, 0])}, bytes(8)), "impossible"),
        (written({"a": entry(data_offsets=[0])}, bytes(8)), "impossible"),
        (written({"a": entry(shape=[3])}, bytes(8)), "8 bytes, where its shape takes 12"),
        (written({"a": entry(dtype="F4", shape=[3], data_offsets=[0, 1])}, bytes(1)), "where its shape takes"),
        (written({"a": entry(), "b": entry()}, bytes(8)), "begins at byte"),  # overlapping
        (written({"a": entry(data_offsets=[4, 12])}, bytes(12)), "begins at byte"),  # a gap
        (written({"a": entry()}, bytes(9)), "its tensors end at byte"),
        (written({"a": entry()}, bytes(7)), "its tensors end at byte"),
        (written({"__metadata__": {"a": 1}}), "metadata is not strings"),
        (written({"__metadata__": "a"}), "metadata is not strings"),
    ],
)
def test_what_is_not_well_formed_is_refused_as_by_the_library(data: bytes, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint) as caught:
        dissect({"m.safetensors": data})
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_truncated_file_is_refused_as_by_the_library(cut: int) -> None:
    data = save({"w": np.ones(4, np.float32)})[:-cut]
    with pytest.raises(SafetensorError):
        load(data)
    with pytest.raises(UserError):
        dissect({"m.safetensors": data})


@settings(max_examples=300, deadline=2000)
@given(st.lists(st.tuples(st.integers(0, 300), st.binary(min_size=1, max_size=3)), min_size=1, max_size=4))
def test_a_mutated_file_is_refused_or_covered(edits: list[tuple[int, bytes]]) -> None:
    """What we take, the library takes, too: never more than it."""
    data = bytearray(save({"a": np.ones(4, np.float32), "b": np.ones((2, 3), np.int8)}, {"k": "v"}))
    for place, patch in edits:
        at = place % len(data)
        data[at : at + len(patch)] = patch
    try:
        dissection = dissect({"m.safetensors": bytes(data)})
    except UserError:
        return
    covers(dissection, len(data))
