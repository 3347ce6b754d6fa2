"""The report of layers: figures by hand, shares that sum to one, and advice that holds."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from compile.quantize.apply import apply
from compile.quantize.calibrate import batches
from compile.quantize.decide import decide
from compile.quantize.layers import layer_errors, to_json
from compile.quantize.measure import collect, sqnr
from compile.quantize.recipe import PROFILES, parse
from compile.quantize.variants import Variant
from targets.onnx.run import AS_WRITTEN, Session


@pytest.fixture
def report_of(model, ranges, samples):
    def make(recipe):
        plan = decide(model, ranges, recipe)
        return layer_errors(model, ranges, Variant(("onnx",), plan, apply(model, plan)), samples)

    return make


def test_every_layer_that_computes_has_its_row(report_of):
    report = report_of(PROFILES["w8a8"].recipe)
    assert [layer.operator for layer in report.layers] == ["Conv", "Conv", "Add", "Gemm"]
    assert [layer.source for layer in report.layers if layer.operator != "Add"] == ["first", "second", "head"]
    assert sum(layer.share for layer in report.layers) == pytest.approx(1)
    assert all(layer.scheme == "w8a8" and layer.share > 0 for layer in report.layers)
    assert 0.5 < report.explained < 2  # roundings are nearly independent


def test_figures_by_hand(model, ranges, samples, report_of):
    """Of the second convolution: what it reads and makes, fetched from both graphs by another road."""
    recipe = PROFILES["w8a8"].recipe
    plan = decide(model, ranges, recipe)
    layer = report_of(recipe).layers[1]
    node = next(node for node in model.ir.graph if node.name == layer.node)
    found = []
    for value in (node.inputs[0].name, node.outputs[0].name):
        tensors = []
        for graph, name in ((model, value), (apply(model, plan), f"{value}.dq")):
            values = {v.name: v for n in graph.ir.graph for v in n.outputs}
            probed = graph.clone()
            probed.ir.graph.outputs.append(next(v for n in probed.ir.graph for v in n.outputs if v.name == name))
            assert name in values
            session = Session(probed.to_bytes(), "test", AS_WRITTEN)
            tensors.append({"it": collect(session, batches(probed, samples))[name]})
        found.append(sqnr(*tensors))
    assert [layer.before_db, layer.after_db] == pytest.approx(found, abs=1e-3)


def test_the_output_is_the_network_s(report_of):
    report = report_of(PROFILES["w8a8"].recipe)
    assert report.layers[-1].after_db == pytest.approx(report.sqnr_db, abs=0.05)  # two sessions, rewritten and not


def test_the_advice_holds(model, ranges, samples, report_of):
    recipe = PROFILES["w8a8"].recipe
    report = report_of(recipe)
    worst = max(report.layers, key=lambda layer: layer.share)
    assert report.advice.startswith(f"{worst.node} ({worst.source}, w8a8) causes {worst.share:.0%} of the error")
    rules = re.findall(r"--rule '([^']+)'", report.advice)
    gain = float(re.search(r"brings ([\d.]+) dB", report.advice).group(1))
    feeds = batches(model, samples)
    reference = collect(Session(model.to_bytes(), "test"), feeds)
    before, after = (
        sqnr(reference, collect(Session(apply(model, decide(model, ranges, r)).to_bytes(), "test"), feeds))
        for r in (recipe, (*recipe, *map(parse, rules)))
    )
    assert rules
    assert after - before == pytest.approx(gain, abs=0.06)


def test_mixed_schemes_and_float(report_of):
    mixed = report_of((*PROFILES["int8"].recipe, parse("w8 on Conv under first"), parse("float on Gemm")))
    assert {layer.operator: layer.scheme for layer in mixed.layers} == {"Conv": "w8a8", "Add": "float", "Gemm": "float"}
    assert mixed.layers[0].scheme == "w8"
    assert mixed.layers[0].before_db == np.inf
    assert mixed.layers[-1].share == 0
    assert report_of(PROFILES["float"].recipe).advice == "Nothing is rounded."


def test_json(report_of):
    data = json.loads(to_json([report_of(PROFILES["w8"].recipe)]))
    (plan,) = data["plans"]
    assert plan["targets"] == ["onnx"]
    assert plan["layers"][0]["sqnr_before_db"] is None  # infinite: nothing was rounded before it
    assert plan["layers"][0]["shares"].keys() == {"weights"}
    assert sum(layer["share"] for layer in plan["layers"]) == pytest.approx(1, abs=1e-3)
