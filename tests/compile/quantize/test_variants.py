"""Targets that compute some schemes as others get a graph of their own; those that agree share one."""

from __future__ import annotations

import pytest

from compile.model import PEAK
from compile.quantize.apply import apply
from compile.quantize.calibrate import batches
from compile.quantize.correct import correct_biases
from compile.quantize.decide import decide
from compile.quantize.measure import collect, sqnr
from compile.quantize.recipe import PROFILES, parse
from compile.quantize.scheme import Scheme
from compile.quantize.variants import replaced, variants
from targets.kernels import read
from targets.onnx.run import Session


@pytest.fixture
def plan(model, ranges):
    return decide(model, ranges, (*PROFILES["w8a8"].recipe, parse("w8-dynamic on Gemm")))


def test_targets_that_replace_nothing_share_a_graph(model, ranges, plan, samples):
    made = variants(model, ranges, plan, {"a": {}, "b": {"w8": "float"}, "c": {"w8-dynamic": "w8"}}, (samples, samples))
    assert [variant.targets for variant in made] == [("a", "b"), ("c",)]  # the plan holds no w8
    assert {d.scheme for d in made[0].plan.decisions.values()} == {d.scheme for d in plan.decisions.values()}
    operators = [{node.op_type for node in variant.hub.ir.graph} for variant in made]
    assert ["DynamicQuantizeLinear" in found for found in operators] == [True, False]


def test_one_replacement_is_not_replaced_again(model, ranges, plan, samples):
    """Each scheme is looked up once: w8a8 becomes w8, and stays that though w8 would become float."""
    (made,) = variants(model, ranges, plan, {"a": {"w8a8": "w8", "w8": "float"}}, (samples, samples))
    schemes = {node.op_type: made.plan.decisions[node.name].scheme for node in model.ir.graph}
    assert (schemes["Conv"], schemes["Gemm"]) == (Scheme.W8, Scheme.W8_DYNAMIC)


def test_a_replaced_node_says_why(model, ranges, plan):
    gemm = next(node.name for node in model.ir.graph if node.op_type == "Gemm")
    decision = replaced(model, ranges, plan, {"w8-dynamic": "w8"}).decisions[gemm]
    assert decision.scheme == Scheme.W8
    assert decision.because == "the target computes w8-dynamic as w8"


def test_nothing_replaced_is_the_plan_itself(model, ranges, plan):
    assert replaced(model, ranges, plan, {}) is plan


def test_each_graph_is_that_of_its_plan(model, ranges, plan, samples):
    feeds = batches(model, samples)
    reference = collect(Session(model.to_bytes(), "test"), feeds)
    made = variants(model, ranges, plan, {"a": {}, "b": {"w8a8": "w8", "w8-dynamic": "w8"}}, (samples, samples))
    quality = [sqnr(reference, collect(Session(v.hub.to_bytes(), "test"), feeds)) for v in made]
    assert quality[1] > quality[0] + 3  # float activations round nothing
    kernels = [{kernel.operator for kernel in read(variant.hub).kernels} for variant in made]
    assert "QuantizeLinear" in kernels[0]
    assert "QuantizeLinear" not in kernels[1]


def test_biases_are_corrected_for_each_where_it_helps(model, ranges, plan, samples):
    targets = {"a": {}, "b": {"w8-dynamic": "w8"}}
    assert all(variant.plan.corrections == {} for variant in variants(model, ranges, plan, targets, None))
    told = []
    made = variants(model, ranges, plan, targets, (samples, samples), lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)] * 2
    feeds = batches(model, samples)
    reference = collect(Session(model.to_bytes(), "test"), feeds)

    def quality(hub):
        return sqnr(reference, collect(Session(hub.to_bytes(), "test"), feeds))

    for variant, instead in zip(made, targets.values(), strict=True):
        plain = replaced(model, ranges, plan, instead)
        both = [quality(apply(model, plain)), quality(apply(model, correct_biases(model, plain, samples)))]
        assert quality(variant.hub) == pytest.approx(max(both), abs=1e-6)
        assert bool(variant.plan.corrections) == (both[1] > both[0])


def test_the_graph_remembers_how_large_its_values_get(model, ranges, plan):
    """For targets that compute in float16; no file stores it."""
    (made,) = variants(model, ranges, plan, {"a": {"w8a8": "w8", "w8-dynamic": "w8"}}, None)
    values = [value for node in made.hub.ir.graph for value in node.outputs if value.name in ranges.high]
    assert len(values) == len(model.ir.graph)
    for value in values:
        assert value.meta[PEAK] == max(-ranges.low[value.name], ranges.high[value.name])
    assert b"phiz.peak" not in made.hub.to_bytes()
