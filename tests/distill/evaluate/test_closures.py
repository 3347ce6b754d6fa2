"""Closures drawn by hand: perfect, always closed, always open, late, shallow."""

from __future__ import annotations

import numpy as np
import pytest

from distill.controls import ARKIT, closure
from distill.evaluate.base import Case
from distill.evaluate.closures import Closures, Match, closures
from distill.evaluate.face import CLOSURE, measured
from distill.evaluate.phones import events

SPANS = ((0.5, 0.6), (1.2, 1.36))


def test_neighbouring_bilabials_are_one_event(phones) -> None:
    assert events(phones) == [*SPANS]


def test_the_measure_is_the_one_that_training_weighs() -> None:
    curves = np.random.default_rng(0).random((9, 52), np.float32)
    np.testing.assert_allclose(measured(curves, ARKIT, CLOSURE), closure(curves), rtol=1e-6)  # float32 there


@pytest.mark.parametrize(
    ("spans", "depth", "hits", "shut"),
    [
        (SPANS, 0.8, 2, 2),
        ([(0.0, 2.0)], 0.8, 0, 1),  # always closed: its middle, 0.99 s, is at no event
        ([], 0.8, 0, 0),  # always open
        ([(0.52, 0.6), (1.22, 1.4)], 0.8, 2, 2),  # 20 ms late is within tolerance
        ([(0.7, 0.8), (1.5, 1.6)], 0.8, 0, 2),  # late
        ([(0.5, 0.6), (0.8, 0.9), (1.2, 1.36)], 0.8, 2, 3),  # one closure too many
        ([(0.5, 0.52), (0.56, 0.6), (1.2, 1.36)], 0.8, 2, 3),  # an event is hit only once
        (SPANS, 0.3, 0, 0),  # too shallow for the threshold
    ],
)
def test_matching(face, phones, spans, depth: float, hits: int, shut: int) -> None:
    found = closures(face(*spans, depth=depth), phones)
    assert (found.events, found.closures, found.hits) == (2, shut, hits)


def test_lips_pressed_together_count_as_closed(face, phones) -> None:
    curves = face()
    for side in ("Left", "Right"):
        curves[25:30, ARKIT.index(f"mouthPress{side}")] = 0.5
    assert closures(curves, phones).hits == 1


def test_timing_by_hand(face, phones) -> None:
    # Frames 26 to 29 are 0.52 to 0.58 s, middle 0.55, of the event 0.55; frames 58 to 65, middle 1.23, of 1.28.
    found = closures(face((0.52, 0.6), (1.16, 1.32)), phones)
    assert found == Match(2, 2, pytest.approx((0.0, -0.05)))
    figures = figures_of(face((0.52, 0.6), (1.16, 1.32)), face(*SPANS), phones)
    assert figures["closure.timing"] == pytest.approx(25)
    assert figures["closure.bias"] == pytest.approx(-25)


def test_figures_by_hand(face, phones) -> None:
    figures = figures_of(face((0.5, 0.6), (0.8, 0.9), depth=0.6), face(*SPANS), phones)
    assert figures["closure.recall"] == 1 / 2
    assert figures["closure.precision"] == 1 / 2
    assert figures["closure.f1"] == 1 / 2
    assert figures["closure.depth"] == pytest.approx((0.6 + 0) / (0.8 + 0.8))
    uneven = figures_of(face((0.5, 0.6), (0.8, 0.9), (1.2, 1.36)), face(*SPANS), phones)
    assert uneven["closure.f1"] == pytest.approx(2 / (1 / 1 + 1 / (2 / 3)))  # the harmonic mean


def test_lips_that_never_close_score_nothing(face, phones) -> None:
    figures = figures_of(face(), face(*SPANS), phones)
    assert [figures[f"closure.{name}"] for name in ("recall", "precision", "f1")] == [0, 0, 0]
    assert np.isnan(figures["closure.timing"])


def test_what_cannot_be_measured_is_not_a_number(face, phones) -> None:
    assert all(np.isnan(value) for value in figures_of(face(*SPANS), face(*SPANS), None).values())
    other = Closures(["a", "b"])
    assert not other.sums(Case(np.zeros((9, 2), np.float32), np.zeros((9, 2), np.float32), phones)).any()


def figures_of(ours: np.ndarray, theirs: np.ndarray, phones) -> dict[str, float]:
    family = Closures(ARKIT)
    return {name: float(value) for name, value in family.figures(family.sums(Case(ours, theirs, phones))).items()}
