"""A recipe is data and reads as a sentence: *scheme on operator under scope*."""

from __future__ import annotations

import re
from dataclasses import dataclass

import onnx_ir as ir

from compile.errors import UserError
from compile.model import constant, source_of
from compile.quantize.scheme import FOLLOWING, SPEAKS_OF_WEIGHTS, WEIGHTED, Decision, QuantPlan, Scheme

INPUT, OUTPUT = "@input", "@output"
WORTH = 10.0  # dB that the int8 profile asks of a step for each doubling of cost; --min-sqnr holds at any price
GOAL = 42.0  # dB that the int8 profile aims at; --min-sqnr overrides it and makes it a gate


@dataclass(frozen=True)
class Rule:
    """Give ``scheme`` to the nodes that match; later rules win.

    Attributes:
        scheme: what the node becomes.
        operator: regular expression on the operator name.
        scope: regular expression on the node's name or source module; or ``@input``, the nodes that read a
            graph input (through operators that only follow), or ``@output``, those that produce a graph output.
        share: match only nodes that hold at most this share of all weights.
        given: the user wrote this rule, so matching nothing is an error.
        because: the reason that reports give; the rule itself when empty.
    """

    scheme: Scheme
    operator: str = ".*"
    scope: str = ".*"
    share: float = 1.0
    given: bool = False
    because: str = ""

    def __str__(self) -> str:
        return f"{self.scheme.value} on {self.operator} under {self.scope}"


Recipe = tuple[Rule, ...]


@dataclass(frozen=True)
class Profile:
    """A recipe with a name, and how far ``refine`` may lift nodes out of it.

    Attributes:
        recipe: where it begins.
        goal: SQNR in dB up to which it may; None: it may not.
        worth: dB that a step must bring for each doubling of the network's cost, else it is not taken.
    """

    recipe: Recipe
    goal: float | None = None
    worth: float = 0.0


PROFILES = {
    # The last layer computes in float while that is cheap: rounding its output would be the one error that no later
    # layer can hide, and what the runtimes round differently would show in whole steps.
    "int8": Profile((Rule(Scheme.W8A8), Rule(Scheme.W8_DYNAMIC, "Gemm", OUTPUT, share=0.1)), GOAL, WORTH),
    "w8a8": Profile((Rule(Scheme.W8A8),)),
    "w8-dynamic": Profile((Rule(Scheme.W8_DYNAMIC),)),
    "w8": Profile((Rule(Scheme.W8),)),
    "float16": Profile((Rule(Scheme.FLOAT16),)),
    "float": Profile((Rule(Scheme.FLOAT),)),
}


def parse(text: str) -> Rule:
    """Read ``SCHEME on OPERATOR under SCOPE``; the last two parts may be left out.

    Raises:
        UserError: not such a sentence, an unknown scheme, or a malformed regular expression.
    """
    match = re.fullmatch(r"\s*(\S+)(?:\s+on\s+(\S+))?(?:\s+under\s+(\S+))?\s*", text)
    known = ", ".join(scheme.value for scheme in Scheme)
    if match is None:
        raise UserError(f"'{text}' is not a rule", fix="write: SCHEME on OPERATOR under SCOPE")
    name, operator, scope = match.groups()
    if name not in [scheme.value for scheme in Scheme]:
        raise UserError(f"unknown scheme '{name}' in rule '{text}'", fix=f"choose from: {known}")
    for expression in (operator, scope):
        try:
            re.compile(expression or "")
        except re.error as error:
            raise UserError(f"'{expression}' in rule '{text}' is not a regular expression: {error}") from error
    return Rule(Scheme(name), operator or ".*", scope or ".*", given=True)


def schemes(graph: ir.Graph, recipe: Recipe) -> dict[str, Decision]:
    """The scheme that the recipe gives each node, before anything else is considered.

    Raises:
        UserError: a rule of the user's matches no node; lists the nodes there are.
    """
    chosen: dict[str, Decision] = {}
    total = sum(_weights(node) for node in graph)
    ends = {INPUT: _reads_input(graph), OUTPUT: _makes_output(graph)}
    for position, rule in enumerate(recipe):
        matched = [node for node in graph if _matches(rule, node, ends) and _weights(node) <= rule.share * total]
        if rule.given and not matched:
            names = ", ".join(f"{node.name} ({node.op_type})" for node in graph)
            raise UserError(f"rule '{rule}' matches no node", fix=f"nodes are: {names}")
        for node in matched:
            chosen[node.name or ""] = Decision(rule.scheme, (rule.because or f"rule: {rule}") if position else "")
    return chosen


def pinned(graph: ir.Graph, recipe: Recipe) -> frozenset[str]:
    """The names of the nodes that a rule of the user's speaks of."""
    ends = {INPUT: _reads_input(graph), OUTPUT: _makes_output(graph)}
    given = [rule for rule in recipe if rule.given]
    return frozenset(node.name or "" for node in graph if any(_matches(rule, node, ends) for rule in given))


def exactly(plan: QuantPlan) -> Recipe:
    """The recipe whose plan this is."""
    return tuple(
        Rule(d.scheme, scope=re.escape(name), given=True, because=d.because) for name, d in plan.decisions.items()
    )


def _matches(rule: Rule, node: ir.Node, ends: dict[str, set[ir.Node]]) -> bool:
    if not re.fullmatch(rule.operator, node.op_type):
        return False
    honoured = SPEAKS_OF_WEIGHTS.get(rule.scheme, (node.op_type,))
    if node.op_type not in honoured and rule.operator != ".*":
        lack = "such form" if node.op_type in WEIGHTED else "weights"
        fix = f"{rule.scheme.value} is for {' and '.join(honoured)}"
        raise UserError(f"rule '{rule}': {node.op_type} has no {lack}", fix=fix)
    if rule.scope in ends:
        return node in ends[rule.scope]
    return any(re.fullmatch(rule.scope, text) for text in (node.name or "", source_of(node)) if text)


def _weights(node: ir.Node) -> int:
    weight = constant(node.inputs[1]) if node.op_type in WEIGHTED else None
    return 0 if weight is None else weight.size


def _reads_input(graph: ir.Graph) -> set[ir.Node]:
    fresh = set(graph.inputs)
    found = set()
    for node in graph:
        if any(value in fresh for value in node.inputs):
            found.add(node)
            if node.op_type in FOLLOWING:
                fresh.update(node.outputs)
    return found


def _makes_output(graph: ir.Graph) -> set[ir.Node]:
    final = set(graph.outputs)
    found = set()
    for node in reversed(list(graph)):
        if any(value in final for value in node.outputs):
            found.add(node)
            if node.op_type in FOLLOWING:
                final.update(value for value in node.inputs if value is not None)
    return found
