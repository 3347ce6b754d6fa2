"""Manifests of what lies below a folder, train.jsonl and so on, and under what terms it does: licences.json.

The lines are phiz's own (docs/labels.md). Who is only listened to is ``held-out`` there.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from compile.errors import UserError
from compile.files import write_atomically
from distill.corpus.manifest import HELD_OUT
from distill.corpus.manifest import TRAIN as TRAINING
from examples.corpora import tables, texts
from examples.corpora.tables import EVALUATE, TRAIN, Recording, Terms, Voice

SPLITS = {TRAIN: TRAINING, EVALUATE: HELD_OUT}
LICENCES = "licences.json"
REGISTRIES = {"debian": "Debian", "pypi": "PyPI", "npm": "npm"}


@dataclass
class Part:
    """What one speaker says under one licence."""

    package: str
    speaker: str
    language: str
    use: str
    terms: Terms
    lines: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0


def recorded(root: Path, recording: Recording, no_speech: str) -> Part:
    """The files of one recorded speaker, in the order of their paths, with their texts.

    Raises:
        UserError: there are none.
    """
    folder = root / recording.folder / recording.package
    lookup = texts.READERS[recording.texts](root / "unpacked", recording) if recording.texts else None
    part = Part(_named(recording.package), recording.speaker, recording.language, recording.use, recording.terms)
    for path in sorted({path for pattern in recording.files for path in folder.glob(pattern)}):
        below = PurePosixPath(path.relative_to(folder).as_posix())
        if not re.search(recording.without or no_speech, f"/{below}") and not re.search(no_speech, f"/{below}"):
            _add(part, root, path, lookup(below) if lookup else "")
    if not part.lines:
        raise UserError(f"it holds no speech of {recording.speaker}", where=str(folder), fix="fetch it first")
    return part


def spoken(root: Path, voice: Voice) -> Part:
    """What a synthetic voice said, as the notes beside it tell, with phone times."""
    folder = root / "voices" / voice.source / voice.speaker
    part = Part(voice.package, voice.person, "", voice.use, voice.terms)
    for path in sorted(folder.glob("*.wav")):
        notes = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        code = tables.language(notes["speak"]["language"])
        _add(part, root, path, notes["speak"]["text"], code, notes["phones"])
    if not part.lines:
        raise UserError(
            f"{voice.source} has not said anything as {voice.speaker}", where=str(folder), fix="speak first"
        )
    return part


def write(root: Path, parts: Mapping[str, Sequence[Part]]) -> None:
    """``NAME.jsonl`` of each group of parts, and ``licences.json`` of all of them.

    Raises:
        UserError: a speaker is to be learnt from and to be judged by.
    """
    uses = defaultdict(set)
    for part in (part for group in parts.values() for part in group):
        uses[part.speaker].add(part.use)
    if both := sorted(speaker for speaker, use in uses.items() if len(use) > 1):
        raise UserError(f"in training and in evaluation: {', '.join(both)}", fix="give each speaker one use")
    for name, group in parts.items():
        lines = (json.dumps(line, ensure_ascii=False) + "\n" for part in group for line in part.lines)
        write_atomically(root / f"{name}.jsonl", "".join(lines).encode())
    facts = {name: _facts(group) for name, group in parts.items()}
    write_atomically(root / LICENCES, (json.dumps(facts, ensure_ascii=False, indent=1) + "\n").encode())


def _add(part: Part, root: Path, path: Path, text: str, language: str = "", phones: Any = None) -> None:
    seconds = duration(path)
    if not seconds:
        return  # empty, or no audio
    line = {
        "path": path.relative_to(root).as_posix(),
        "speaker": part.speaker,
        "language": language or part.language,
        "split": SPLITS[part.use],
        "text": text,
        "phones": phones,
    }
    part.lines.append({key: value for key, value in line.items() if value})
    part.seconds += seconds


def duration(path: Path) -> float:
    """Seconds of audio by its headers, or by its size where it has none; 0 where it cannot be read."""
    import av

    try:
        with av.open(str(path), metadata_errors="replace") as container:
            return (container.duration or 0) / av.time_base
    except (OSError, ValueError, av.error.FFmpegError):
        return 0.0


def _facts(parts: Sequence[Part]) -> list[dict[str, Any]]:
    """One entry for each package and licence, in the order of the parts."""
    groups: dict[tuple[str, Terms], list[Part]] = defaultdict(list)
    for part in parts:
        groups[part.package, part.terms].append(part)
    return [
        {
            "package": package,
            "use": group[0].use,
            "speakers": list(dict.fromkeys(part.speaker for part in group)),
            "languages": sorted({line["language"] for part in group for line in part.lines}),
            "files": sum(len(part.lines) for part in group),
            "minutes": round(sum(part.seconds for part in group) / 60, 2),
            **{key: value for key, value in asdict(terms).items() if value},
        }
        for (package, terms), group in groups.items()
    ]


def _named(package: str) -> str:
    known = {each.name: each for each in tables.packages()}[package]
    return f"{package} {known.version} ({REGISTRIES[known.client]})"
