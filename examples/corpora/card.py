"""What a model card says of the speech behind it, as ``python -m bench.ship card --data`` takes it: Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from compile.errors import UserError

TITLES = ("package", "speakers", "languages", "minutes", "licence")


def text(licences: Path, learnt: Sequence[str], judged: Sequence[str] = ()) -> str:
    """Tables of what was learnt from and judged by, then everybody's name as the licences want it.

    Args:
        licences: ``licences.json``.
        learnt: names of the manifests that a student learnt from, ``train``.
        judged: of those that it only was measured on.

    Raises:
        UserError: it cannot be read, or has no such manifest.
    """
    try:
        facts = json.loads(licences.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be read: {error}", where=str(licences), fix="write it first") from error
    if unknown := sorted({*learnt, *judged} - facts.keys()):
        raise UserError(f"no manifest {', '.join(unknown)}", where=str(licences), fix=f"it has {', '.join(facts)}")
    taught = [entry for name in learnt for entry in facts[name]]
    heard = [entry for name in judged for entry in facts[name]]
    return "\n".join((*_learnt(taught), *_judged(heard), *_names(taught), *_notes(taught))) + "\n"


def _learnt(entries: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield f"Learnt from {_sum(entries)}; made by `examples/corpora`:\n"
    yield from _table(entries)


def _judged(entries: Sequence[dict[str, Any]]) -> Iterator[str]:
    if entries:
        yield f"\nJudged by {_sum(entries)}; never learnt from:\n"
        yield from _table(entries)


def _names(entries: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield "\n### Whose speech it is\n"
    yield "What was learnt from, named as its licences want it; hand this on with the model.\n"
    for entry in entries:
        yield f"- {entry['attribution']}. {entry['licence']}; its text: `{entry['text']}` of {entry['package']}."


def _notes(entries: Sequence[dict[str, Any]]) -> Iterator[str]:
    for entry in entries:
        if "note" in entry:
            yield f"- Of {entry['package']}: {entry['note']}."


def _table(entries: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield f"| {' | '.join(TITLES)} |"
    yield "|---" * len(TITLES) + "|"
    for entry in entries:
        speakers, languages = len(entry["speakers"]), ", ".join(entry["languages"])
        minutes, licence = f"{entry['minutes']:.1f}", entry["licence"]
        yield f"| {entry['package']} | {speakers} | {languages} | {minutes} | {licence} |"


def _sum(entries: Sequence[dict[str, Any]]) -> str:
    minutes = sum(entry["minutes"] for entry in entries)
    return f"{len({name for entry in entries for name in entry['speakers']})} speakers, {minutes:.0f} minutes"
