"""Constant folding: what can be computed now is not computed on the phone."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from compile.model import add_constant, constant
from compile.quiet import quiet
from compile.simplify.outcome import Outcome

_RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
# Q/DQ of a constant is how a quantised model stores weights, not work to be done early.
_KEPT = {"QuantizeLinear", "DequantizeLinear"}
_ALLOWED_GROWTH = 1024  # bytes that folding one node may add: shapes and scalars, never tables


def lift_constants(model: ir.Model) -> Outcome:
    """``Constant`` nodes become initializers, and initializers are no longer listed as inputs."""
    count = sum(node.op_type == "Constant" for node in model.graph)
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    common.RemoveInitializersFromInputsPass()(model)
    return Outcome((f"lifted {count} Constant nodes into initializers",) if count else ())


def fold_constants(model: ir.Model) -> Outcome:
    """Given nodes whose inputs are all constant (or a ``Shape`` of a static tensor), evaluate them.

    Does nothing to random operators, to graph outputs, and where the result is larger than what it replaces.
    Evaluated by onnx's own reference implementation.
    """
    graph, rewrites, refusals = model.graph, [], []
    for node in list(graph):
        result = _evaluate(node, model)
        if result is None or any(output in graph.outputs for output in node.outputs):
            continue
        before = sum(value.const_value.nbytes for value in node.inputs if value and value.const_value is not None)
        after = sum(array.nbytes for array in result)
        if after > before + _ALLOWED_GROWTH:
            refusals.append(f"{node.op_type} '{node.name}': folding would add {after - before:,} bytes")
            continue
        for output, array in zip(node.outputs, result, strict=True):
            value = add_constant(graph, output.name or node.name or "constant", array)
            ir.convenience.replace_all_uses_with(output, value)
        rewrites.append(f"folded {node.op_type} '{node.name}'")
        graph.remove(node, safe=True)
    return Outcome(tuple(rewrites), tuple(refusals))


def _evaluate(node: ir.Node, model: ir.Model) -> list[np.ndarray] | None:
    if node.op_type in _RANDOM | _KEPT or node.domain not in ("", "ai.onnx"):
        return None
    if node.op_type == "Shape" and node.inputs[0] is not None and node.inputs[0].shape is not None:
        shape = list(node.inputs[0].shape)
        if all(isinstance(size, int) for size in shape):
            start, end = (node.attributes[k].as_int() if k in node.attributes else d for k, d in _SHAPE_ENDS)
            return [np.asarray(shape[start:end], np.int64)]
    constants = [constant(value) for value in node.inputs]
    if not node.inputs or any(
        value is not None and data is None for value, data in zip(node.inputs, constants, strict=True)
    ):
        return None
    try:
        with quiet():
            return _run(node, constants, model)
    except Exception:  # whatever the evaluator lacks simply stays in the graph
        return None


def _run(node: ir.Node, constants: list[NDArray[Any] | None], model: ir.Model) -> list[np.ndarray]:
    """The node alone, as a graph of its own."""
    names = [f"i{index}" if data is not None else "" for index, data in enumerate(constants)]
    proto = ir.to_proto(node)
    del proto.input[:], proto.output[:]
    proto.input.extend(names)
    proto.output.extend(f"o{index}" for index in range(len(node.outputs)))
    fed = {name: data for name, data in zip(names, constants, strict=True) if data is not None}
    inputs = [
        onnx.helper.make_tensor_value_info(n, onnx.helper.np_dtype_to_tensor_dtype(d.dtype), d.shape)
        for n, d in fed.items()
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in proto.output]
    opsets = [onnx.helper.make_opsetid(domain, version) for domain, version in model.opset_imports.items()]
    single = onnx.helper.make_model(onnx.helper.make_graph([proto], "node", inputs, outputs), opset_imports=opsets)
    return [np.asarray(array) for array in ReferenceEvaluator(single).run(None, fed)]


_SHAPE_ENDS = (("start", 0), ("end", None))
