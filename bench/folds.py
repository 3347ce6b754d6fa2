"""Folds of labels: the same folders with another split, and the trainings of a recipe on them. Nothing is copied."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from bench.trials import Trial
from compile.errors import UserError
from distill.corpus.sources import HELD_OUT, TRAIN
from distill.labels.cache import Labels
from distill.training import recipe
from distill.training.recipe import Plan
from distill.training.stage import Stage

_VOICE = re.compile(r"~\d+$")  # behind the name of a speaker who was spoken again, see distill.labels.voices


def person(speaker: str, groups: Sequence[str] = ()) -> str:
    """Who a speaker is: without the number of another voice, and by the first of ``groups`` that matches."""
    name = _VOICE.sub("", speaker) or "unknown"
    return next((pattern for pattern in groups if fnmatchcase(name, pattern)), name)


def people(labels: Sequence[Labels], groups: Sequence[str] = ()) -> tuple[str, ...]:
    """Who speaks in the ``train`` splits, in order."""
    return tuple(sorted({person(entry.speaker, groups) for one in labels for entry in one.split(TRAIN)}))


def dealt(
    labels: Sequence[Labels], names: Sequence[str], count: int, groups: Sequence[str] = ()
) -> tuple[tuple[str, ...], ...]:
    """``names`` in ``count`` folds of like minutes: who speaks most is dealt first, to the fold that has least."""
    frames = dict.fromkeys(names, 0)
    for one in labels:
        for entry in one.split(TRAIN):
            who = person(entry.speaker, groups)
            if who in frames:
                frames[who] += entry.frames
    folds: list[list[str]] = [[] for _ in range(count)]
    for who in sorted(names, key=lambda name: (-frames[name], name)):
        min(folds, key=lambda fold: (sum(frames[name] for name in fold), len(fold))).append(who)
    return tuple(tuple(sorted(fold)) for fold in folds if fold)


def without(labels: Sequence[Labels], who: Collection[str], groups: Sequence[str] = ()) -> tuple[Labels, ...]:
    """The same folders with another split: the training speech of ``who`` is held out, the others' is to be learnt.

    All else is in neither: what was held out before, ``who`` in other voices, and equal audio under another name.
    """
    theirs = {entry.key for one in labels for entry in one.split(TRAIN) if person(entry.speaker, groups) in who}
    folds = []
    for one in labels:
        entries = []
        for entry in one.split(TRAIN):
            name = person(entry.speaker, groups)
            if name not in who:
                entries += [entry] if entry.key not in theirs else []
            elif not _VOICE.search(entry.speaker):
                entries.append(replace(entry, split=HELD_OUT, speaker=name))
        folds.append(replace(one, entries=tuple(entries)))
    return tuple(folds)


def whole(labels: Sequence[Labels], groups: Sequence[str] = ()) -> tuple[Labels, ...]:
    """The folders as they are, the people of the held-out split by their names."""
    return tuple(
        replace(
            one,
            entries=tuple(
                entry if entry.split == TRAIN else replace(entry, speaker=person(entry.speaker, groups))
                for entry in one.entries
            ),
        )
        for one in labels
    )


def final_stage(plan: Plan) -> Plan:
    """The recipe's last stage alone, without the guide that an earlier one would be.

    Raises:
        UserError: it goes on from an earlier one.
    """
    last = plan.stages[-1]
    if last.init in {str(stage.out) for stage in plan.stages}:
        raise UserError(f"the stage '{last.name}' begins with an earlier one's student", where="--final")
    weights = replace(last.recipe.weights, feature=0.0)
    return replace(
        plan, stages=(replace(last, guide="", alignment="face", recipe=replace(last.recipe, weights=weights)),)
    )


def trial_of(name: str, folder: Path, plan: Plan, labels: tuple[Labels, ...]) -> Trial:
    """A training of the plan's stages in ``folder``; folders of which nothing is left to learn lose their share."""
    if not any(one.split(TRAIN) for one in labels):
        raise UserError("nobody else speaks: there is nothing to train on", where=name, fix="add labels of others")
    stages = []
    for stage in recipe.moved(plan, folder).stages:
        shares = stage.recipe.shares
        if shares is not None:
            if len(shares) != len(labels):
                raise UserError(f"the recipe's 'shares' are for {len(shares)} labels folders", where="--labels")
            shares = tuple(share for share, one in zip(shares, labels, strict=True) if one.split(TRAIN))
        stages.append(replace(stage, recipe=replace(stage.recipe, shares=shares)))
    return Trial(name, folder, tuple(stages), labels)


def folder_of(name: str) -> str:
    """A name for a folder, whatever a speaker's may be."""
    plain = re.sub(r"[^\w.-]", "_", name)[:60]
    if plain == name and not name.startswith("."):
        return name
    return f"{plain.lstrip('.')}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def outside(stages: Sequence[Stage]) -> tuple[str, ...]:
    """Students made elsewhere that the stages learn from or begin with: whom they have heard is not known."""
    made = {str(stage.out) for stage in stages}
    names = (name for stage in stages for name in (stage.guide, stage.init))
    return tuple(dict.fromkeys(name for name in names if name and name not in made))
