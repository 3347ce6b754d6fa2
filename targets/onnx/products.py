"""Products whose activations are quantised at run time, as ONNX multiplies integers.

The hub says DynamicQuantizeLinear, DequantizeLinear, Gemm: what is computed. The file says how, in the sequence that
onnxruntime fuses into one kernel: DynamicQuantizeLinear, MatMulInteger, Cast, Mul by both scales, Add of the bias.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from compile.errors import Bug
from compile.model import add_constant, constant, drop_unread_constants, operand


def multiply_integers(graph: ir.Graph) -> None:
    """Rewrite every Gemm of the scheme ``w8-dynamic``; other nodes stay as they are."""
    stored: dict[ir.Value, ir.Value] = {}  # the weight's integers -> transposed
    for gemm in [node for node in graph if node.op_type == "Gemm"]:
        wide, weight = operand(gemm, 0).producer(), operand(gemm, 1).producer()
        if wide is None or weight is None or operand(wide, 0).producer() is None or not _is_dynamic(wide):
            continue
        integers, scale, zero = (operand(wide, index) for index in range(3))
        matrix, steps = operand(weight, 0), operand(weight, 1)
        if matrix not in stored:
            stored[matrix] = _transposed(graph, matrix)
        product = ir.node("MatMulInteger", [integers, stored[matrix], zero])
        real = ir.node("Cast", [product.outputs[0]], {"to": ir.DataType.FLOAT.value})
        both = ir.node("Mul", [scale, steps])
        chain = [product, real, both, ir.node("Mul", [real.outputs[0], both.outputs[0]])]
        if len(gemm.inputs) > 2:
            chain.append(ir.node("Add", [chain[-1].outputs[0], gemm.inputs[2]]))
        for index, node in enumerate(chain):
            node.outputs[0].name = f"{gemm.name}.integer.{index}"
        ir.convenience.replace_nodes_and_values(graph, gemm, [gemm], chain, gemm.outputs, chain[-1].outputs)
        for node in (wide, weight):
            if not node.outputs[0].uses():
                graph.remove(node, safe=True)
    for matrix, turned in stored.items():
        _turn_others(matrix, turned)
    drop_unread_constants(graph)


def _is_dynamic(dequantize: ir.Node) -> bool:
    source = operand(dequantize, 0).producer()
    return dequantize.op_type == "DequantizeLinear" and source is not None and source.op_type == "DynamicQuantizeLinear"


def _turn_others(matrix: ir.Value, turned: ir.Value) -> None:
    """Let the other Gemms of a shared weight read what is stored for the integer product, so that it is stored once."""
    for weight in [use.node for use in matrix.uses()]:
        wide = weight.outputs[0]
        readers = [use.node for use in wide.uses()]
        if weight.op_type != "DequantizeLinear" or any(r.op_type != "Gemm" or r.inputs[1] is not wide for r in readers):
            continue
        weight.replace_input_with(0, turned)
        weight.attributes["axis"] = ir.AttrInt64("axis", 1)
        wide.shape = turned.shape
        for reader in readers:
            reader.attributes["transB"] = ir.AttrInt64("transB", 0)


def _transposed(graph: ir.Graph, matrix: ir.Value) -> ir.Value:
    data: NDArray[np.int8] | None = constant(matrix)
    if data is None:
        raise Bug(f"the weight '{matrix.name}' is not constant")
    return add_constant(graph, f"{matrix.name}.t", data.T)
