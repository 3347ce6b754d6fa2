"""What to learn from: audio in files, folders and manifests, or synthetic speech with exact phone times.

A synthetic corpus is made on the user's machine by espeak-ng (GPL-3); nothing of it ships with phiz. In a corpus folder
every ``00000.wav`` has a ``00000.json`` beside it: text, language, voice, split and phone times.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from compile.errors import UserError
from compile.files import folder_atomically, require_replaceable
from distill.corpus import manifest
from distill.corpus.espeak import Phone
from distill.corpus.sentences import SENTENCES, held_out

AUDIO = frozenset(  # of files that are taken for audio in a folder; any other can be named
    (
        *(".wav", ".w64", ".flac", ".mp3", ".mp2", ".ogg", ".oga", ".opus", ".spx", ".m4a", ".aac", ".aiff", ".aif"),
        *(".caf", ".au", ".wv", ".wma", ".amr", ".gsm", ".g722", ".sln"),
        *(".webm", ".mka", ".mkv", ".mp4", ".mov", ".3gp"),
    )
)
MANIFEST = ".jsonl"
TRAIN, HELD_OUT = manifest.TRAIN, manifest.HELD_OUT

# espeak-ng voice variants. The held-out ones are never heard in training.
TRAINING_VARIANTS = (
    *("f1", "f2", "f3", "f5", "m1", "m2", "m3", "m4", "m6", "m7", "m8", "klatt", "klatt2", "klatt3", "klatt4"),
    *("Andy", "Annie", "Alicia", "Lee", "Gene", "Denis", "linda", "steph", "belinda", "grandma", "david", "pablo"),
    *("michel", "adam", "edward", "boris", "max", "sandro", "benjamin", "paul", "victor", "robert", "aunty", "miguel"),
    *("Alex", "Diogo", "Gene2", "Henrique", "Hugo", "Jacky", "Marco", "Mario", "Michael", "Reed", "announcer"),
    *("antonio", "caleb", "edward2", "fast", "grandpa", "gustave", "ian", "iven", "john", "marcelo", "mike2"),
    *("norbert", "pedro", "quincy", "rob", "shelby", "steph2", "travis", "zac", "klatt5", "klatt6", "iven2", "iven3"),
)
HELD_OUT_VARIANTS = ("f4", "m5", "Andrea", "Mike", "anika", "ed")


@dataclass(frozen=True)
class Line:
    """A text and how to say it; ``pitch`` and ``pitch_range`` 0 to 100, ``words_a_minute`` 80 to 450."""

    text: str
    language: str
    variant: str
    words_a_minute: int
    pitch: int
    pitch_range: int
    split: str

    @property
    def voice(self) -> str:
        """espeak-ng's name for language and variant."""
        return f"{self.language}+{self.variant}"


@dataclass(frozen=True, slots=True)
class Source:
    """One audio file and what is known about it.

    Attributes:
        path: of the audio.
        phones: with exact times, in order, or None where only the audio is known. What :func:`find` gives reads them
            from disk at each use; ``tuple(phones)`` keeps them.
        split: ``train`` or ``held-out``.
        speaker: as a manifest says, language and voice of synthetic speech, or the folder of a recording.
        text: what is said; empty when unknown.
        language: its code, ``de``; empty when unknown.
    """

    path: Path
    phones: Sequence[Phone] | None = None
    split: str = TRAIN
    speaker: str = ""
    text: str = ""
    language: str = ""


def plan(count: int, seed: int, split: str = TRAIN) -> tuple[Line, ...]:
    """Choose ``count`` utterances; equal arguments give equal utterances.

    Languages take turns, voices and manners are drawn. ``train`` and ``held-out`` share neither sentences nor voices.
    """
    keep = split == HELD_OUT
    draw = random.Random(f"{seed} {split}")
    texts = {
        language: [text for index, text in enumerate(texts) if held_out(index) == keep]
        for language, texts in SENTENCES.items()
    }
    variants = HELD_OUT_VARIANTS if keep else TRAINING_VARIANTS
    # A language speaks as often as it has sentences, so that none is worn out. In training, every other one is a
    # new line of known words: few sentences have too few neighbourhoods of sounds to learn from.
    order = [(language, text) for language, group in texts.items() for text in group]
    chosen: list[tuple[str, str]] = []
    while len(chosen) < count:
        draw.shuffle(order)
        chosen += order
    return tuple(
        Line(
            text=text if keep or index % 2 else _reshuffled(texts[language], draw),
            language=language,
            variant=draw.choice(variants),
            words_a_minute=draw.randrange(130, 221),
            pitch=draw.randrange(20, 81) if keep else draw.randrange(10, 100),
            pitch_range=draw.randrange(20, 81),
            split=split,
        )
        for index, (language, text) in enumerate(chosen[:count])
    )


def synthesize(
    folder: Path, utterances: Sequence[Line], progress: Callable[[int, int], None] | None = None
) -> list[Source]:
    """Speak ``utterances`` into ``folder``, which appears whole or not at all; equal utterances give equal bytes.

    Args:
        folder: used as it is when it holds this very speech, replaced when it holds other synthetic speech.
        utterances: see :func:`plan`.
        progress: called with (done, total).

    Raises:
        UserError: there is nothing to say, espeak-ng lacks a voice, or the folder cannot be written or holds other
            things.
        MissingExtra: ``espeakng-loader`` is not installed.
    """
    if not utterances:
        raise UserError("an empty corpus: there is nothing to say", fix="ask for at least one utterance")
    require_replaceable(folder, _is_spoken, "speech that phiz made")
    if _holds(folder, utterances):
        return find([folder])
    with folder_atomically(folder) as temporary:
        lines = "".join(_line(utterance) for utterance in utterances)
        jobs = temporary / "jobs.jsonl"
        jobs.write_text(lines, encoding="utf-8")
        with (
            jobs.open("rb") as stream,
            subprocess.Popen(
                [sys.executable, "-m", "distill.corpus.espeak", str(temporary)],
                stdin=stream,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as process,
        ):
            assert process.stdout is not None
            assert process.stderr is not None
            try:
                for done, _ in enumerate(process.stdout, 1):
                    if progress:
                        progress(done, len(utterances))
                complaint = process.stderr.read().strip()
            except BaseException:
                process.kill()  # before its folder goes
                raise
        if process.returncode:
            raise UserError(complaint.splitlines()[-1] if complaint else "espeak-ng ended without a word")
        jobs.unlink()
    return find([folder])


def _is_spoken(name: str) -> bool:
    return re.fullmatch(r"\d{5,}\.(wav|json)", name) is not None


def _holds(folder: Path, utterances: Sequence[Line]) -> bool:
    """Whether ``folder`` is this speech already; it appears whole, so its texts and voices tell."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return False
    said = [(source.text, source.speaker) for source in find([folder])]
    return said == [(line.text, line.voice) for line in utterances]


def find(places: Iterable[Path | str]) -> list[Source]:
    """All audio in files, folders (recursively), glob patterns and manifests, sorted and without repetition.

    Args:
        places: a file that ends in ``.jsonl`` is a manifest; what it says of a file holds wherever else it is found,
            and however its path is spelled there.

    Raises:
        UserError: a place does not exist or matches nothing, a manifest is malformed or contradicts another, or a
            file's phone times are malformed.
    """
    found: dict[str, Source | Path] = {}  # by absolute path; of some, nothing is known yet but the path as spelled
    for place in places:
        if not str(place):
            raise UserError("the name of an audio file is empty", fix="give audio files, folders, patterns, manifests")
        empty = True
        for path in _expand(Path(place)):
            if path.suffix.lower() != MANIFEST:
                found.setdefault(os.path.abspath(path), path)
                empty = False
                continue
            for audio, facts in manifest.read(path):
                name, said = os.path.abspath(audio), _source(audio, facts)
                known = found.get(name)
                if isinstance(known, Source) and replace(known, path=audio) != said:
                    raise UserError(f"it says other things of '{audio}' than was said before", where=str(path))
                found[name] = said
                empty = False
        if empty:
            raise UserError("there is no audio here", where=str(place), fix="give audio files or a manifest")
    if not found:
        raise UserError("an empty corpus: no audio was named", fix="give audio files, folders, patterns, manifests")
    return [
        known if isinstance(known, Source) else _source(known, manifest.beside(known))
        for _, known in sorted(found.items())
    ]


def divide(
    sources: Sequence[Source], held_out: float, by: Literal["speaker", "file"] = "speaker", seed: int = 0
) -> list[Source]:
    """Hold out a share of the sources, whole speakers or single files, whatever their order.

    What is held out already stays so and counts, with all that its speaker says. Speakers (or files) join it in an
    order that their names and ``seed`` draw, as long as they fit; at least one is held out, if need be the smallest.

    Args:
        sources: in any order, which is kept.
        held_out: share of the files, between 0 and 1.
        by: what may not be in both splits: a speaker; or a file, known by its speaker, its name and its folder's,
            so that a corpus that moves, or whose path is spelled otherwise, keeps its splits.
        seed: another draws others.

    Raises:
        UserError: the share is none, or all of it is one speaker.
    """
    if not 0 < held_out < 1:
        raise UserError(f"a share of {held_out:g} cannot be held out", fix="hold out more than 0 % and less than 100 %")

    def group(source: Source) -> str:
        if by == "speaker":
            return source.speaker
        return json.dumps([source.speaker, _folder(source.path), source.path.name])

    def lot(name: str) -> bytes:
        return hashlib.sha256(f"{seed} {name}".encode(errors="surrogateescape")).digest()

    sizes: dict[str, int] = defaultdict(int)
    for source in sources:
        sizes[group(source)] += 1
    if len(sizes) < 2:
        fix = "split by file, or name speakers in a manifest" if by == "speaker" else "give more audio"
        raise UserError(f"one {by} cannot be in two splits", where="--held-out", fix=fix)
    chosen = {group(source) for source in sources if source.split == HELD_OUT}
    room = held_out * len(sources) - sum(sizes[name] for name in chosen)
    for name in sorted(sizes.keys() - chosen, key=lot):
        if sizes[name] <= room:
            chosen.add(name)
            room -= sizes[name]
    chosen = chosen or {min(sizes, key=lambda name: (sizes[name], lot(name)))}
    return [replace(source, split=HELD_OUT) if group(source) in chosen else source for source in sources]


def _reshuffled(texts: Sequence[str], draw: random.Random) -> str:
    """Eight words from all over ``texts``, as a sentence."""
    words = [word.strip(".,?¿!;:") for text in texts for word in text.split()]
    return " ".join(draw.choices(words, k=8)) + "."


def _line(utterance: Line) -> str:
    facts = asdict(utterance)
    speak = {key: facts[key] for key in ("text", "words_a_minute", "pitch", "pitch_range")} | {"voice": utterance.voice}
    item = {"speak": speak, "split": utterance.split, "language": utterance.language}
    return json.dumps(item, ensure_ascii=False) + "\n"


def _expand(place: Path) -> Iterator[Path]:
    """The files that a place means; in a folder, those that look like audio."""
    try:
        if place.is_dir():
            yield from (path for path in place.rglob("*") if path.suffix.lower() in AUDIO and path.is_file())
        elif place.exists():
            yield place
        elif any(sign in str(place) for sign in "*?["):
            anchor = Path(place.anchor)
            yield from (path for path in anchor.glob(str(place.relative_to(anchor))) if path.is_file())
        else:
            raise UserError("there is no such file or folder", where=str(place), fix="check the path")
    except (OSError, ValueError) as error:  # a name that is too long, a folder that is closed, "***"
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"it cannot be looked up: {reason}", where=str(place), fix="check the path") from error


def _source(path: Path, facts: manifest.Facts | None) -> Source:
    facts = facts or manifest.Facts()
    speaker = facts.speaker or sys.intern(manifest.spelled(_folder(path)))
    return Source(path, facts.phones, facts.split, speaker, facts.text, facts.language)


def _folder(path: Path) -> str:
    """The name of the folder that a file is in, also where its path does not spell it: ``a.wav``, ``../a.wav``."""
    return os.path.basename(os.path.dirname(os.path.abspath(path)))
