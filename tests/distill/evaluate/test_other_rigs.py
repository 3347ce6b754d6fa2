"""Faces that are not ARKit's: the teacher's curves come to the rig, and what it has no lips for is not measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from compile.errors import UserError
from distill import rigs
from distill.controls import ARKIT
from distill.corpus.espeak import Phone
from distill.evaluate import Speech, Subject, evaluate
from distill.evaluate.speech import Clip, driven


def speech() -> Speech:
    rng = np.random.default_rng(0)
    curves = np.cumsum(rng.normal(0, 0.05, (100, 52)), axis=0).clip(0, 1).astype(np.float32)
    clip = Clip("a", rng.normal(0, 0.1, 32_000).astype(np.float32), curves, (Phone("p", 0.5, 0.6),))
    return Speech("labels", "tester", ARKIT, 1, lambda _: clip)


def hero(tmp_path: Path, **controls: dict[str, float]) -> rigs.Rig:
    facts = {"format": rigs.FORMAT, "bounded": False, "controls": controls, "offset": {"drop": 3.0}}
    (tmp_path / "rig.json").write_text(json.dumps(facts))
    return rigs.read(tmp_path / "rig.json")


def test_the_teacher_moves_the_rig_s_face(tmp_path: Path) -> None:
    rig = hero(tmp_path, drop={"jawOpen": 2.0, "mouthClose": -1.0}, press={"mouthPressLeft": 1.0})
    before, after = speech(), driven(speech(), rig)
    assert after.controls == ("drop", "press")
    curves = before.read(0).curves
    expected = 2 * curves[:, ARKIT.index("jawOpen")] - curves[:, ARKIT.index("mouthClose")] + 3
    np.testing.assert_allclose(after.read(0).curves[:, 0], expected, atol=1e-6)
    assert after.read(0).phones == before.read(0).phones


def test_a_perfect_student_of_a_rig(tmp_path: Path) -> None:
    rig = hero(tmp_path, drop={"jawOpen": 2.0}, press={"mouthPressLeft": 1.0})
    due = driven(speech(), rig)
    clip = due.read(0)

    def student(audio: np.ndarray) -> np.ndarray:
        """The teacher's own face, and rest in whatever else is played to it."""
        same = np.array_equal(audio, clip.audio)
        return clip.curves if same else np.zeros((-(-len(audio) // 320), 2), np.float32)

    report = evaluate([Subject("student", rig.controls, student)], due)
    row = report.row("student")
    assert row is not None
    assert row.figure("r2").value == pytest.approx(1)
    for name in ("closure.recall", "closure.f1", "closure.depth", "rounding.recall"):
        assert row.figure(name).value is None  # not measured: the rig has no such lips


def test_a_rig_of_other_controls(tmp_path: Path) -> None:
    rig = rigs.plain(("a", "b"))
    with pytest.raises(UserError, match="labels: they have no 'a'"):
        driven(speech(), rig)
