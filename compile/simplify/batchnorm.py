"""BatchNormalization is one multiplication and one addition per channel.

With scale γ, bias β, mean μ, variance σ² and ε: ``y = a·x + b``, where ``a = γ / sqrt(σ² + ε)``, ``b = β − μ·a``.
Written so, the affine pass folds it into the convolution before it, and where none is, it still runs everywhere.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from compile.model import add_constant, constant, operand, shape_of
from compile.simplify.edit import integer, new_node, number, substitute
from compile.simplify.outcome import Outcome


def split_batchnorm(model: ir.Model) -> Outcome:
    """Given ``BatchNormalization`` with constant statistics, write ``Mul`` and ``Add`` with constants ``[1, C, 1…]``.

    Does nothing in training mode or when a statistic is computed at run time.
    """
    graph, rewrites = model.graph, []
    for node in list(graph):
        if node.op_type != "BatchNormalization" or integer(node, "training_mode", 0):
            continue
        statistics = [constant(value) for value in node.inputs[1:5]]
        if any(array is None for array in statistics):
            continue
        gamma, beta, mean, variance = (np.asarray(array, np.float64) for array in statistics)
        a = gamma / np.sqrt(variance + number(node, "epsilon", 1e-5))
        b = beta - mean * a
        rank = len(shape_of(operand(node)))
        channel = (1, -1) + (1,) * (rank - 2)
        name = node.outputs[0].name
        scale = add_constant(graph, f"{name}.scale", a.reshape(channel).astype(np.float32))
        shift = add_constant(graph, f"{name}.shift", b.reshape(channel).astype(np.float32))
        product, value = new_node("Mul", [operand(node), scale], node, f"{name}.scaled")
        value.shape = node.outputs[0].shape
        addition, _ = new_node("Add", [value, shift], node, f"{name}.shifted")
        substitute(graph, [node], [product, addition])
        rewrites.append(f"BatchNormalization '{node.name}' became Mul and Add")
    return Outcome(tuple(rewrites))
