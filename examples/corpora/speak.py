"""Synthetic voices speak until there are minutes enough, and say with each utterance when its phones were said."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path

from compile.errors import UserError
from compile.files import folder_atomically, write_atomically
from distill import audio
from distill.corpus.espeak import Speech
from distill.corpus.sentences import SENTENCES, held_out
from examples.corpora import classic, pico, tables
from examples.corpora import kokoro as mixer
from examples.corpora.tables import Voice

Say = Callable[[Voice, str, str, random.Random], Speech | None]
SYNTHESIZERS: Mapping[str, Say] = {
    "flite": classic.flite,
    "festival": classic.festival,
    "open-jtalk": classic.open_jtalk,
    "pico": pico.pico,
    "kokoro": mixer.kokoro,
}
SHORTEST = 0.5  # seconds of an utterance


def speak(voice: Voice, root: Path) -> Path:
    """Fill ``root/voices/SOURCE/SPEAKER`` with ``00000.wav`` and ``.json`` beside it, as a whole or not at all.

    Equal versions of the synthesizers give equal speech: every choice is drawn from the names of source and speaker.
    """
    folder = place(voice, root)
    if finished(voice, root):
        return folder
    say, name = SYNTHESIZERS[voice.source], f"{voice.source} {voice.speaker}"
    manner, topics = voice.options.get("draws", (name, name))
    draw, seconds, turn, count = random.Random(manner), 0.0, 0, 0
    streams = [(code, texts(code, topics)) for code in voice.languages]
    with folder_atomically(folder) as temporary:
        while seconds < voice.minutes * 60:
            code, stream = streams[turn % len(streams)]
            turn += 1
            text = next(stream)
            speech = say(voice, text, code, draw)
            if speech is None or len(speech.samples) < SHORTEST * speech.rate:
                continue
            path = temporary / f"{count:05d}.wav"
            audio.write_wav(path, speech.samples, speech.rate)
            write_atomically(path.with_suffix(".json"), _notes(voice, text, code, speech))
            seconds, count = seconds + len(speech.samples) / speech.rate, count + 1
    return folder


def place(voice: Voice, root: Path) -> Path:
    """Where ``voice`` speaks to."""
    return root / "voices" / voice.source / voice.speaker


def finished(voice: Voice, root: Path) -> bool:
    """Whether it has said all: a folder appears as a whole."""
    return place(voice, root).is_dir()


def kokoro_voices(root: Path, rounds: int) -> Iterator[Voice]:
    """Kokoro's own voices, then ``rounds`` of mixtures of two."""
    styles = root / "unpacked/kokoro-js/voices"
    known = mixer.names(styles)
    if not known:
        raise UserError("there are no voices of Kokoro", where=str(styles), fix="fetch kokoro-js first")
    own = ((0, name, mixer.LANGUAGES[name[0]], {name: 1.0}) for name in known)
    for turn, name, languages, shares in (*own, *mixer.mixtures(known, rounds, tables.mixtures())):
        options = {"styles": styles, "of": shares, "draws": (f"{turn} {name}", f"{turn}{name}")}
        yield replace(tables.kokoro(name, languages), options=options)


def spoken_by_kokoro(root: Path) -> Iterator[Voice]:
    """Those of them that have spoken."""
    folder = root / "voices/kokoro"
    for name in sorted(os.listdir(folder)) if folder.is_dir() else ():
        if not name.startswith("."):
            yield tables.kokoro(name)


def texts(code: str, name: str) -> Iterator[str]:
    """Without end: sentences for training in drawn order, every other one new words in a row, as ``phiz demo`` does."""
    more = tables.sentences()
    language = next(key for key in (code.lower(), tables.language(code), "en-us") if key in SENTENCES or key in more)
    known = [text for index, text in enumerate(SENTENCES.get(language, ())) if not held_out(index)]
    known += more.get(language, ())
    words = [word.strip(".,?¿!;:।") for text in known for word in text.split()]
    draw, stop = random.Random(f"{name} {language}"), {"hi": "।"}.get(language, ".")
    while True:
        draw.shuffle(known)
        for text in known:
            yield text
            if len(words) > 2 * len(known):  # not where words are written together
                yield " ".join(draw.choices(words, k=8)).capitalize() + stop


def _notes(voice: Voice, text: str, code: str, speech: Speech) -> bytes:
    """As phiz reads them beside the audio."""
    speak = {"voice": f"{voice.source}/{voice.speaker}", "text": text, "language": code}
    phones = [list(asdict(phone).values()) for phone in speech.phones]
    item = {"speak": speak, "split": tables.TRAIN, "language": tables.language(code), "phones": phones}
    return (json.dumps(item, ensure_ascii=False) + "\n").encode()
