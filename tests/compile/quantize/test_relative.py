"""What a logarithm reads stays in float, as far back as int8 steps would be heard behind it, and no further."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from compile import capture
from compile.quantize.calibrate import observe
from compile.quantize.decide import decide
from compile.quantize.recipe import PROFILES, parse
from compile.quantize.relative import unfit_for_steps
from compile.quantize.scheme import Scheme
from compile.simplify.pipeline import simplify

W8A8 = PROFILES["w8a8"].recipe
RANDOM = np.random.default_rng(3)
FIRST, LAST = (RANDOM.normal(size=(4, channels, 1)).astype(np.float32) for channels in (3, 4))
BANDS = RANDOM.uniform(0.1, 1, (4, 4, 1)).astype(np.float32)  # of powers: none is negative
# 60 dB between the quiet and the loud, as in speech.
SAMPLES = {"x": (RANDOM.normal(size=(64, 3, 16)) * 10 ** RANDOM.uniform(-3, 0, (64, 1, 16))).astype(np.float32)}
POWER = [
    helper.make_node("Conv", ["x", "first"], ["wave"], "wave"),
    helper.make_node("Mul", ["wave", "wave"], ["square"], "square"),
    helper.make_node("Conv", ["square", "bands"], ["power"], "power"),
    helper.make_node("Add", ["power", "floor"], ["above"], "above"),
]
HEAD = helper.make_node("Conv", ["read", "last"], ["y"], "head")


def planned(tmp_path, nodes, recipe=W8A8, floor=1e-6):
    """operator and position -> decision, in the order of the graph; and the int8 values."""
    constants = {"first": FIRST, "bands": BANDS, "last": LAST, "floor": np.array(floor, np.float32)}
    ports = [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, (1, 3, 16))]
    ends = [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, (1, 4, 16))]
    used = {name for node in nodes for name in node.input}
    held = [numpy_helper.from_array(array, name) for name, array in constants.items() if name in used]
    graph = helper.make_graph(nodes, "g", ports, ends, held)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), tmp_path / "g.onnx")
    model = simplify(capture.from_onnx(tmp_path / "g.onnx")).model
    ranges = observe(model, SAMPLES)
    plan = decide(model, replace(ranges, unfit=unfit_for_steps(model, ranges, SAMPLES)), recipe)
    return [(node.op_type, plan.decisions[node.name]) for node in model.ir.graph], plan


def test_all_before_a_logarithm_of_powers_is_float_and_all_behind_it_int8(tmp_path):
    decisions, plan = planned(tmp_path, [*POWER, helper.make_node("Log", ["above"], ["read"]), HEAD])
    *before, (_, head) = decisions
    schemes = {(operator, decision.scheme) for operator, decision in before}
    assert schemes <= {("Conv", Scheme.W8), ("Mul", Scheme.FLOAT), ("Add", Scheme.FLOAT), ("Log", Scheme.FLOAT)}
    assert all("int8 steps of" in decision.because for operator, decision in before)
    assert head.scheme == Scheme.W8A8
    assert len(plan.activations) == 2  # what the last product reads, and what it makes


def test_what_is_far_from_zero_may_be_int8(tmp_path):
    """log(1 + sigmoid(c)), whose argument is between 1 and 2."""
    nodes = [
        POWER[0],
        helper.make_node("Sigmoid", ["wave"], ["power"]),
        helper.make_node("Add", ["power", "floor"], ["above"]),
        helper.make_node("Log", ["above"], ["read"]),
        HEAD,
    ]
    decisions, _ = planned(tmp_path, nodes, floor=1.0)
    assert [decision.scheme for operator, decision in decisions if operator == "Conv"] == [Scheme.W8A8] * 2


def test_it_stops_where_rounding_does_no_harm(tmp_path):
    """An exponential asks for absolute precision again: log(exp(4 c) + 1e-6) of a c in int8 is right to its step."""
    nodes = [
        POWER[0],
        helper.make_node("Exp", ["wave"], ["power"]),
        helper.make_node("Conv", ["power", "bands"], ["mixed"]),
        helper.make_node("Add", ["mixed", "floor"], ["above"]),
        helper.make_node("Log", ["above"], ["read"]),
        HEAD,
    ]
    decisions, _ = planned(tmp_path, nodes)
    convolutions = [decision.scheme for operator, decision in decisions if operator == "Conv"]
    assert convolutions[0] == Scheme.W8A8
    assert convolutions[-1] == Scheme.W8A8


def test_a_quotient_asks_for_the_same_of_its_divisor(tmp_path):
    decisions, _ = planned(tmp_path, [*POWER, helper.make_node("Reciprocal", ["above"], ["read"]), HEAD])
    found = dict(decisions[:-1])
    assert "int8 steps of" in found["Div"].because
    assert found["Mul"].scheme == Scheme.FLOAT


def test_the_user_has_the_last_word(tmp_path):
    recipe = (*W8A8, parse("w8a8 on Conv"))
    decisions, _ = planned(tmp_path, [*POWER, helper.make_node("Log", ["above"], ["read"]), HEAD], recipe)
    assert {decision.scheme for operator, decision in decisions if operator == "Conv"} == {Scheme.W8A8}


@pytest.mark.parametrize("profile", ["w8", "float16", "float"])
def test_schemes_without_int8_values_are_as_asked(tmp_path, profile):
    nodes = [*POWER, helper.make_node("Log", ["above"], ["read"]), HEAD]
    decisions, _ = planned(tmp_path, nodes, PROFILES[profile].recipe)
    assert {decision.scheme.value for operator, decision in decisions if operator == "Conv"} == {profile}
