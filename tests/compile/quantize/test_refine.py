"""Lifting goes on until the goal holds, by what costs least for what it brings; corrections bring means back."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from compile.quantize.apply import apply
from compile.quantize.calibrate import batches
from compile.quantize.correct import correct_biases
from compile.quantize.costs import Cost
from compile.quantize.decide import decide
from compile.quantize.lifting import ALL, Lifting, Step
from compile.quantize.measure import FLOOR, collect, sqnr
from compile.quantize.recipe import PROFILES, parse
from compile.quantize.refine import MARGIN, prices, refine
from compile.quantize.scheme import Scheme
from targets.onnx.run import Session

W8A8 = PROFILES["w8a8"].recipe


def quality(model, plan, samples):
    feeds = batches(model, samples)
    return sqnr(*(collect(Session(m.to_bytes(), "test"), feeds) for m in (model, apply(model, plan))))


def test_low_goal_lifts_nothing(model, ranges, samples):
    refined = refine(model, ranges, W8A8, samples, goal=5.0)
    assert refined.lifts == ()
    assert refined.sqnr_db >= 5.0 + MARGIN
    assert refined.sqnr_db == pytest.approx(quality(model, refined.plan, samples))


def test_a_goal_between_is_reached_and_no_step_is_too_many(model, ranges, samples):
    start = refine(model, ranges, W8A8, samples, goal=5.0).sqnr_db
    goal = start + 3
    refined = refine(model, ranges, W8A8, samples, goal=goal)
    assert refined.lifts
    assert quality(model, refined.plan, samples) >= goal + MARGIN
    for step in refined.lifts:
        for name, scheme in step.schemes:
            decision = refined.plan.decisions[name]
            assert decision.scheme == scheme
            others = [other for other, _ in step.schemes if other != name]
            assert decision.because == f"lifted{' with ' if others else ''}{', '.join(others)}: {step}"
        others = [rule for other in refined.lifts if other is not step for rule in other.rules]
        without = decide(model, ranges, (*W8A8, *others))
        # What costs nothing may be taken though it is not needed.
        assert quality(model, without, samples) < goal + MARGIN or step.cost.bytes <= 0


def test_what_is_predicted_comes_true(model, ranges, samples):
    """Roundings add up nearly independently: each of the first steps brings what it says, to 2 dB."""
    plan = decide(model, ranges, W8A8)
    start = quality(model, plan, samples)
    steps = prices(model, ranges, plan, samples)
    assert len(steps) > 3
    for step in steps[:4]:
        after = quality(model, decide(model, ranges, (*W8A8, *step.rules)), samples)
        assert after - start == pytest.approx(step.gain, abs=2)


def test_prices_are_of_the_very_plan_with_its_weights_as_they_round(model, ranges, samples):
    """Weights that round badly are what a plan suffers from most, so what spares them brings most."""
    plan = decide(model, ranges, W8A8)
    conv = next(node for node in model.ir.graph if node.op_type == "Conv")
    usual = np.rint(conv.inputs[1].const_value.numpy() / plan.weights[conv.name][:, None, None])
    bad = np.where(usual > 0, usual - 8, usual + 8).astype(np.int8)
    steps = prices(model, ranges, replace(plan, integers={conv.name: bad}), samples)
    best = max(step.gain for step in steps if (conv.name, Scheme.FLOAT) in step.schemes)
    others = [step.gain for step in steps if conv.name not in dict(step.schemes)]
    assert best > max(others, default=0.0) + 6


def test_a_goal_out_of_reach_returns_the_best_there_is(model, ranges, samples):
    refined = refine(model, ranges, W8A8, samples, goal=400.0)
    weighted = [node.name for node in model.ir.graph if node.op_type in ("Conv", "Gemm")]
    assert {refined.plan.decisions[name].scheme for name in weighted} <= {Scheme.FLOAT, Scheme.FLOAT16}
    assert refined.sqnr_db > 60


def test_the_user_has_the_last_word(model, ranges, samples):
    recipe = (*W8A8, parse("w8a8 on Conv"))
    refined = refine(model, ranges, recipe, samples, goal=400.0)
    schemes = {node.op_type: refined.plan.decisions[node.name].scheme for node in model.ir.graph}
    assert schemes["Conv"] == Scheme.W8A8
    assert schemes["Gemm"] != Scheme.W8A8


def test_a_step_that_is_not_worth_its_price_is_left(model, ranges, samples):
    dear = refine(model, ranges, W8A8, samples, goal=400.0, worth=1e6)
    assert all(step.cost.bytes <= 0 for step in dear.lifts)
    assert dear.sqnr_db < refine(model, ranges, W8A8, samples, goal=400.0, worth=1.0).sqnr_db


def test_what_a_step_brings_beyond_the_goal_is_worth_nothing(model, ranges, samples):
    recipe = (*W8A8, parse("w8a8 under conv1"))  # which else is lifted at no cost
    start = refine(model, ranges, recipe, samples, goal=-math.inf)
    step = next(one for one in prices(model, ranges, start.plan, samples) if dict(one.schemes).keys() == {"gemm8"})
    goal = start.sqnr_db - MARGIN + step.gain / 2
    share = step.cost.share(Lifting(model, ranges, samples, {}, frozenset()).whole)
    assert refine(model, ranges, recipe, samples, goal, worth=0.4 * step.gain / share).lifts
    assert not refine(model, ranges, recipe, samples, goal, worth=0.6 * step.gain / share).lifts


def test_refining_repeats(model, ranges, samples):
    first, second = (refine(model, ranges, W8A8, samples, goal=45.0) for _ in range(2))
    assert first.lifts == second.lifts
    assert first.plan.decisions == second.plan.decisions


def test_correction_brings_the_output_mean_back(model, ranges, samples):
    """The mean in which each position counts by one over its power, as ``measure.weigh`` defines it."""
    plan = decide(model, ranges, PROFILES["w8"].recipe)
    corrected = correct_biases(model, plan, samples)
    feeds = batches(model, samples)
    outputs = [
        collect(Session(m.to_bytes(), "test"), feeds)["y"].reshape(len(feeds), -1)
        for m in (model, apply(model, plan), apply(model, corrected))
    ]
    power = (outputs[0] ** 2).mean(axis=1)
    weight = 1 / (power + FLOOR * power.mean())
    means = [np.average(array, axis=0, weights=weight) for array in outputs]
    before, after = (np.abs(means[0] - mean).max() for mean in means[1:])
    assert after < before / 20


def test_what_a_logarithm_reads_is_not_corrected(model, ranges, samples):
    plan = decide(model, ranges, PROFILES["w8"].recipe)
    everywhere = correct_biases(model, plan, samples).corrections.keys()
    assert correct_biases(model, plan, samples, spared={"conv1"}).corrections.keys() == everywhere - {"conv1"}


def test_sqnr_by_hand():
    reference = {"y": np.array([[3.0, 4.0]], np.float32)}
    assert sqnr(reference, {"y": np.array([[3.0, 4.5]], np.float32)}) == pytest.approx(20.0)
    assert sqnr(reference, reference) == np.inf
    assert sqnr(reference, {"y": 2 * reference["y"]}) == pytest.approx(0.0)


def test_a_step_of_several_nodes_names_them_all():
    step = Step((("a", Scheme.W8), ("b", Scheme.FLOAT)), 3.0, Cost(-8, 0.0))
    assert [rule.because for rule in step.rules] == [f"lifted with {other}: {step}" for other in "ba"]
    assert replace(step, gain=ALL).brings == "all that is left"
