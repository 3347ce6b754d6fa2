"""Messages of errors."""

from __future__ import annotations

from compile.errors import UnsupportedNode, UserError


def test_a_message_says_what_where_and_how_to_mend_it() -> None:
    assert str(UserError("it is empty", where="a.onnx", fix="write it")) == "a.onnx: it is empty; write it"
    assert str(UserError("„schön“: 2 µs…")) == "„schön“: 2 µs…"


def test_a_message_is_one_line_whatever_a_file_says() -> None:
    assert str(UserError("no 'a\nb'", where="c\x1b[0m", fix="\ud800")) == r"c\x1b[0m: no 'a\nb'; \ud800"
    assert str(UnsupportedNode("Conv", "a\rb", "because")).isprintable()


def test_a_message_is_of_a_length_that_can_be_read() -> None:
    text = str(UserError("x" * 1_000_000, where="m.onnx", fix="write it anew"))
    assert len(text) < 5_000
    assert text.startswith("m.onnx: xxx")
    assert text.endswith("; write it anew")
