"""Rules read as sentences, and a rule that matches nothing is an error."""

from __future__ import annotations

import pytest

from compile.errors import UserError
from compile.quantize.recipe import PROFILES, parse, schemes
from compile.quantize.scheme import Scheme


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("float", (Scheme.FLOAT, ".*", ".*")),
        ("w8 on Gemm", (Scheme.W8, "Gemm", ".*")),
        ("w8-dynamic on Gemm", (Scheme.W8_DYNAMIC, "Gemm", ".*")),
        ("w8a8 on Conv|Gemm under head.*", (Scheme.W8A8, "Conv|Gemm", "head.*")),
        ("float under @input", (Scheme.FLOAT, ".*", "@input")),
    ],
)
def test_sentence(text, expected):
    rule = parse(text)
    assert (rule.scheme, rule.operator, rule.scope, rule.given) == (*expected, True)


@pytest.mark.parametrize("text", ["", "int7", "w8 at Gemm", "w8 on Gemm under", "float on ["])
def test_not_a_sentence(text):
    with pytest.raises(UserError):
        parse(text)


def test_later_rules_win_and_ends_are_found(model):
    recipe = (*PROFILES["w8a8"].recipe, parse("float on Conv under @input"), parse("w8 on Gemm under @output"))
    chosen = schemes(model.ir.graph, recipe)
    by_operator = [
        (node.op_type, chosen[node.name].scheme.value) for node in model.ir.graph if node.op_type in ("Conv", "Gemm")
    ]
    assert by_operator == [("Conv", "float"), ("Conv", "w8a8"), ("Gemm", "w8")]


def test_rule_that_matches_nothing(model):
    with pytest.raises(UserError, match=r"matches no node.*nodes are: .*\(Conv\)"):
        schemes(model.ir.graph, (*PROFILES["int8"].recipe, parse("float under no_such_layer")))


def test_weights_of_what_has_none(model):
    with pytest.raises(UserError, match="Relu has no weights"):
        schemes(model.ir.graph, (*PROFILES["int8"].recipe, parse("w8 on Relu")))


def test_a_form_that_an_operator_lacks(model):
    with pytest.raises(UserError, match=r"Conv has no such form; w8-dynamic is for Gemm"):
        schemes(model.ir.graph, (*PROFILES["int8"].recipe, parse("w8-dynamic on Conv|Gemm")))
    chosen = schemes(model.ir.graph, (*PROFILES["int8"].recipe, parse("w8-dynamic")))
    assert {decision.scheme for decision in chosen.values()} == {Scheme.W8_DYNAMIC}
