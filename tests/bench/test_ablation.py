"""Variants over seeds: means and deviations by another formula, what a table may say, and that all of it is kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench import ablation
from compile.errors import UserError
from distill.augment.presets import PRESETS
from distill.labels import cache as labels
from distill.training import train

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.usefixtures("one_thread")

EXAMPLE = Path(__file__).parents[2] / "examples" / "recipes" / "ablation.toml"
QUICK = (
    'seeds = [3, 4]\n[every]\nsteps = 2\nbatch = 2\nframes = 20\nwarm_up = 1\naugmentation = "off"\n'
    '[[stage]]\nname = "guide"\n'
    '[[variant]]\nname = "plain"\n'
    '[[variant]]\nname = "guided"\nguide = "guide"\nweights = { closure = 0.0 }\n'
)


def test_means_deviations_and_differences() -> None:
    one, other = np.array([0.5, 0.7, 0.9]), np.array([0.4, 0.1])
    found, first = (ablation.Found(dict(enumerate(values.tolist()))) for values in (one, other))
    assert found.mean == pytest.approx(one.mean())
    assert found.deviation == pytest.approx(one.std(ddof=1))
    assert found.less(first) == pytest.approx(
        (one.mean() - other.mean(), np.hypot(one.std(ddof=1) / 3**0.5, other.std(ddof=1) / 2**0.5))
    )
    alone, missing = ablation.Found({0: 0.5}), ablation.Found({0: 0.5, 1: None})
    assert (alone.mean, alone.deviation) == (0.5, None)
    assert alone.less(first)[0] == pytest.approx(0.25)
    assert alone.less(first)[1] is None
    assert (missing.mean, missing.deviation, missing.less(first)) == (None, None, (None, None))


def test_the_example(voices: Path, tmp_path: Path) -> None:
    table = ablation.read(EXAMPLE, (labels.load(voices),), tmp_path)
    (guide,) = table.common
    variants = {name: seeds[0].stages[-1] for name, seeds in table.variants.items()}
    assert next(iter(variants)) == "stage-1-only"
    assert [trial.stages[-1].recipe.seed for trial in table.variants["hybrid"]] == [0, 1, 2]
    assert guide.stages[0].student == "small-mel"
    hybrid = variants["hybrid"]
    assert hybrid.guide == str(guide.stages[0].out)
    assert hybrid.recipe.weights.feature > 0
    assert (variants["stage-1-only"].guide, variants["stage-1-only"].recipe.weights.feature) == ("", 0)
    assert {name: stage.student for name, stage in variants.items() if stage.student != "tiny-mel"} == {
        "raw-waveform": "tiny"
    }
    presets = {
        name: next(key for key, one in PRESETS.items() if one == stage.recipe.augmentation)
        for name, stage in variants.items()
    }
    assert {presets.pop("augmentation-off"), presets.pop("augmentation-strong")} == {"off", "strong"}
    assert {*presets.values()} == {"moderate"}
    places = [trial.stages[-1].out for seeds in table.variants.values() for trial in seeds]
    assert len({*places}) == 3 * len(variants)
    different = [(stage.student, stage.recipe) for stage in variants.values()]
    assert all(one != other for index, one in enumerate(different) for other in different[:index])


def test_it_compares_and_goes_on(
    voices: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = tmp_path / "table.toml", tmp_path / "out"
    path.write_text(QUICK)
    arguments = [str(path), "--labels", str(voices), "--out", str(out), "--ensemble", "on", "--device", "cpu"]
    ablation.main(arguments)
    found = json.loads((out / "ablation.json").read_text())
    judged = {
        name: [
            json.loads((out / "variants" / name / f"seed-{seed}" / "evaluation.json").read_text()) for seed in (3, 4)
        ]
        for name in ("plain", "guided")
    }
    error = {
        name: [report["report"]["rows"][0]["figures"]["error.mouth"]["value"] for report in reports]
        for name, reports in judged.items()
    }
    assert error["plain"][0] != error["plain"][1]
    for name, values in error.items():
        facts = found["subjects"]["float"][name]["error.mouth"]
        assert list(facts["values"].values()) == values
        assert (facts["mean"], facts["deviation"]) == pytest.approx((np.mean(values), np.std(values, ddof=1)), abs=1e-6)
    facts = found["subjects"]["float"]["guided"]["error.mouth"]
    assert facts["difference"] == pytest.approx(np.mean(error["guided"]) - np.mean(error["plain"]), abs=2e-6)
    assert "difference" not in found["subjects"]["float"]["plain"]["error.mouth"]
    printed = capsys.readouterr().out
    for line in ("float: mean and standard deviation over seeds", "float: less plain, and standard error"):
        assert line in printed
        assert f"### {line}" in (out / "ablation.md").read_text().splitlines()

    def refuse(*_: object) -> None:
        raise AssertionError("it is trained already")

    monkeypatch.setattr(train, "train", refuse)
    before = (out / "ablation.json").read_bytes()
    ablation.main(arguments)
    assert (out / "ablation.json").read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds = [3, 4]\n", "", "'seeds' is []"),
        ("[3, 4]", "[3, 3]", "'seeds' is [3, 3]"),
        ("[3, 4]", '["a"]', "'seeds' is ['a']"),
        ("seeds", "seed", "unknown key 'seed'; did you mean 'seeds'?"),
        ('name = "guided"\n', "", "[[variant]] 2: it has no name of its own"),
        ('"guided"', '"plain"', "[[variant]] 2: it has no name of its own"),
        ('guide = "guide"\n', "seed = 3\n", "[[variant]] 2: a variant has no 'seed'"),
        ("closure = 0.0", "closures = 0.0", "[[variant]] 2 weights: unknown key 'closures'"),
        ('"guided"', '"../guided"', "[[variant]] 2 name: '../guided' cannot name a stage"),
        ('"guided"', '"guide"', "a stage's name 'guide' is there twice"),
    ],
)
def test_what_a_table_cannot_say(voices: Path, tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "table.toml"
    path.write_text(QUICK.replace(old, new, 1))
    with pytest.raises(UserError) as failure:
        ablation.read(path, (labels.load(voices),), tmp_path / "out")
    assert message in str(failure.value)
