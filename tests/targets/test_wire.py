from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto

from compile.errors import UserError
from targets.wire import BYTES, FIXED32, FIXED64, VARINT, fields, signed, varint


def test_a_message_read_by_hand():
    #       field 1 varint 300 | field 2 "hi" | field 3 fixed32 1 | field 4 fixed64 2
    data = bytes.fromhex("08ac02120268691d01000000210200000000000000")
    found = [(f.number, f.wire, f.start, f.value, f.end, f.integer) for f in fields(data, 0, len(data), "x")]
    assert found == [
        (1, VARINT, 0, 1, 3, 300),
        (2, BYTES, 3, 5, 7, 2),
        (3, FIXED32, 7, 8, 12, 1),
        (4, FIXED64, 12, 13, 21, 2),
    ]


@given(st.integers(0, 2**64 - 1))
def test_varints_are_those_of_the_encoding_guide(number):
    data, rest = bytearray(), number
    while rest > 0x7F:
        data.append(rest & 0x7F | 0x80)
        rest >>= 7
    data.append(rest)
    assert varint(bytes(data) + b"\xff", 0, len(data), "x") == (number, len(data))


@given(st.integers(-(2**63), 2**63 - 1))
def test_negative_integers_are_64_bit_twos_complement(number):
    message = TensorProto(int64_data=[number])
    (field,) = fields(data := message.SerializeToString(), 0, len(data), "x")
    integer, end = varint(data, field.value, field.end, "x")
    assert (signed(integer), end) == (number, field.end)


@given(st.lists(st.integers(0, 2**40)), st.text(max_size=20), st.binary(max_size=20))
def test_fields_cover_what_protobuf_writes(dims, name, raw):
    message = TensorProto(dims=dims, name=name, raw_data=raw)
    data = b"\x00\x00" + message.SerializeToString() + b"\x07"
    found = list(fields(data, 2, len(data) - 1, "x"))
    position = 2
    for field in found:
        assert field.start == position
        position = field.end
    assert position == len(data) - 1
    texts = [data[f.value : f.end].decode() for f in found if f.number == 8]
    assert texts == ([name] if message.HasField("name") else [])
    assert [f.integer for f in found if f.number == 1] == dims


@pytest.mark.parametrize(
    "data",
    [
        "08",  # a tag without its value
        "0880",  # a varint that does not end
        "08" + "80" * 10 + "01",  # a varint of eleven bytes
        "1205686900",  # bytes that reach beyond the end
        "12ffffffffffffffffff01",  # a length that nothing could have
        "1d010000",  # three of four bytes
        "00",  # field number 0
        "0b0c",  # groups, which nobody writes any more
        "0f",  # a wire type that does not exist
    ],
)
def test_malformed_bytes_are_user_errors(data):
    content = bytes.fromhex(data)
    with pytest.raises(UserError, match=r"^file: malformed at byte"):
        list(fields(content, 0, len(content), "file"))


def test_a_message_ends_where_it_is_said_to():
    data = bytes.fromhex("080108ac02")
    assert [field.integer for field in fields(data, 0, 2, "x")] == [1]
    with pytest.raises(UserError):
        list(fields(data, 0, 4, "x"))


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data):
    try:
        found = list(fields(data, 0, len(data), "x"))
    except UserError:
        return
    assert sum(field.end - field.start for field in found) == len(data)
    assert all(field.start < field.value <= field.end or field.wire == VARINT for field in found)
