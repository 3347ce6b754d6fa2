"""Names are shown, not obeyed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compile.audit.render.words import brief, harmless, share, sizes

ANY = st.text(st.characters())  # lone surrogates too


@given(ANY)
def test_what_is_harmless_is_one_printable_line(text: str) -> None:
    shown = harmless(text)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1
    assert shown.encode() or not text  # there is no lone surrogate
    assert "##" not in shown
    assert not shown.lstrip().startswith("::")
    assert harmless(shown) == shown


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="#:")))
def test_ordinary_names_stay_as_they_are(text: str) -> None:
    assert harmless(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", r"a\nb"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\ud800", r"\ud800"),
        ("::error::x", r"\x3a:error::x"),
        (" ::error::x", r" \x3a:error::x"),
        ("###[x", r"\x23\x23#[x"),
        ("x ::error::x", r"x \x3a:error::x"),
        ("aten::conv", "aten::conv"),
        ("Größe/層", "Größe/層"),
    ],
)
def test_escapes_can_be_read(text: str, shown: str) -> None:
    assert harmless(text) == shown


@given(ANY, st.integers(2, 50))
def test_what_is_brief_is_no_longer_than_asked(text: str, most: int) -> None:
    shown = brief(text, most)
    assert len(shown) <= most
    assert shown == harmless(text) or "…" in shown


def test_a_long_name_keeps_both_ends() -> None:
    assert brief("model/" + "x" * 1_000 + "/conv", 21) == "model/xxxx…xxxxx/conv"


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (0, 10, "0.0 %"),
        (1, 10_000, "< 0.1 %"),
        (5, 10_000, "0.1 %"),
        (9_999, 10_000, "> 99.9 %"),
        (10_000, 10_000, "100.0 %"),
        (10_100, 10_000, "101.0 %"),
        (10_001, 10_000, "> 100.0 %"),
        (1, 0, "–"),  # noqa: RUF001
    ],
)
def test_shares_never_round_to_nothing_or_all(part: int, whole: int, shown: str) -> None:
    assert share(part, whole) == shown


def test_sizes_that_differ_never_look_alike() -> None:
    assert sizes(3_400_100, 3_400_000) == ("3,400,100 bytes", "3,400,000 bytes")
    assert sizes(3_500_000, 3_400_000) == ("3.50 MB", "3.40 MB")
    assert sizes(3_400_000, 3_400_000) == ("3.40 MB", "3.40 MB")
