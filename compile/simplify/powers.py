"""Small whole and half powers are products, roots and quotients."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from compile.model import constant, operand, shape_of
from compile.simplify.edit import Writer
from compile.simplify.outcome import Outcome

_EXPONENTS = (0.25, 0.5, 1, 1.5, 2, 3, 4)


def plain_powers(model: ir.Model) -> Outcome:
    """Given ``Pow`` by one of ±¼, ±½, ±1, ±1½, ±2, ±3, ±4, write it with Mul, Sqrt and Div.

    Other constant exponents become float32 scalars. Does nothing when the exponent is computed or varies.
    """
    rewrites = []
    for node in list(model.graph):
        exponent = constant(node.inputs[1]) if node.op_type == "Pow" else None
        if exponent is None or exponent.size != 1 or constant(node.inputs[0]) is not None:
            continue
        if exponent.ndim > len(shape_of(operand(node))):
            continue
        power, write = float(exponent.reshape(())), Writer(model.graph, node)
        if abs(power) in _EXPONENTS:
            value = _power(write, operand(node), abs(power))
            write.replace(value if power > 0 else write("Div", write.number(1), value))
            rewrites.append(f"Pow '{node.name}' by {power:g} became products and roots")
        elif exponent.dtype != np.float32 or exponent.ndim:
            node.replace_input_with(1, write.number(power))
            rewrites.append(f"Pow '{node.name}' has a float32 scalar for exponent")
    return Outcome(tuple(rewrites))


def _power(write: Writer, x: ir.Value, power: float) -> ir.Value:
    if power == 1:
        return x
    if power < 1:
        root = write("Sqrt", x)
        return root if power == 0.5 else write("Sqrt", root)
    if power == 1.5:
        return write("Mul", x, write("Sqrt", x))
    square = write("Mul", x, x)
    return {2: lambda: square, 3: lambda: write("Mul", square, x), 4: lambda: write("Mul", square, square)}[
        int(power)
    ]()
