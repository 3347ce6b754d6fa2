"""What to learn from: folders of audio, or synthetic speech in many voices and languages with exact phone times.

A synthetic corpus is made on the user's machine by espeak-ng (GPL-3); nothing of it ships with phiz. In a corpus folder
every ``00000.wav`` has a ``00000.json`` beside it: text, language, voice, split and phone times.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from compile.errors import UserError
from compile.files import folder_atomically, require_replaceable
from distill.espeak import Phone
from distill.sentences import SENTENCES, held_out

AUDIO = frozenset({".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac", ".g722", ".aiff", ".aif", ".wma", ".webm"})
TRAIN, HELD_OUT = "train", "held-out"

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


@dataclass(frozen=True)
class Source:
    """One audio file and what is known about it.

    Attributes:
        path: of the audio.
        phones: with exact times, or None where only the audio is known.
        split: ``train`` or ``held-out``.
        speaker: language and voice, or the folder of a recording.
        text: what is said; empty when unknown.
    """

    path: Path
    phones: tuple[Phone, ...] | None = None
    split: str = TRAIN
    speaker: str = ""
    text: str = ""


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
                [sys.executable, "-m", "distill.espeak", str(temporary)],
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
    """All audio in files, folders (recursively) and glob patterns, sorted and without repetition.

    Raises:
        UserError: a place does not exist or matches nothing, or a file's phone times are malformed.
    """
    paths: set[Path] = set()
    for place in places:
        if not str(place):
            raise UserError("the name of an audio file is empty", fix="give audio files, folders or patterns")
        found = list(_expand(Path(place)))
        if not found:
            raise UserError("there is no audio here", where=str(place), fix=f"give {', '.join(sorted(AUDIO))} files")
        paths.update(found)
    if not paths:
        raise UserError("an empty corpus: no audio was named", fix="give audio files, folders or patterns")
    return [_source(path) for path in sorted(paths)]


def _reshuffled(texts: Sequence[str], draw: random.Random) -> str:
    """Eight words from all over ``texts``, as a sentence."""
    words = [word.strip(".,?¿!;:") for text in texts for word in text.split()]
    return " ".join(draw.choices(words, k=8)) + "."


def _line(utterance: Line) -> str:
    facts = asdict(utterance)
    speak = {key: facts[key] for key in ("text", "words_a_minute", "pitch", "pitch_range")} | {"voice": utterance.voice}
    return json.dumps({"speak": speak, "split": utterance.split}, ensure_ascii=False) + "\n"


def _expand(place: Path) -> Iterable[Path]:
    if place.is_dir():
        return (path for path in place.rglob("*") if path.suffix.lower() in AUDIO and path.is_file())
    if place.exists():
        return (place,)
    if any(sign in str(place) for sign in "*?["):
        anchor = Path(place.anchor)
        return (path for path in anchor.glob(str(place.relative_to(anchor))) if path.is_file())
    raise UserError("there is no such file or folder", where=str(place), fix="check the path")


def _source(path: Path) -> Source:
    notes = path.with_suffix(".json")
    plain = Source(path, speaker=path.parent.name)
    try:
        item = json.loads(notes.read_text(encoding="utf-8")) if notes.is_file() else None
    except (OSError, ValueError, RecursionError):
        return plain  # somebody else's file
    if not isinstance(item, dict) or "phones" not in item:
        return plain
    try:
        phones = tuple(Phone(str(symbol), float(start), float(end)) for symbol, start, end in item["phones"])
        return Source(path, phones, str(item["split"]), str(item["speak"]["voice"]), str(item["speak"]["text"]))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"not phone times as phiz writes them ({error!r})", where=str(notes)) from error
