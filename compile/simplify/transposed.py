"""ConvTranspose with everything written out."""

from __future__ import annotations

import onnx_ir as ir

from compile.model import constant, operand, shape_of
from compile.simplify.edit import integer, ints, set_attributes
from compile.simplify.outcome import Outcome


def explicit_transposed(model: ir.Model) -> Outcome:
    """Given ``ConvTranspose``, resolve ``auto_pad`` and ``output_shape`` to ``pads`` and ``output_padding``.

    Does nothing when the weight is computed.
    """
    for node in model.graph:
        weight = constant(node.inputs[1]) if node.op_type == "ConvTranspose" else None
        if weight is None:
            continue
        rank, sizes = weight.ndim - 2, shape_of(operand(node))[2:]
        kernel, strides = ints(node, "kernel_shape", weight.shape[2:]), ints(node, "strides", [1] * rank)
        dilations = ints(node, "dilations", [1] * rank)
        pads, extra = ints(node, "pads", [0] * 2 * rank), ints(node, "output_padding", [0] * rank)
        auto = node.attributes["auto_pad"].as_string() if "auto_pad" in node.attributes else "NOTSET"
        if auto == "VALID":
            pads = [0] * 2 * rank
        if auto.startswith("SAME") or "output_shape" in node.attributes:
            wanted = shape_of(node.outputs[0])[2:]
            totals = [
                stride * (size - 1) + more + (k - 1) * dilation + 1 - out
                for stride, size, more, k, dilation, out in zip(
                    strides, sizes, extra, kernel, dilations, wanted, strict=True
                )
            ]
            extra = [more + max(-total, 0) for more, total in zip(extra, totals, strict=True)]
            totals = [max(total, 0) for total in totals]
            small, large = [total // 2 for total in totals], [total - total // 2 for total in totals]
            pads = small + large if auto == "SAME_UPPER" else large + small
        for name in ("auto_pad", "output_shape"):
            node.attributes.pop(name, None)
        set_attributes(node, kernel_shape=kernel, strides=strides, dilations=dilations, pads=pads)
        set_attributes(node, output_padding=extra, group=integer(node, "group", 1))
    return Outcome()
