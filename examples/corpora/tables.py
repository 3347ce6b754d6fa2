"""What packages.toml, recordings.toml and voices.toml say, as frozen dataclasses."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent
TRAIN, EVALUATE = "train", "evaluate"


@dataclass(frozen=True)
class Package:
    """What to fetch, by which client; ``keep`` are patterns of files to unpack, also of the zip ``inside``."""

    name: str
    client: str
    version: str
    keep: tuple[str, ...]
    inside: str = ""


@dataclass(frozen=True)
class Terms:
    """Under what somebody's speech may be used, and how they want to be named."""

    licence: str
    text: str
    attribution: str
    note: str = ""


@dataclass(frozen=True)
class Recording:
    """One speaker of one package; ``files`` are patterns below ``folder``, ``without`` a regular expression."""

    package: str
    folder: str
    files: tuple[str, ...]
    without: str
    speaker: str
    sex: str
    language: str
    use: str
    texts: str
    terms: Terms


@dataclass(frozen=True)
class Voice:
    """One voice of one synthesizer; ``options`` are what that synthesizer wants to know besides."""

    source: str
    speaker: str
    person: str
    sex: str
    languages: tuple[str, ...]
    minutes: float
    use: str
    package: str
    terms: Terms
    options: Mapping[str, Any] = field(default_factory=dict)


def read(name: str) -> dict[str, Any]:
    """A table of this folder."""
    return tomllib.loads((HERE / name).read_text(encoding="utf-8"))


def packages() -> Iterator[Package]:
    """In the order of packages.toml, ``{each}`` filled in."""
    for row in read("packages.toml")["packages"]:
        for each in row.get("each", ("",)):
            name = row["name"].replace("{each}", each)
            yield Package(name, row["client"], row["version"], tuple(row["keep"]), row.get("inside", ""))


def recordings() -> Iterator[Recording]:
    """One by one, ``{each}`` filled in."""
    for row in read("recordings.toml")["recordings"]:
        for each in row.get("each", ("",)):
            short = each.replace("/units/", " ").strip("*")
            yield Recording(
                package=row["package"],
                folder="cut" if row.get("cut") else "unpacked",
                files=tuple(pattern.replace("{each}", each) for pattern in row["files"]),
                without=row.get("without", ""),
                speaker=row["speaker"].replace("{each}", short),
                sex=row.get("sex", ""),
                language=language(row["language"].replace("{each}", each)),
                use=row["use"],
                texts=row.get("texts", ""),
                terms=_terms(row),
            )


def voices() -> Iterator[Voice]:
    """Those of the classic synthesizers, ``{each}`` filled in."""
    for row in read("voices.toml")["voices"]:
        for each in row.get("each", ("",)):
            yield Voice(
                source=row["source"],
                speaker=row["speaker"].replace("{each}", each),
                person=row["person"].replace("{each}", each),
                sex=row["sex"],
                languages=tuple(code.replace("{each}", each) for code in row["languages"]),
                minutes=row["minutes"],
                use=row["use"],
                package=row["package"],
                terms=_terms(row),
                options=row.get("options", {}),
            )


def kokoro(name: str, languages: tuple[str, ...] = ()) -> Voice:
    """A voice of Kokoro, or a mixture of two: its name is its speaker's, its second letter the sex."""
    row = read("voices.toml")["kokoro"]
    sex = name[1] if re.match("[a-z][fm]_", name) else ""
    minutes = row["minutes"] if sex else row["mixture_minutes"]
    return Voice("kokoro", name, name, sex, languages, minutes, row["use"], row["package"], _terms(row))


def mixtures() -> int:
    """How many mixtures of Kokoro's voices a round has."""
    return int(read("voices.toml")["kokoro"]["mixtures"])


def sentences() -> dict[str, list[str]]:
    """By language, what to say besides ``distill.corpus.sentences``."""
    return read("sentences.toml")


def no_speech() -> str:
    """Regular expression of what is no speech in any package."""
    return str(read("recordings.toml")["no_speech"])


def language(code: str) -> str:
    """``en`` for ``en-us``, ``en_GB``: figures are by language, not by country."""
    return code.replace("_", "-").partition("-")[0]


def _terms(row: Mapping[str, Any]) -> Terms:
    return Terms(row["licence"], row["terms"], row["attribution"], row.get("note", ""))
