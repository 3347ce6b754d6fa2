"""Every rounding is measured alone, belongs to one node, and together they explain the error."""

from __future__ import annotations

import numpy as np
import pytest

from compile.quantize.apply import apply
from compile.quantize.calibrate import batches
from compile.quantize.decide import decide
from compile.quantize.measure import collect, decibel, noise_to_signal
from compile.quantize.noise import Kind, Place, noise, only, places
from compile.quantize.recipe import PROFILES, parse
from targets.onnx.run import Session


@pytest.fixture
def plan(model, ranges):
    return decide(model, ranges, PROFILES["w8a8"].recipe)


@pytest.fixture
def names(model):
    """The nodes by what they are in the drawing of ``Tiny``."""
    first, second = (node for node in model.ir.graph if node.op_type == "Conv")
    found = {node.op_type: node for node in model.ir.graph} | {"first": first, "second": second}
    return {name: node.name for name, node in found.items()}


def test_places_are_listed_once_each_with_their_node(model, plan, names):
    weights = [place.node for place in places(model, plan) if place.kind == Kind.WEIGHTS]
    assert weights == [names["first"], names["second"], names["Gemm"]]
    values = [place for place in places(model, plan) if place.value]
    # The Relus are part of their kernels; what Slice and the last Reshape move is not rounded again.
    assert [(place.node, place.kind) for place in values] == [
        (names["first"], Kind.INPUT),
        (names["first"], Kind.OUTPUT),
        (names["second"], Kind.OUTPUT),
        (names["Add"], Kind.OUTPUT),
        (names["Gemm"], Kind.OUTPUT),
    ]


def test_one_weight_alone_by_hand(model, plan, samples, names):
    graph = apply(model, only(plan, [Place(names["Gemm"], Kind.WEIGHTS)]))
    feeds = batches(model, samples)
    head = next(node for node in model.ir.graph if node.op_type == "Gemm")
    features = head.inputs[0].name
    weight, bias = (head.inputs[index].const_value.numpy() for index in (1, 2))
    scale = np.abs(weight).max(axis=1, keepdims=True) / 127
    rounded = np.rint(weight / scale) * scale
    float_graph = model.clone()
    float_graph.ir.graph.outputs.append(next(v for n in float_graph.ir.graph for v in n.outputs if v.name == features))
    hidden = collect(Session(float_graph.to_bytes(), "test"), feeds)[features]
    by_hand = hidden @ rounded.T + bias
    outputs = collect(Session(graph.to_bytes(), "test"), feeds)["y"]
    np.testing.assert_allclose(outputs, by_hand, atol=1e-5)  # float32 sums of 488 products of order 0.1


def test_shares_explain_the_whole(model, plan, samples):
    feeds = batches(model, samples)
    reference = collect(Session(model.to_bytes(), "test"), feeds)
    alone = noise(model, plan, feeds, reference)
    assert set(alone) == set(places(model, plan))
    assert all(power > 0 for power in alone.values())
    whole = noise_to_signal(reference, collect(Session(apply(model, plan).to_bytes(), "test"), feeds))
    assert abs(decibel(sum(alone.values())) - decibel(whole)) < 1  # dB; independence is an approximation


def test_mixed_schemes_round_only_what_they_say(model, ranges, names):
    mixed = decide(model, ranges, (*PROFILES["w8"].recipe, parse("float on Conv under second")))
    assert places(model, mixed) == (Place(names["first"], Kind.WEIGHTS), Place(names["Gemm"], Kind.WEIGHTS))
    lifted = decide(model, ranges, (*PROFILES["w8a8"].recipe, parse("w8 on Conv under first")))
    asked = [place for place in places(model, lifted) if place.kind == Kind.INPUT]
    # What leaves the first is float now, and so is the Slice of it; these two round it for themselves.
    assert [place.node for place in asked] == [names["second"], names["Add"]]
    assert places(model, decide(model, ranges, PROFILES["float"].recipe)) == ()


def test_progress_counts_the_places(model, plan, samples):
    feeds = batches(model, {"x": samples["x"][:2]})
    told = []
    noise(
        model,
        plan,
        feeds,
        collect(Session(model.to_bytes(), "test"), feeds),
        lambda done, total: told.append((done, total)),
    )
    count = len(places(model, plan))
    assert told == [(done, count) for done in range(1, count + 1)]
