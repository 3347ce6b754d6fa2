"""Texts to phones, by espeak-ng."""

# ruff: noqa: RUF001 (IPA letters and other scripts are what is tested)
from __future__ import annotations

import pytest

from compile.errors import UserError
from distill.teachers.transcription import transcribe

pytest.importorskip("espeakng_loader")


@pytest.mark.parametrize(
    ("text", "language", "phones"),
    [
        ("Guten Tag!", "de", "ɡ uː t ə n t ɑː k"),
        ("bom", "pt_BR", "b o ŋ"),
        ("hombre", "es_MX", "o m b ɾ e"),
        ("bambino", "it_IT", "b a m b i n o"),
        ("", "en", ""),
        (" …?! — ", "en", ""),
    ],
)
def test_texts_are_read_by_the_rules_of_their_language(text: str, language: str, phones: str) -> None:
    assert transcribe(text, language) == tuple(phones.split())


def test_figures_are_read_out() -> None:
    assert transcribe("2", "de") == transcribe("zwei", "de")
    assert transcribe("Press 1.", "en_US") == transcribe("press one", "en")


@pytest.mark.parametrize(
    "code", ["fr_CA", "ru_RU", "zh", "zh_TW", "no", "es-CO", "en_GB", "cs", "nl", "bg", "el", "uk"]
)
def test_codes_of_corpora_are_known(code: str) -> None:
    assert transcribe("1 2 3", code)


@pytest.mark.parametrize("code", ["", "xx", "../de", "de+f2", "English", "d\0e", "x" * 10_000])
def test_other_codes_are_refused(code: str) -> None:
    with pytest.raises(UserError, match="does not know the language"):
        transcribe("one", code)


def test_what_is_no_text_is_refused_or_read_without_harm() -> None:
    with pytest.raises(UserError, match="longer than one utterance"):
        transcribe("one " * 10_000, "en")
    assert transcribe("one\0two <b>\ud800", "en")[:3] == transcribe("one", "en")
    assert not any("(" in phone or "ˈ" in phone for phone in transcribe("le weekend du New York Times", "fr"))
