"""Products of two computed values: MatMul of equal rank, whatever they were written as."""

from __future__ import annotations

import onnx_ir as ir

from compile.model import constant, operand, shape_of
from compile.simplify.edit import Writer, integer, number
from compile.simplify.outcome import Outcome


def plain_products(model: ir.Model) -> Outcome:
    """Given ``Gemm`` by a computed matrix, write ``MatMul``; given MatMul of unequal ranks, reshape the smaller one.

    Does nothing where one factor is a single constant matrix: that becomes a Gemm.
    """
    rewrites = []
    for node in list(model.graph):
        write = Writer(model.graph, node)
        if node.op_type == "Gemm" and constant(node.inputs[1]) is None:
            write.replace(_gemm(write, node))
        elif node.op_type == "MatMul" and _unequal(node):
            write.replace(_matmul(write, node))
        else:
            continue
        rewrites.append(f"{node.op_type} '{node.name}' became MatMul of equal rank")
    return Outcome(tuple(rewrites))


def _gemm(write: Writer, node: ir.Node) -> ir.Value:
    """``alpha * A' * B' + beta * C``; a constant A stands on the left of MatMul, which gemm_form turns round."""
    a, b = operand(node), operand(node, 1)
    a = write.transpose(a, (1, 0)) if integer(node, "transA", 0) else a
    b = write.transpose(b, (1, 0)) if integer(node, "transB", 0) else b
    product = write("MatMul", a, b)
    if (alpha := number(node, "alpha", 1.0)) != 1:
        product = write("Mul", product, write.number(alpha))
    bias, beta = node.inputs[2] if len(node.inputs) > 2 else None, number(node, "beta", 1.0)
    if bias is None or beta == 0:
        return product
    return write("Add", product, bias if beta == 1 else write("Mul", bias, write.number(beta)))


def _unequal(node: ir.Node) -> bool:
    values = operand(node), operand(node, 1)
    ranks = [len(shape_of(value)) for value in values]
    stacks = [_stack(value) for value in values if constant(value) is not None]
    return all(stacks) and (ranks[0] != ranks[1] or ranks[0] < 2)


def _stack(value: ir.Value) -> bool:
    """Whether a constant holds several matrices."""
    *leading, _, _ = (1, 1, *shape_of(value))
    return any(size > 1 for size in leading)


def _matmul(write: Writer, node: ir.Node) -> ir.Value:
    a, b = operand(node), operand(node, 1)
    left, right = shape_of(a), shape_of(b)
    left = left if len(left) > 1 else (1, *left)
    right = right if len(right) > 1 else (*right, 1)
    rank = max(len(left), len(right))
    sides = []
    for value, shape in ((a, left), (b, right)):
        aligned = (*[1] * (rank - len(shape)), *shape)
        sides.append(value if aligned == shape_of(value) else write.reshape(value, aligned))
    product = write("MatMul", *sides)
    if len(shape_of(a)) == 1 or len(shape_of(b)) == 1:
        product = write("Reshape", product, write.integers(shape_of(node.outputs[0])))
    return product
