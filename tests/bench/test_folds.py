"""Who is left out of what, on labels that are nowhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench import folds
from compile.errors import UserError
from distill.labels.cache import Entry, Labels
from distill.training.losses import Weights
from distill.training.recipe import Plan
from distill.training.stage import Recipe, Stage

TRAIN, HELD_OUT = "train", "held-out"


def labels(*said: tuple[str, str, str]) -> Labels:
    """A folder of (key, split, speaker)."""
    entries = tuple(Entry(key, f"{key}.wav", split, speaker, "", 100, False) for key, split, speaker in said)
    return Labels(Path("nowhere"), "teacher", "1", ("jawOpen",), entries)


ONE = labels(
    ("a1", TRAIN, "anna"),
    ("a2", HELD_OUT, "anna"),
    ("a3", TRAIN, "anna~1"),
    ("b1", TRAIN, "ben"),
    ("d1", HELD_OUT, "dora"),
    ("u1", TRAIN, ""),
)
OTHER = labels(("c1", TRAIN, "Anna Smith"), ("a1", TRAIN, "somebody"), ("c2", TRAIN, "cora"))


def split(fold: Labels, name: str) -> list[str]:
    return [entry.key for entry in fold.split(name)]


def test_who_speaks() -> None:
    assert folds.people([ONE, OTHER]) == ("Anna Smith", "anna", "ben", "cora", "somebody", "unknown")
    assert folds.people([ONE, OTHER], ["[Aa]nna*"]) == ("[Aa]nna*", "ben", "cora", "somebody", "unknown")


def test_one_is_left_out_with_other_voices_and_copies() -> None:
    one, other = folds.without([ONE, OTHER], "anna")
    assert split(one, HELD_OUT) == ["a1"]  # neither what was held out before, nor another voice
    assert split(one, TRAIN) == ["b1", "u1"]
    assert split(other, HELD_OUT) == []
    assert split(other, TRAIN) == ["c1", "c2"]  # a1 is the same audio under another name
    assert (one.folder, one.controls) == (ONE.folder, ONE.controls)


def test_names_of_one_person_leave_together() -> None:
    one, other = folds.without([ONE, OTHER], "[Aa]nna*", ["[Aa]nna*"])
    assert (split(one, HELD_OUT), split(other, HELD_OUT)) == (["a1"], ["c1"])
    assert (split(one, TRAIN), split(other, TRAIN)) == (["b1", "u1"], ["c2"])
    assert {entry.speaker for fold in (one, other) for entry in fold.split(HELD_OUT)} == {"[Aa]nna*"}


def test_the_whole_is_as_it_was() -> None:
    (one,) = folds.whole([ONE], ["d*"])
    assert [(entry.key, entry.split) for entry in one.entries] == [(entry.key, entry.split) for entry in ONE.entries]
    assert [entry.speaker for entry in one.split(HELD_OUT)] == ["anna", "d*"]
    assert one.split(TRAIN) == ONE.split(TRAIN)


def test_folders_have_names_of_their_own() -> None:
    names = ["anna", "a/b", "a_b", "../x", "x", ".x", "x" * 300, "x" * 301, "Zoë"]
    made = [folds.folder_of(name) for name in names]
    assert len({*made}) == len(names)
    assert made[0] == "anna"
    assert all(name not in (".", "..") and "/" not in name and len(name.encode()) < 200 for name in made)


def plan(**changes: object) -> Plan:
    first = Stage("guide", Path("s/guide"))
    recipe = Recipe(weights=Weights(feature=0.2), shares=(3.0, 1.0))
    last = replace(Stage("pupil", Path("s/pupil"), guide="s/guide", alignment="heard", recipe=recipe), **changes)  # type: ignore[arg-type]  # fields of Stage
    return Plan(Path("recipe.toml"), (), (first, last))


def test_the_last_stage_alone_has_no_guide() -> None:
    (last,) = folds.final_stage(plan()).stages
    assert (last.guide, last.recipe.weights.feature) == ("", 0.0)
    with pytest.raises(UserError, match="--final: the stage 'pupil' begins with an earlier one's student"):
        folds.final_stage(plan(init="s/guide"))


def test_a_trial_has_its_own_students() -> None:
    fold = folds.without([ONE, OTHER], "cora")
    trial = folds.trial_of("cora", Path("out/cora"), plan(), fold)
    guide, pupil = trial.stages
    assert (guide.out, pupil.out, pupil.guide) == (Path("out/cora/guide"), Path("out/cora/pupil"), "out/cora/guide")
    assert pupil.recipe.shares == (3.0, 1.0)
    alone = labels(("c2", TRAIN, "cora"))
    trial = folds.trial_of("cora", Path("out/cora"), plan(), folds.without([ONE, alone], "cora"))
    assert trial.stages[1].recipe.shares == (3.0,)  # of the other folder nothing is left to learn
    with pytest.raises(UserError, match="cora: nobody else speaks"):
        folds.trial_of("cora", Path("out/cora"), plan(), folds.without([alone, alone], "cora"))
    with pytest.raises(UserError, match="'shares' are for 2 labels folders"):
        folds.trial_of("cora", Path("out/cora"), plan(), folds.without([ONE], "cora"))


def test_students_from_elsewhere_are_told() -> None:
    assert folds.outside(plan().stages) == ()
    assert folds.outside(plan(init="phiz:tiny").stages) == ("phiz:tiny",)
