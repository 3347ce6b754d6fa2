"""Gates in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from compile.errors import UserError
from distill.evaluate.bootstrap import Figure
from distill.evaluate.gates import parse
from distill.evaluate.report import FLOOR, STUDENT, TEACHER, Group, Report, Row

REPORT = Report(
    *("labels", "phonetic", 3, 9.0, 3, 0),
    rows=(
        Row("tiny", STUDENT, None, {"closure.f1": Figure(0.80), "lag": Figure(-30.0), "r2": Figure(None)}),
        Row("tiny", STUDENT, 20.0, {"closure.f1": Figure(0.60)}),
        Row("build", STUDENT, None, {"closure.f1": Figure(0.79), "lag": Figure(10.0), "r2": Figure(0.7)}),
        Row("build", STUDENT, 20.0, {"closure.f1": Figure(0.50)}),
        Row("teacher", TEACHER, None, {"closure.f1": Figure(0.90)}),
        Row("always mean", FLOOR, None, {"closure.f1": Figure(0.0)}),
    ),
)
NAMES, NOISES = [row.subject for row in REPORT.clean], (20.0,)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("closure.f1 >= 0.795", {"tiny": True, "build": False}),
        ("closure.f1 > 0.8", {"tiny": False, "build": False}),
        ("closure.f1 >= 0.88 of teacher", {"tiny": True, "build": False}),  # 0.792
        ("closure.f1 >= 88 % of teacher", {"tiny": True, "build": False}),
        ("closure.f1 >= 80%", {"tiny": True, "build": False}),
        ("closure.f1 >= 0.98 of tiny", {"build": True}),  # not held against itself
        ("closure.f1>=0.55 at 20 dB", {"tiny": True, "build": False}),
        ("closure.f1 >= 0.8 of tiny at 20dB", {"build": True}),  # 0.48: both in noise
        ("closure.f1 >= 0.6 of teacher at 20 dB", {"tiny": True, "build": False}),  # 0.54: the teacher in quiet
        ("lag <= 20 ms", {"tiny": False, "build": True}),  # whatever its sign
        ("lag < 31", {"tiny": True, "build": True}),
        ("r2 >= 0.65", {"tiny": None, "build": True}),
        ("rounding.depth <= 2", {"tiny": None, "build": None}),
    ],
)
def test_gates(text: str, holds: dict[str, bool | None]) -> None:
    verdicts = list(parse(text, NAMES, NOISES).judge(REPORT))
    assert {verdict.subject: verdict.holds for verdict in verdicts} == holds


def test_every_speaker_by_itself() -> None:
    def groups(**values: float | None) -> dict[str, dict[str, Group]]:
        return {"speaker": {name: Group(1, 2.0, {"r2": Figure(value)}) for name, value in values.items()}}

    report = replace(
        REPORT,
        rows=(
            Row("tiny", STUDENT, None, {}, groups(anna=0.9, ben=0.7, cleo=0.5, dora=None)),
            Row("build", STUDENT, None, {}, groups(anna=0.9, ben=0.9, cleo=0.9, dora=0.9)),
            Row("teacher", TEACHER, None, {}, groups(anna=1.0, ben=0.8, cleo=1.0, dora=1.0)),
        ),
    )
    tiny, build = parse("r2 >= 85 % of teacher for every speaker", NAMES, (), ("speaker",)).judge(report)
    assert (tiny.holds, build.holds) == (False, True)
    assert tiny.detail == "cleo: r2 is 0.5, due >= 0.85 (0.85 of teacher's 1.00); 1 more fall short"
    assert build.detail == "all: it holds for all 4"
    assert next(parse("r2 >= 0 for every speaker", NAMES, (), ("speaker",)).judge(report)).holds is None  # dora


def test_a_verdict_says_why() -> None:
    verdicts = list(parse("closure.f1 >= 0.89 of teacher", NAMES, NOISES).judge(REPORT))
    assert verdicts[0].detail == "closure.f1 is 0.8, due >= 0.801 (0.89 of teacher's 0.90)"
    assert next(parse("r2 >= 0", NAMES, NOISES).judge(REPORT)).detail == "r2 was not measured"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("quick", "'quick' is no gate"),
        ("closure.f1 = 1", "is no gate"),
        ("closure.f1 >= nan", "is no gate"),
        ("closure.f2 >= 1", "there is no figure 'closure.f2'; did you mean closure.f1"),
        ("closure.f1 >= 0.9 of mother", "there is no 'mother' to compare with; there are: tiny, build, teacher"),
        ("closure.f1 >= 0.9 at 5 dB", "nothing is judged at 5 dB; add --noise 5dB"),
        ("r2 >= 1 for every speaker", "nothing is known by speaker; add --by speaker"),
        ("r2 >= 1 at 20 dB for every speaker", "in noise, nothing is known by itself; leave the noise out"),
        ("lag <= 20 %", "the bound of lag is not in %"),
        ("r2 >= 20 ms", "the bound of r2 is not in ms"),
        ("lag <= 2 ms of teacher", "the bound of lag is not in ms"),
    ],
)
def test_what_is_no_gate(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        parse(text, NAMES, NOISES)
