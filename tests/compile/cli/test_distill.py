"""``phiz distill`` with a recipe: flags, what is refused, and where students go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

SMOKE = Path(__file__).parents[3] / "examples" / "recipes" / "smoke.toml"
RECIPE = 'labels = "labels"\n[[stage]]\n'


@pytest.mark.parametrize(
    ("text", "flags", "message"),
    [
        (RECIPE + "stepz = 3", (), "recipe.toml, [[stage]] 1: unknown key 'stepz'; did you mean 'steps'?"),
        (RECIPE, (), "labels: not a labels folder; make one with: phiz label"),
        (RECIPE, ("--student", "tiny"), "--student: the recipe says it"),
        (RECIPE, ("--look-ahead", "64 ms"), "--look-ahead: the recipe says it"),
        (RECIPE, ("--init", "phiz:tiny"), "--init: the recipe says it"),
        (RECIPE, ("--rule", "float on Conv"), "--rule: it is for fine-tuning; add --qat"),
        (RECIPE, ("--device", "gpu"), "--device: unknown device 'gpu'"),
        (RECIPE + 'guide = "nowhere"', (), "nowhere: not a student folder"),
        (RECIPE + 'guide = "phiz:nobody"', (), "phiz:nobody: no such student ships with phiz"),
    ],
)
def test_what_is_refused(phiz, here, text, flags, message):
    folder = here({"recipe.toml": text})
    ran = phiz("distill", "recipe.toml", *flags)
    assert ran.code == 2
    assert message in ran.err.replace("\n", " ")
    assert [path.name for path in folder.iterdir()] == ["recipe.toml"]


def test_a_recipe_that_is_not_there(phiz, here):
    here({})
    ran = phiz("distill", "recipe.toml")
    assert ran.code == 2
    assert "recipe.toml: cannot read: No such file" in ran.err


def test_flags_hold_for_all_stages(phiz, here):
    for package in ("espeakng_loader", "av", "hama", "tensorboardX"):
        pytest.importorskip(package)
    folder = here({"recipe.toml": SMOKE.read_text()})
    command = (
        "distill",
        "recipe.toml",
        "-o",
        "made",
        "--steps",
        "2",
        "--seed",
        "5",
        "--events",
        "runs",
        "--device",
        "cpu",
    )
    ran = phiz(*command)
    assert ran.code == 0, ran.err
    assert ran.out.splitlines() == ["wrote made/guide/", "wrote made/student/"]
    for name in ("guide", "student"):
        recipe = json.loads((folder / "made" / name / "student.json").read_text())["training"]["recipe"]
        assert (recipe["steps"], recipe["seed"]) == (2, 5)
        assert list((folder / "runs" / name).iterdir())
    again = phiz(*command)
    assert again.out.count("is this very student already") == 2
