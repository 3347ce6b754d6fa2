"""What phones.toml says: the phones of each synthesizer, as IPA."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from examples.corpora.tables import read


@dataclass(frozen=True)
class Pico:
    """Numbers of Pico's phones in one language, as text."""

    silence: str
    closures: frozenset[str]
    phones: Mapping[str, str]


@dataclass(frozen=True)
class Kokoro:
    """Letters that Kokoro reads: for several of IPA, for espeak-ng's ``ties``, in ``english``; and kinds of letters."""

    letters: Mapping[str, str]
    ties: Mapping[str, str]
    english: Mapping[str, str]
    pauses: frozenset[str]
    stress: frozenset[str]
    after: frozenset[str]
    stops: frozenset[str]
    vowels: frozenset[str]


def phones(name: str) -> dict[str, str]:
    """IPA by the names of ``english``, ``russian`` or ``japanese``."""
    return _pairs(_all()[name])


@functools.cache
def pico(code: str) -> Pico:
    """Of ``en-US`` and so on."""
    row = _all()["pico"][code]
    return Pico(row["silence"], frozenset(row["closures"]), _pairs(row["phones"]))


@functools.cache
def kokoro() -> Kokoro:
    """Of all its languages."""
    row = _all()["kokoro"]
    kinds = {name: frozenset(row[name]) for name in ("pauses", "stress", "after", "stops", "vowels")}
    return Kokoro(_pairs(row["letters"]), _pairs(row["ties"]), row["english"], **kinds)


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.split(":") for pair in text.split())


@functools.cache
def _all() -> dict[str, Any]:
    return read("phones.toml")
