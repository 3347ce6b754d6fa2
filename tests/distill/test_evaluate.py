"""Metrics on curves drawn by hand: perfect, always closed, always open, late, shallow."""

from __future__ import annotations

import numpy as np
import pytest

from compile.errors import UserError
from distill import evaluate
from distill.controls import ARKIT
from distill.espeak import Phone
from distill.teachers.base import Utterance

CLOSE = ARKIT.index("mouthClose")
JAW = ARKIT.index("jawOpen")
# Two closures in two seconds: p at 0.5 s, and m and b in one at 1.2 s.
PHONES = (
    Phone("a", 0.0, 0.5),
    Phone("p", 0.5, 0.6),
    Phone("a", 0.6, 1.2),
    Phone("m", 1.2, 1.3),
    Phone("b", 1.3, 1.36),
    Phone("a", 1.36, 2.0),
)
SPEECH = [Utterance(np.zeros(32000, np.float32), PHONES)]


def face(*spans: tuple[float, float], depth: float = 0.8) -> np.ndarray:
    """Two seconds of lips closed in the given spans (seconds), over a moving jaw."""
    curves = np.zeros((100, 52), np.float32)
    curves[:, JAW] = 0.3 + 0.2 * np.sin(np.arange(100) / 5)
    for start, end in spans:
        curves[round(start * 50) : round(end * 50), CLOSE] = depth
    return curves


PERFECT = face((0.5, 0.6), (1.2, 1.36))


def test_neighbouring_bilabials_are_one_event() -> None:
    assert evaluate.events(PHONES) == [(0.5, 0.6), (1.2, 1.36)]


@pytest.mark.parametrize(
    ("curves", "hits", "closures"),
    [
        (PERFECT, 2, 2),
        (face((0.0, 2.0)), 0, 1),  # always closed: its middle, 0.99 s, is at no event
        (face(), 0, 0),  # always open
        (face((0.52, 0.6), (1.22, 1.4)), 2, 2),  # 20 ms late is within tolerance
        (face((0.7, 0.8), (1.5, 1.6)), 0, 2),  # late
        (face((0.5, 0.6), (0.8, 0.9), (1.2, 1.36)), 2, 3),  # one closure too many
        (face((0.5, 0.52), (0.56, 0.6), (1.2, 1.36)), 2, 3),  # an event is hit only once
        (face((0.5, 0.6), (1.2, 1.36), depth=0.3), 0, 0),  # too shallow for the threshold
    ],
)
def test_closures(curves: np.ndarray, hits: int, closures: int) -> None:
    assert evaluate.closures(curves, PHONES) == evaluate.Closures(events=2, closures=closures, hits=hits)


def test_recall_and_precision() -> None:
    counts = evaluate.Closures(events=4, closures=3, hits=2) + evaluate.Closures(events=1, closures=2, hits=1)
    assert counts.recall == pytest.approx(3 / 5)
    assert counts.precision == pytest.approx(3 / 5)
    assert (evaluate.Closures().recall, evaluate.Closures().precision) == (0, 0)


def test_lips_pressed_together_count_as_closed() -> None:
    curves = face()
    for side in ("Left", "Right"):
        curves[25:30, ARKIT.index(f"mouthPress{side}")] = 0.5
    assert evaluate.closures(curves, PHONES).hits == 1


def test_the_teacher_against_itself() -> None:
    report = evaluate.judge([PERFECT], [PERFECT], SPEECH)
    assert (report.r2, report.jitter, report.depth) == (1, 1, 1)
    assert (report.closures.recall, report.closures.precision) == (1, 1)


def test_r2_of_the_mean_is_zero_and_of_noise_is_negative() -> None:
    mean = np.tile(PERFECT.mean(axis=0), (100, 1))
    assert evaluate.judge([mean], [PERFECT], SPEECH).r2 == pytest.approx(0, abs=1e-6)
    backwards = 2 * mean - PERFECT
    assert evaluate.judge([backwards], [PERFECT], SPEECH).r2 == pytest.approx(
        -3, abs=1e-5
    )  # residuals twice the signal


def test_depth_and_jitter_are_ratios() -> None:
    half = evaluate.judge([PERFECT / 2], [PERFECT], SPEECH)
    assert half.depth == pytest.approx(0.5, abs=1e-6)
    assert half.jitter == pytest.approx(0.5, abs=1e-6)


def test_evaluate_judges_predictor_and_teacher_alike() -> None:
    class Perfect:
        name, version, controls = "perfect", "1", ARKIT

        def curves(self, utterance: Utterance) -> np.ndarray:
            assert utterance is SPEECH[0]
            return PERFECT

    student, teacher = evaluate.evaluate(lambda _: face((0.5, 0.6)), Perfect(), SPEECH)
    assert student.closures.recall == 0.5
    assert student.closures.precision == 1
    assert teacher.closures.recall == teacher.closures.precision == 1


def test_what_cannot_be_judged() -> None:
    with pytest.raises(UserError, match="no speech"):
        evaluate.judge([], [], [])
    with pytest.raises(UserError, match="phone times"):
        evaluate.judge([PERFECT], [PERFECT], [Utterance(SPEECH[0].audio)])
    with pytest.raises(UserError, match=r"\[99, 52\]"):
        evaluate.judge([PERFECT[1:]], [PERFECT], SPEECH)
