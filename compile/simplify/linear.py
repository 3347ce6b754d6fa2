"""Every product with a constant matrix becomes one form of Gemm."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from compile.model import add_constant, constant, operand, shape_of
from compile.simplify.edit import integer, new_node, number, only_consumer, substitute
from compile.simplify.outcome import Outcome


def gemm_form(model: ir.Model) -> Outcome:
    """Given Gemm or MatMul by a constant, write ``Gemm(A [N, K], B [M, K], C [M])`` with ``transB = 1``, no factors.

    A MatMul on more (or fewer) than two axes is surrounded by Reshapes and takes a following Add of a constant
    ``[M]`` with it; one with the constant on the left is turned round by Transposes. A Gemm whose bias differs from
    row to row leaves it to an Add. Does nothing when the matrix is computed at run time: the hub check then names
    the node.
    """
    rewrites = []
    for node in list(model.graph):
        if node.op_type == "MatMul":
            node = _constant_last(model.graph, node)
        done = False
        if node.op_type == "Gemm":
            done = _gemm(model.graph, node)
        elif node.op_type == "MatMul":
            done = _matmul(model.graph, node)
        if done:
            rewrites.append(f"{node.op_type} '{node.name}' became the hub's Gemm")
    return Outcome(tuple(rewrites))


def _gemm(graph: ir.Graph, node: ir.Node) -> bool:
    weight = constant(node.inputs[1])
    bias_value = node.inputs[2] if len(node.inputs) > 2 else None
    bias = constant(bias_value)
    alpha, beta = number(node, "alpha", 1.0), number(node, "beta", 1.0)
    trans_a, trans_b = integer(node, "transA", 0), integer(node, "transB", 0)
    if weight is None or (bias_value is not None and bias is None):
        return False
    units = weight.shape[0 if trans_b else 1]
    plain_bias = bias is None or bias.shape == (units,)
    if trans_b and not trans_a and alpha == 1.0 and (bias is None or beta == 1.0) and plain_bias:
        node.attributes.update(zip(_FORM, ir.convenience.convert_attributes(_FORM), strict=True))
        return False
    a = operand(node)
    added: list[ir.Node] = []
    if trans_a:
        transpose, a = new_node("Transpose", [a], node, f"{node.outputs[0].name}.a", perm=[1, 0])
        added.append(transpose)
    matrix = weight if trans_b else weight.T
    b = operand(node, 1)
    if not trans_b or alpha != 1.0:
        b = add_constant(graph, b.name or "", (matrix * np.float32(alpha)).astype(np.float32))
    inputs: list[ir.Value | None] = [a, b]
    by_row = None
    if bias is not None and bias_value is not None:
        scaled = (bias * np.float32(beta)).astype(np.float32)
        if bias.size in (1, bias.shape[-1] if bias.ndim else 1):
            vector = np.broadcast_to(scaled.reshape(-1), (units,))
            inputs.append(add_constant(graph, bias_value.name or "bias", vector))
        else:  # one that differs from row to row is no bias of a layer
            by_row = add_constant(graph, bias_value.name or "bias", scaled)
    gemm, product = new_node("Gemm", inputs, node, f"{node.outputs[0].name}.gemm", **_FORM)
    added.append(gemm)
    if by_row is not None:
        product.shape = node.outputs[0].shape
        added.append(new_node("Add", [product, by_row], node, f"{node.outputs[0].name}.sum")[0])
    substitute(graph, [node], added)
    return True


def _constant_last(graph: ir.Graph, node: ir.Node) -> ir.Node:
    """A MatMul whose constant stands on the right: ``W·X = (Xᵀ·Wᵀ)ᵀ`` over the last two axes."""
    weight, x = constant(node.inputs[0]), operand(node, 1)
    if weight is None or constant(x) is not None or weight.ndim < 2 or weight.size != math.prod(weight.shape[-2:]):
        return node
    name, shape = node.outputs[0].name, shape_of(x)
    turned = add_constant(graph, operand(node).name or "", weight.reshape(weight.shape[-2:]).T)
    if len(shape) == 1:
        product, _ = new_node("MatMul", [x, turned], node, f"{name}.turned")
        substitute(graph, [node], [product])
        return product
    perm = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
    before, value = new_node("Transpose", [x], node, f"{name}.x", perm=perm)
    value.shape = ir.Shape([shape[axis] for axis in perm])
    product, value = new_node("MatMul", [value, turned], node, f"{name}.turned")
    value.shape = ir.Shape((*(shape[axis] for axis in perm[:-1]), weight.shape[-2]))
    after, _ = new_node("Transpose", [value], node, f"{name}.back", perm=perm)
    substitute(graph, [node], [before, product, after])
    return product


def _matmul(graph: ir.Graph, node: ir.Node) -> bool:
    given = constant(node.inputs[1])
    if given is None or given.size != math.prod(given.shape[-2:]):
        return False
    weight = given[:, None] if given.ndim == 1 else given.reshape(given.shape[-2:])
    a, name = operand(node), node.outputs[0].name
    shape, last = shape_of(a), node
    inputs: list[ir.Value | None] = [a, add_constant(graph, operand(node, 1).name or "", weight.T)]
    follower = only_consumer(graph, node.outputs[0])
    if follower is not None and follower.op_type == "Add":
        others = [value for value in follower.inputs if value is not None and value is not node.outputs[0]]
        bias = constant(others[0]) if len(others) == 1 else None
        if bias is not None and given.ndim > 1 and bias.ndim and bias.size == bias.shape[-1] == weight.shape[1]:
            inputs.append(add_constant(graph, others[0].name or "bias", bias.reshape(-1)))
            last = follower
    old = [node] if last is node else [node, last]
    added: list[ir.Node] = []
    rows = math.prod(shape[:-1])
    if len(shape) != 2:
        added.append(_reshape(graph, a, (rows, shape[-1]), node, f"{name}.rows"))
        inputs[0] = added[-1].outputs[0]
    gemm, product = new_node("Gemm", inputs, node, f"{name}.gemm", **_FORM)
    added.append(gemm)
    if shape_of(last.outputs[0]) != (rows, weight.shape[1]):
        product.shape = ir.Shape((rows, weight.shape[1]))
        added.append(_reshape(graph, product, shape_of(last.outputs[0]), node, f"{name}.back"))
    substitute(graph, old, added)
    return True


def _reshape(graph: ir.Graph, value: ir.Value, shape: Sequence[int], like: ir.Node, name: str) -> ir.Node:
    target = add_constant(graph, f"{name}.shape", np.asarray(shape, np.int64))
    node, output = new_node("Reshape", [value, target], like, name)
    output.shape = ir.Shape(shape)
    return node


_FORM = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 1}
