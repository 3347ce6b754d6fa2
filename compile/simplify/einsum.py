"""Einsum is a Transpose, a Reshape and a MatMul."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from compile.model import operand, shape_of
from compile.simplify.edit import Writer
from compile.simplify.outcome import Outcome


@dataclass(frozen=True)
class Term:
    """A value and the label of each of its axes."""

    value: ir.Value
    labels: str


def plain_einsum(model: ir.Model) -> Outcome:
    """Given ``Einsum``, contract its operands from left to right, two at a time, each time by one MatMul.

    Does nothing when a label stands twice in one operand (a diagonal).
    """
    rewrites = []
    for node in list(model.graph):
        if node.op_type != "Einsum":
            continue
        equation = _parse(node)
        if equation is None:
            continue
        labels, output = equation
        write = Writer(model.graph, node)
        values = [operand(node, index) for index in range(len(node.inputs))]
        sizes = {
            label: size
            for value, names in zip(values, labels, strict=True)
            for label, size in zip(names, shape_of(value), strict=True)
        }
        write.replace(_contract(write, [Term(*pair) for pair in zip(values, labels, strict=True)], output, sizes))
        rewrites.append(f"Einsum '{node.name}' became products")
    return Outcome(tuple(rewrites))


def _parse(node: ir.Node) -> tuple[list[str], str] | None:
    """The labels of each operand and of the output, an ellipsis written out in capitals that the equation lacks."""
    equation = node.attributes["equation"].as_string().replace(" ", "")
    left, arrow, output = equation.partition("->")
    terms = left.split(",")
    ranks = [len(shape_of(operand(node, index))) for index in range(len(node.inputs))]
    widest = max((rank - len(term) + 3 for rank, term in zip(ranks, terms, strict=True) if "..." in term), default=0)
    spare = "".join(label for label in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if label not in equation)[:widest]
    if not arrow:
        plain = left.replace(",", "").replace("...", "")
        output = "..." + "".join(label for label in sorted(set(plain)) if plain.count(label) == 1)
    expanded = [
        term.replace("...", spare[widest - (rank - len(term) + 3) :]) for term, rank in zip(terms, ranks, strict=True)
    ]
    if any(len(set(term)) < len(term) for term in expanded):
        return None
    sizes: dict[str, set[int]] = {}
    for index, term in enumerate(expanded):
        for label, size in zip(term, shape_of(operand(node, index)), strict=True):
            sizes.setdefault(label, set()).add(size)
    if any(len(found) > 1 for found in sizes.values()):
        return None  # an ellipsis that broadcasts
    return expanded, output.replace("...", spare)


def _contract(write: Writer, terms: Sequence[Term], output: str, sizes: dict[str, int]) -> ir.Value:
    first, *others = terms
    for index, other in enumerate(others):
        needed = set(output).union(*(later.labels for later in others[index + 1 :]))
        a, b = (
            _summed(write, term, needed | set(partner.labels)) for term, partner in ((first, other), (other, first))
        )
        first = _product(write, a, b, needed, sizes)
    return _ordered(write, _summed(write, first, set(output)), output)


def _summed(write: Writer, term: Term, needed: set[str]) -> Term:
    """Without the axes that nobody else knows."""
    axes = [axis for axis, label in enumerate(term.labels) if label not in needed]
    if not axes:
        return term
    kept = "".join(label for label in term.labels if label in needed)
    return Term(write("ReduceSum", term.value, write.integers(axes), keepdims=0), kept)


def _ordered(write: Writer, term: Term, labels: str) -> ir.Value:
    if term.labels == labels:
        return term.value
    return write.transpose(term.value, [term.labels.index(label) for label in labels])


def _product(write: Writer, a: Term, b: Term, needed: set[str], sizes: dict[str, int]) -> Term:
    """``[batch, rows, inner] x [batch, inner, columns]``, each group of labels one axis."""
    both = [label for label in a.labels if label in b.labels]
    batch, inner = "".join(x for x in both if x in needed), "".join(x for x in both if x not in needed)
    rows = "".join(label for label in a.labels if label not in both)
    columns = "".join(label for label in b.labels if label not in both)

    def shape(*groups: str) -> list[int]:
        sides = [math.prod(sizes[label] for label in group) for group in groups]
        return [*(sizes[label] for label in batch), *sides]

    left = write.reshape(_ordered(write, a, batch + rows + inner), shape(rows, inner))
    right = write.reshape(_ordered(write, b, batch + inner + columns), shape(inner, columns))
    product = write("MatMul", left, right)
    whole = [*(sizes[label] for label in batch + rows + columns)]
    return Term(write("Reshape", product, write.integers(whole)), batch + rows + columns)
