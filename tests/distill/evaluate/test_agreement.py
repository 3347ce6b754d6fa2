"""Distances from the teacher, against numpy's own corrcoef, var and mean over everything at once."""

from __future__ import annotations

import numpy as np
import pytest

from distill.controls import ARKIT
from distill.evaluate import fit
from distill.evaluate.agreement import Agreement, teacher_speed
from distill.evaluate.base import Case
from distill.evaluate.jitter import Jitter

JAW = [index for index, name in enumerate(ARKIT) if name.startswith("jaw")]


def test_equal_faces_agree_exactly(wandering) -> None:
    found = figures_of(Agreement(ARKIT), [wandering(0)], [wandering(0)])
    assert found["r2"] == 1
    for name, value in found.items():
        assert value == (1 if name.split(".")[0] in ("r2", "correlation") else 0)


def test_against_the_whole_corpus_at_once(wandering) -> None:
    theirs = [wandering(1), wandering(2, 120)]
    ours = [curves + 0.3 * (wandering(9, len(curves)) - 0.4) for curves in theirs]
    found = figures_of(Agreement(ARKIT), ours, theirs)
    x, y = np.concatenate(ours).astype(np.float64), np.concatenate(theirs).astype(np.float64)
    # Tolerance: sums of squares in float64 instead of two passes.
    assert found["r2"] == pytest.approx(1 - np.mean(((x - y) ** 2).mean(0) / y.var(0)), abs=1e-9)
    assert found["error.jaw"] == pytest.approx(np.sqrt(np.mean((x - y)[:, JAW] ** 2)), abs=1e-12)
    expected = np.mean([np.corrcoef(x[:, place], y[:, place])[0, 1] for place in range(52)])
    assert found["correlation.all"] == pytest.approx(expected, abs=1e-9)
    steps = [(np.diff(a, axis=0), np.diff(b, axis=0)) for a, b in zip(ours, theirs, strict=True)]
    dx, dy = (np.concatenate(items).astype(np.float64)[:, JAW] for items in zip(*steps, strict=True))
    assert found["velocity.jaw"] == pytest.approx(np.sqrt(((dx - dy) ** 2).sum() / (dy**2).sum()), rel=1e-5)


def test_the_mean_face_has_no_r2_and_no_correlation(wandering) -> None:
    theirs = wandering(3)
    still = np.tile(theirs.mean(0), (len(theirs), 1))
    found = figures_of(Agreement(ARKIT), [still], [theirs])
    assert found["r2"] == pytest.approx(0, abs=1e-6)
    assert found["correlation.mouth"] == 0
    assert found["velocity.mouth"] == 1  # what a still face gets
    assert figures_of(Agreement(ARKIT), [2 * still - theirs], [theirs])["r2"] == pytest.approx(-3, abs=1e-4)


def test_a_group_that_the_teacher_never_moves_has_an_error_but_no_correlation(face) -> None:
    ours = face((0.5, 0.6))
    ours[:, ARKIT.index("browInnerUp")] = 0.5
    found = figures_of(Agreement(ARKIT), [ours], [face((0.5, 0.6))])
    assert found["error.brows"] == pytest.approx(0.5 / np.sqrt(5), rel=1e-6)  # one of five controls
    assert np.isnan(found["correlation.brows"])
    assert np.isnan(found["velocity.brows"])
    assert found["correlation.jaw"] == 1


def test_another_rig_is_judged_as_a_whole(wandering) -> None:
    theirs = wandering(4)[:, :3]
    found = figures_of(Agreement(["lid", "lip", "chin"]), [theirs], [theirs])
    assert {name.partition(".")[2] for name in found} == {"", "all"}


def test_fit_is_r2(wandering) -> None:
    ours, theirs = [wandering(5), wandering(6)], [wandering(7), wandering(8)]
    assert fit(ours, theirs) == figures_of(Agreement(ARKIT), ours, theirs)["r2"]
    assert fit([np.zeros((9, 2), np.float32)], [np.zeros((9, 2), np.float32)]) == 0


def test_the_speed_of_the_teacher(wandering) -> None:
    curves = wandering(1)
    sums = Agreement(ARKIT).sums(Case(curves, curves))
    speed = np.sqrt((np.diff(curves.astype(np.float64), axis=0) ** 2).sum() / (len(curves) - 1))
    assert teacher_speed(sums, 52) == pytest.approx(speed)


def test_jitter_is_a_ratio(wandering, face) -> None:
    theirs = wandering(1)
    assert figures_of(Jitter(ARKIT), [theirs], [theirs])["jitter"] == 1
    assert figures_of(Jitter(ARKIT), [theirs / 2], [theirs])["jitter"] == pytest.approx(1 / 2, rel=1e-6)
    # By hand: one control moves, 0 1 0 0 against 0 0 1 1: second differences -2, 1 against 1, -1.
    ours, other = np.zeros((4, 2), np.float32), np.zeros((4, 2), np.float32)
    ours[:, 0], other[:, 0] = (0, 1, 0, 0), (0, 0, 1, 1)
    ours[:, 1] = (0, 1, 0, 1)  # what the teacher does not move does not count
    assert figures_of(Jitter(["a", "b"]), [ours], [other])["jitter"] == pytest.approx(np.sqrt(5 / 2))
    assert np.isnan(figures_of(Jitter(ARKIT), [face()], [np.zeros((100, 52), np.float32)])["jitter"])


def figures_of(family, ours, theirs) -> dict[str, float]:
    sums = np.sum([family.sums(Case(*pair)) for pair in zip(ours, theirs, strict=True)], axis=0)
    return {name: float(value) for name, value in family.figures(sums).items()}
