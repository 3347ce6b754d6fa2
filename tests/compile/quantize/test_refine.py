"""Lifting goes on exactly until the goal holds; corrections bring means back."""

from __future__ import annotations

import numpy as np
import pytest

from compile.quantize.apply import apply
from compile.quantize.calibrate import batches
from compile.quantize.correct import correct_biases
from compile.quantize.decide import decide
from compile.quantize.measure import collect, sqnr
from compile.quantize.recipe import PROFILES
from compile.quantize.refine import MARGIN, refine
from compile.quantize.scheme import Scheme
from targets.onnx.run import Session


def test_low_goal_lifts_nothing(model, ranges, samples):
    refined = refine(model, ranges, PROFILES["int8"].recipe, samples, goal=5.0)
    assert refined.lifts == ()
    assert refined.sqnr_db >= 5.0 + MARGIN


def test_goal_between_is_reached_with_the_noisiest_first(model, ranges, samples):
    start = refine(model, ranges, PROFILES["int8"].recipe, samples, goal=5.0).sqnr_db
    refined = refine(model, ranges, PROFILES["int8"].recipe, samples, goal=start)
    assert 1 <= len(refined.lifts) < 3
    assert refined.sqnr_db >= start + MARGIN
    assert [lift.alone for lift in refined.lifts] == sorted(lift.alone for lift in refined.lifts)
    for lift in refined.lifts:
        decision = refined.plan.decisions[lift.node]
        assert decision.scheme == Scheme.W8
        assert "alone in int8" in decision.because


def test_impossible_goal_returns_the_best_there_is(model, ranges, samples):
    refined = refine(model, ranges, PROFILES["int8"].recipe, samples, goal=200.0)
    assert len(refined.lifts) == 3
    assert refined.sqnr_db < 200


def test_correction_brings_the_output_mean_back(model, ranges, samples):
    plan = decide(model, ranges, PROFILES["w8"].recipe)
    corrected = correct_biases(model, plan, samples)
    feeds = batches(model, samples)
    means = [
        collect(Session(m.to_bytes(), "test"), feeds)["y"].mean(axis=(0, 1))
        for m in (model, apply(model, plan), apply(model, corrected))
    ]
    before, after = (np.abs(means[0] - mean).max() for mean in means[1:])
    assert after < before / 5


def test_sqnr_by_hand():
    reference = {"y": np.array([[3.0, 4.0]], np.float32)}
    assert sqnr(reference, {"y": np.array([[3.0, 4.5]], np.float32)}) == pytest.approx(20.0)
    assert sqnr(reference, reference) == np.inf
    assert sqnr(reference, {"y": 2 * reference["y"]}) == pytest.approx(0.0)
