"""Leaving one speaker out: nobody hears whom they are judged by, and what is finished is found again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import folds, speakers, trials
from bench.board import Board
from compile.errors import GateFailed, UserError
from distill.evaluate.bootstrap import Figure
from distill.evaluate.report import STUDENT, TEACHER, Group, Report, Row
from distill.labels import cache as labels
from distill.training import train

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders of students that are trained from now on."""
    found: list[str] = []
    honest = train.train

    def noted(folds: Any, stage: Any, *others: Any) -> Any:
        found.append(f"{stage.out.parent.name}/{stage.name}")
        return honest(folds, stage, *others)

    monkeypatch.setattr(train, "train", noted)
    return found


def words(voices: Path, quick: Path, out: Path, *more: str) -> list[str]:
    return ["--labels", str(voices), "--recipe", str(quick), "--out", str(out), "--device", "cpu", *more]


def facts(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def row(report: dict[str, Any], subject: str) -> dict[str, Any]:
    (found,) = [row for row in report["rows"] if row["subject"] == subject]
    return dict(found)


def test_it_leaves_out_and_goes_on(
    voices: Path,
    quick: Path,
    tmp_path: Path,
    trained: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    arguments = words(voices, quick, out, "--speakers", "anna,b*", "--ensemble", "both", "--all")

    def interrupt(board: Board, name: str, stage: str, done: int, total: int, note: str = "") -> None:
        if (name, stage, done) == ("ben", "train pupil", 2):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Board, "tell", interrupt)
        with pytest.raises(KeyboardInterrupt):
            speakers.main(arguments)
    assert trained == ["anna/guide", "anna/pupil", "ben/guide", "ben/pupil"]
    trained.clear()
    speakers.main(arguments)
    assert trained == ["ben/pupil", "all/guide", "all/pupil"]
    trained.clear()

    found = facts(out / "speakers.json")
    (anna, ben) = (facts(out / "speakers" / name / "evaluation.json")["report"] for name in ("anna", "ben"))
    assert (found["utterances"], anna["utterances"], ben["utterances"]) == (4, 2, 2)
    for subject in ("float", "float, no ensemble", "teacher"):
        alone = [row(report, subject)["figures"]["error.mouth"]["value"] for report in (anna, ben)]
        groups = row(found, subject)["groups"]["speaker"]
        assert [groups[name]["figures"]["error.mouth"]["value"] for name in ("anna", "ben")] == alone
        assert row(found, subject)["figures"]["error.mouth"]["value"] == pytest.approx(sum(alone) / 2, abs=1e-6)
    assert [*row(facts(out / "all.json"), "float")["groups"]["speaker"]] == ["dora"]
    for report in (found, facts(out / "all.json")):
        jsonschema = pytest.importorskip("jsonschema")
        schema = Path(__file__).parents[2] / "docs" / "evaluation.schema.json"
        jsonschema.validate(report, json.loads(schema.read_text()))

    printed = capsys.readouterr().out
    assert "float, no ensemble: leave one speaker out, mean over 2 speakers" in printed
    assert "float: trained on all, mean over 1 held-out speakers" in printed
    lines = (out / "speakers.md").read_text().splitlines()
    heads = [line.split("|")[1].strip() for line in lines[2:8]]
    assert heads == ["", "---", "anna", "ben", "**mean**", "**worst**"]

    before = (out / "speakers.json").read_bytes()
    with pytest.raises(GateFailed, match="of the goals, 1 do not hold"):
        speakers.main([*arguments[:-1], "--goals", "jitter <= 1 for every speaker", "closure.f1 >= 2 of teacher"])
    assert trained == []
    again = facts(out / "speakers.json")
    assert [gate["holds"] for gate in again.pop("gates")] == [True, False]  # of what has the ensemble
    wanted = json.loads(before)
    assert (again.pop("pass"), wanted.pop("pass"), wanted.pop("gates")) == (False, True, [])
    assert again == wanted


def test_folds_leave_out_several_at_once(voices: Path, quick: Path, tmp_path: Path, trained: list[str]) -> None:
    out = tmp_path / "out"
    speakers.main(words(voices, quick, out, "--folds", "2", "--final", "--steps", "1", "--ensemble", "off"))
    found = facts(out / "speakers.json")
    assert len(trained) == 2
    assert row(found, "float, no ensemble")["groups"]["speaker"].keys() == {"anna", "ben", "cora"}
    assert "2 folds of speakers, mean over 3 speakers" in (out / "speakers.md").read_text()


def test_folds_are_of_like_minutes(voices: Path) -> None:
    one = labels.load(voices)
    frames = {"anna": 50, "ben": 30, "cora": 30}
    entries = tuple(replace(one.entries[0], speaker=who, frames=count) for who, count in frames.items())
    assert folds.dealt([replace(one, entries=entries)], [*frames], 2) == (("anna",), ("ben", "cora"))


def test_nobody_hears_whom_they_are_judged_by(voices: Path, quick: Path, tmp_path: Path) -> None:
    folder = tmp_path / "labels"
    shutil.copytree(voices, folder)
    for entry in labels.load(folder).entries:
        if entry.speaker in ("anna", "dora"):
            (path,) = folder.rglob(f"{entry.key}.npz")
            path.unlink()
    with pytest.raises(UserError, match="1 of 1 failed"):
        speakers.main(words(folder, quick, tmp_path / "out", "--speakers", "anna", "--final", "--steps", "1"))
    assert (
        tmp_path / "out" / "speakers" / "anna" / "pupil" / "student.json"
    ).is_file()  # trained, and only then missed


def test_int8_is_compiled_and_judged(
    voices: Path, quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from compile.cli import tune

    monkeypatch.setattr(tune, "WINDOWS", 8)
    more = ("--speakers", "cora", "--final", "--int8", "--ensemble", "off", "--goals", "error.all <= 110 % of teacher")
    with pytest.raises(GateFailed, match="of the goals, 2 do not hold"):  # float and int8: the teacher has no error
        speakers.main(words(voices, quick, tmp_path / "out", *more))
    report = facts(tmp_path / "out" / "speakers.json")
    assert [one["subject"] for one in report["rows"] if one["kind"] == "student"] == [
        "float, no ensemble",
        "int8, no ensemble",
    ]
    plain, rounded = (
        row(report, f"{name}, no ensemble")["figures"]["error.all"]["value"] for name in ("float", "int8")
    )
    assert rounded != plain
    assert rounded == pytest.approx(plain, rel=0.1)  # 42 dB or so is far less
    assert (tmp_path / "out" / "speakers" / "cora" / "int8" / "student.onnx").is_file()


def test_several_at_a_time_and_one_that_fails(
    voices: Path, quick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = tmp_path / "out" / "speakers" / "anna" / "pupil" / "notes.txt"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("mine")
    more = ("--speakers", "anna,ben", "--final", "--steps", "1", "--jobs", "2", "--ensemble", "off")
    with pytest.raises(UserError, match="1 of 2 failed; run the same again"):
        speakers.main(words(voices, quick, tmp_path / "out", *more))
    assert "anna failed: " in " ".join(capsys.readouterr().out.split())
    assert "holds 'notes.txt'" in (tmp_path / "out" / "speakers.md").read_text()
    assert row(facts(tmp_path / "out" / "speakers.json"), "teacher")["groups"]["speaker"].keys() == {"ben"}
    assert foreign.read_text() == "mine"


def test_the_table() -> None:
    def group(**values: float | None) -> Group:
        names = {"f1": "closure.f1", "depth": "closure.depth", "jitter": "jitter"}
        return Group(2, 90.0, {names[name]: Figure(value) for name, value in values.items()})

    ours = {"anna": group(f1=0.6, depth=0.9, jitter=0.5), "ben": group(f1=0.9, depth=0.7, jitter=0.9)}
    theirs = {"anna": group(f1=0.8), "ben": group(f1=None)}
    rows = (Row("float", STUDENT, None, {}, {"speaker": ours}), Row("teacher", TEACHER, None, {}, {"speaker": theirs}))
    (sheet,) = speakers.sheets(Report("speech", "teacher", 4, 180.0, 4, 0, rows))
    columns = {(head, number): [line[number] for line in sheet.rows] for number, head in enumerate(sheet.columns)}
    assert columns["F1", 2] == ["0.60", "0.90", "0.75", "0.60"]
    assert columns["min", 1] == ["1.5", "1.5", "", ""]
    assert columns["teacher F1", 5] == ["0.80", "-", "0.80", "0.80"]
    assert columns["F1 ratio", 8] == ["0.75", "-", "0.75", "0.75"]
    assert columns["depth", 13] == ["0.90", "0.70", "0.80", "0.70"]
    assert columns["jitter", 14] == ["0.50", "0.90", "0.70", "0.90"]  # the highest is the worst


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--speakers", "zoe"], "nobody who trains is called 'zoe'; there are: anna, ben, cora"),
        (["--speakers", "dora"], "nobody who trains is called 'dora'"),
        (["--speakers", ""], "there is nothing to do"),
        (["--goals", "closure.f2 >= 1"], "--goals: there is no figure 'closure.f2'"),
        (["--goals", "closure.f1 >= 1 of int8"], "there is no 'int8' to compare with"),
    ],
)
def test_what_cannot_be(voices: Path, quick: Path, tmp_path: Path, more: Sequence[str], message: str) -> None:
    with pytest.raises(UserError) as failure:
        speakers.main(words(voices, quick, tmp_path / "out", *more))
    assert message in str(failure.value)
    assert not (tmp_path / "out").exists()


def test_nothing_is_held_out(voices: Path) -> None:
    whole = labels.load(voices)
    trial = trials.Trial("all", Path("out"), (), (replace(whole, entries=whole.split()),))
    with pytest.raises(UserError, match="all: nothing is held out to judge by"):
        trials.speech_of(trial)
