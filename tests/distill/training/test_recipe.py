"""Recipes: what is read, what is refused, and that those of the examples mean what they say."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest

from compile.errors import UserError
from distill import pretrained
from distill.augment.presets import STRONG, Augmentation
from distill.students.folder import read_facts
from distill.training import losses
from distill.training.recipe import moved, read
from distill.training.stage import Recipe, Stage
from distill.training.toml_fields import KINDS

EXAMPLES = Path(__file__).parents[3] / "examples" / "recipes"


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text)
    return path


def test_a_whole_recipe(tmp_path: Path) -> None:
    plan = read(
        written(
            tmp_path,
            """
            events = "runs"
            [[labels]]
            folder = "human"
            audio = ["speech", "more/*.wav"]
            teacher = "audio2face"
            teacher_path = "network"
            offset = 0.02
            held_out = 0.1
            [[labels]]
            folder = "/elsewhere"
            [every]
            seed = 3
            shares = [3, 1]
            weights = { closure = 3 }
            augmentation = "strong"
            [[stage]]
            name = "guide"
            student = "small"
            init = "old/small"
            [[stage]]
            student = "tiny"
            look_ahead = "64 ms"
            guide = "guide"
            init = "phiz:tiny"
            rig = "hero.json"
            out = "made/tiny"
            seed = 4
            [stage.weights]
            velocity = 1
            controls = { "mouth*" = 2 }
            [stage.augmentation]
            quiet = 0.5
            gain_db = [-3, 3]
            """,
        )
    )
    human, elsewhere = plan.corpora
    assert (human.folder, human.audio) == (
        tmp_path / "human",
        (str(tmp_path / "speech"), str(tmp_path / "more/*.wav")),
    )
    assert (human.teacher_path, human.offset, human.held_out) == (tmp_path / "network", 0.02, 0.1)
    assert (elsewhere.folder, elsewhere.made) == (Path("/elsewhere"), False)
    assert plan.events == tmp_path / "runs"
    weights = losses.Weights(closure=3.0)
    every = Recipe(seed=3, shares=(3.0, 1.0), weights=weights, augmentation=STRONG)
    folder = tmp_path / "students" / "guide"
    assert plan.stages[0] == Stage("guide", folder, "small", init=str(tmp_path / "old/small"), recipe=every)
    assert plan.stages[1] == Stage(
        name="tiny",
        out=tmp_path / "made" / "tiny",
        look_ahead=64.0,
        guide=str(folder),
        init="phiz:tiny",
        rig=tmp_path / "hero.json",
        recipe=replace(
            every,
            seed=4,
            weights=replace(weights, velocity=1.0, feature=0.2, controls={"mouth*": 2.0}),
            augmentation=replace(STRONG, quiet=0.5, gain_db=(-3.0, 3.0)),
        ),
    )
    there = moved(plan, tmp_path / "there")
    assert [stage.out for stage in there.stages] == [tmp_path / "there" / "guide", tmp_path / "there" / "tiny"]
    assert there.stages[1].guide == str(tmp_path / "there" / "guide")


@pytest.mark.parametrize("kind", [Recipe, losses.Weights, Augmentation])
def test_every_field_has_a_kind(kind: type) -> None:
    own_tables = {"weights", "augmentation"}
    assert {str(item.type) for item in fields(kind) if item.name not in own_tables} <= KINDS.keys()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("steps = true", r"\[\[stage\]\] 1: 'steps' is bool True; write a whole number"),
        ("steps = 0", r"\[\[stage\]\] 1: 'steps' is 0; write a number from 1"),
        ("steps = 2.5", "'steps' is float 2.5"),
        ("stepz = 3", "unknown key 'stepz'; did you mean 'steps'"),
        ('look_ahead = "3"', "look_ahead: '3' is not a number of milliseconds; write for example: 64 ms"),
        ("look_ahead = 64", "'look_ahead' is 64; write text"),
        ('look_ahead = "300 ms"', "cannot look 300.0 ms ahead"),
        ("seed = -1", "'seed' is -1"),
        ("learning_rate = nan", "'learning_rate' is nan"),
        ("learning_rate = inf", "'learning_rate' is inf"),
        ("ema = 1.0", "'ema' is 1.0"),
        ('precision = "bfloat"', "'precision' is 'bfloat'; did you mean 'bfloat16'"),
        ("weights = 3", "'weights' is not a table"),
        ("weights = { velocty = 1 }", "weights: unknown key 'velocty'; did you mean 'velocity'"),
        ("weights = { closure = -1 }", "weights: 'closure' is -1"),
        ('weights = { controls = { a = "b" } }', "weights: 'controls' is 'b'"),
        ("weights = { feature = 1 }", "'feature' is for learning from a guide"),
        ('alignment = "heard"', "'alignment' is for learning from a guide"),
        ('alignment = "herd"\nguide = "x"', "did you mean 'heard'"),
        ('augmentation = "storng"', "'preset' is 'storng'; did you mean 'strong'"),
        ("augmentation = { pitch = [1.2, 1.0] }", "augmentation: 'pitch' is .*write a range"),
        ("augmentation = { pitch = [0.1, 1.0] }", r"\[\[stage\]\] 1 augmentation: "),
        ("augmentation = { nois = 1.0 }", "unknown key 'nois'; did you mean 'noise'"),
        ('student = "tinny"', r"\[\[stage\]\] 1: unknown architecture 'tinny'"),
        ('name = "a/b"', "'a/b' cannot name a stage"),
        ('out = ""', "'out' is ''"),
        ("shares = [1, 2]", "'shares' has 2 numbers for 1 labels folders"),
        ("batch = 5000\nframes = 3000", "5000 sequences of 3000 frames are more than 1,000,000"),
        ("[[stage]]", "a stage's name 'tiny' is there twice"),
    ],
)
def test_what_a_stage_may_not_say(tmp_path: Path, lines: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as failure:
        read(written(tmp_path, f'labels = "labels"\n[[stage]]\n{lines}\n'))
    assert str(failure.value).startswith(str(tmp_path / "recipe.toml"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it names no labels"),
        ("labels = []\n[[stage]]", "'labels' is empty"),
        ('label = "x"', "unknown key 'label'; did you mean 'labels'"),
        ('labels = "x"', r"it has no stage; write a table \[\[stage\]\]"),
        ('labels = "x"\nstage = [3]', r"\[\[stage\]\] 1: is not a table"),
        ('labels = "x"\n[every]\nname = 3\n[[stage]]', "'name' is 3; write text"),
        ('labels = ["x", "x"]\n[[stage]]', "the labels '.*x' is there twice"),
        ("labels = [3]\n[[stage]]", "labels: is not a table"),
        ("labels = [{}]\n[[stage]]", "labels: it has no 'folder'"),
        ('labels = [{folder = "x", teacher = "y"}]\n[[stage]]', "'teacher' is for labelling; add 'audio'"),
        ('labels = [{folder = "x", audio = ["a"], offset = 99}]\n[[stage]]', "labels: 'offset' is 99"),
        ('labels = [{folder = "x", audio = [""]}]\n[[stage]]', "'audio' holds an empty name"),
        ('labels = [{folder = "x", synthetic = 3, split_by = "voice"}]\n[[stage]]', "'split_by' is 'voice'"),
        ("labels = ", "is not TOML"),
        ("a" * 3 + " = " + "[" * 5000, "is not TOML"),
    ],
)
def test_what_a_recipe_may_not_say(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(written(tmp_path, text))


def test_a_stage_that_goes_on_is_of_the_shape_it_begins_with(tmp_path: Path) -> None:
    stages = (
        'name = "face"\nstudent = "tiny-low-latency"\nlook_ahead = "32 ms"\n[[stage]]\nname = "hero"\ninit = "face"\n'
    )
    face, hero = read(written(tmp_path, f'labels = "labels"\n[[stage]]\n{stages}')).stages
    assert (hero.student, hero.look_ahead, hero.init) == (face.student, 32.0, str(face.out))
    _, hero = read(
        written(tmp_path, f'labels = "labels"\n[[stage]]\n{stages}student = "tiny"\nlook_ahead = "0 ms"')
    ).stages
    assert (hero.student, hero.look_ahead) == ("tiny", 0.0)


def test_so_is_one_that_goes_on_from_a_folder(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from distill.students import folder as students
    from distill.students.architectures import architecture

    student = students.build(architecture("tiny-mel", 32.0))
    students.save(student, tmp_path / "face")
    (hero,) = read(written(tmp_path, 'labels = "labels"\n[[stage]]\nname = "hero"\ninit = "face"')).stages
    assert (hero.student, hero.look_ahead) == ("tiny-mel", 32.0)
    (missing,) = read(written(tmp_path, 'labels = "labels"\n[[stage]]\nname = "hero"\ninit = "fact"')).stages
    assert (missing.student, missing.look_ahead) == ("tiny", None)  # said when the work starts


def test_a_recipe_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        read(tmp_path / "absent.toml")
    (tmp_path / "recipe.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="is not UTF-8"):
        read(tmp_path / "recipe.toml")


@pytest.mark.parametrize("name", ["small", "tiny", "low-latency", "tiny-low-latency"])
def test_the_examples(name: str) -> None:
    plan = read(EXAMPLES / f"{name}.toml")
    assert [stage.name for stage in plan.stages] == list(dict.fromkeys(["small", name]))
    shape = plan.stages[-1]
    assert shape.student == ("tiny-mel" if name.startswith("tiny") else "small-mel")
    assert shape.look_ahead == (64 if name.endswith("low-latency") else None)
    assert plan.stages[-1].out.resolve() == EXAMPLES.parents[1] / "students" / name
    # All of them share the first stage, so that it is trained once.
    first = read(EXAMPLES / "small.toml").stages[0]
    assert plan.stages[0] == first


def test_what_made_the_students_that_ship() -> None:
    stages = read(EXAMPLES / "shipped.toml").stages
    assert set(pretrained.names()) <= {stage.name for stage in stages}
    for stage in stages:
        if stage.name not in pretrained.names():
            continue  # not yet
        made = read_facts(pretrained.folder(stage.name))
        assert (made["architecture"], made["look_ahead_ms"]) == (stage.student, stage.look_ahead or 256)
        recipe = json.loads(json.dumps(asdict(stage.recipe)))
        assert made["training"]["recipe"].items() <= recipe.items()
